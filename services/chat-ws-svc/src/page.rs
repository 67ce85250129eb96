//! The files of the console and of the demonstration, embedded in the binary, and what other people's sites get.

mod widget;

use switchhook_pages::{Page, assets};

pub(crate) use widget::table;

/// The operators' console; `demo.css` and `demo.js` belong to the demonstration of the widget.
pub(crate) const PAGE: Page = Page {
    title: "Chats",
    description: "The chats of the web sites' visitors: read along, take over, answer.",
    styles: &[
        "tokens.css",
        "frame.css",
        "parts.css",
        "data.css",
        "transcript.css",
        "chat.css",
    ],
    cards: &["console-space"],
    assets: assets!("page/"; "alerts.js", "app.css", "app.js", "canned.js", "chats.js", "demo.css", "demo.js", "list.js",
        "messages.js", "open-chat.js", "reply.js", "seen.js", "settings.js", "talk.js", "words.js"),
};

#[cfg(test)]
mod tests {
    use std::path::Path;

    use switchhook_pages::audit;

    use super::*;

    #[test]
    fn every_file_of_the_page_is_served() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/page");
        let mut differences = audit::differences(&folder, "", PAGE.assets);
        // The widget is one script made of its parts, and the demonstration has an address of its own.
        differences.retain(|line| !line.starts_with("widget") && !line.starts_with("demo.html"));
        assert_eq!(differences, Vec::<String>::new());
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
