//! What the tests across crates share: the workspace's root, and people who use a running stack.

pub mod people;
pub mod visitors;
pub mod waiting;

use std::path::{Path, PathBuf};

/// The root of the workspace.
pub fn workspace_root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}
