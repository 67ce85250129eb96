//! The files of the page, embedded in the binary.

use switchhook_pages::{Page, assets};

/// The page of the calls.
pub(crate) const PAGE: Page = Page {
    title: "Calls",
    description: "See the calls of your Retell agent as they happen.",
    styles: &[
        "vendor/uplot.css",
        "tokens.css",
        "frame.css",
        "parts.css",
        "data.css",
        "transcript.css",
    ],
    cards: &["agent-space", "figures"],
    assets: assets!("page/"; "agent.js", "app.css", "app.js", "calls.js", "connect.js", "detail.js", "figures.js",
        "filters.js", "list.js", "words.js"),
};

#[cfg(test)]
mod tests {
    use std::path::Path;

    use switchhook_pages::audit;

    use super::*;

    #[test]
    fn every_file_of_the_page_is_served() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/page");
        assert_eq!(audit::differences(&folder, "", PAGE.assets), Vec::<String>::new());
    }

    #[test]
    fn every_import_names_a_file_that_is_served() {
        assert_eq!(
            audit::dangling_imports(PAGE.assets, switchhook_pages::shared()),
            Vec::<String>::new()
        );
    }

    #[test]
    fn the_page_loads_nothing_from_outside() {
        assert_eq!(audit::foreign_addresses(PAGE.assets), Vec::<String>::new());
    }
}
