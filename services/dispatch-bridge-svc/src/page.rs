//! The files of the page, embedded in the binary.

use switchhook_pages::{Page, assets};

/// The dispatches, and a form that sends one.
pub(crate) const PAGE: Page = Page {
    title: "Dispatches",
    description: "See outbound calls as they ring, are answered and end, and send a test dispatch.",
    styles: &[
        "tokens.css",
        "frame.css",
        "parts.css",
        "data.css",
        "transcript.css",
        "chat.css",
    ],
    cards: &["send-space"],
    assets: assets!("page/"; "app.css", "app.js", "cancel.js", "detail.js", "dispatches.js", "fields.js", "filters.js",
        "list.js", "report.js", "request.js", "send.js", "sent.js", "standing.js", "timeline.js", "words.js"),
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
