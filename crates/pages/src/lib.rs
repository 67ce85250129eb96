//! What the pages of all services share, as data: the files of the common look and of the vendored libraries, and the
//! shape in which a service lists the files of its own page.
//!
//! Everything is embedded in the binary. The crate refuses to know HTTP: who serves the files decides on headers, caching
//! and paths. A page's files live under `assets/`; the shared ones are under `assets/shared/` there.

mod asset;
pub mod audit;
mod shared;

pub use asset::{Asset, mime_of};
pub use shared::shared;

/// The page of one service: its HTML and the files that only it uses.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// The HTML document.
    pub index: &'static [u8],
    /// Files of this page, by their path under `assets/`.
    pub assets: &'static [Asset],
}

/// Lists files of one folder as [`Asset`]s: `assets!("page/"; "app.css", "app.js")`.
///
/// The folder is relative to the file that says it and ends with a slash; an optional second text is put before the
/// paths under which the files are served: `assets!("../assets/", "shared/"; "tokens.css")`.
#[macro_export]
macro_rules! assets {
    ($folder:literal; $($path:literal),+ $(,)?) => {
        $crate::assets!($folder, ""; $($path),+)
    };
    ($folder:literal, $prefix:literal; $($path:literal),+ $(,)?) => {
        &[$($crate::Asset {
            path: concat!($prefix, $path),
            mime: $crate::mime_of($path),
            bytes: include_bytes!(concat!($folder, $path)),
        }),+]
    };
}
