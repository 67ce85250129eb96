//! What the pages of all services share: the files of the common look and of the vendored libraries, the HTML document, and
//! the shape in which a service says what its own page is.
//!
//! Everything is embedded in the binary. The crate refuses to know HTTP: who serves the files decides on headers, caching
//! and paths. A page's files live under `assets/`; the shared ones are under `assets/shared/` there.

mod asset;
pub mod audit;
mod imports;
mod page;
mod shared;

pub use asset::{Asset, mime_of};
pub use page::Page;
pub use shared::shared;

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
