//! The files of the page, embedded in the binary.

use switchhook_pages::{Page, assets};

/// The AI Control Panel.
pub(crate) const PAGE: Page = Page {
    title: "AI Control Panel",
    description: "Start and watch AI calling sessions.",
    styles: &[
        "vendor/uplot.css",
        "tokens.css",
        "frame.css",
        "parts.css",
        "data.css",
    ],
    cards: &["control-space", "chart-card"],
    assets: assets!("page/"; "app.css", "app.js", "calls-per-day.js", "control.js", "delivery.js", "detail.js",
        "history.js", "sessions.js", "words.js"),
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
    fn the_page_loads_nothing_from_outside() {
        assert_eq!(audit::foreign_addresses(PAGE.assets), Vec::<String>::new());
    }
}
