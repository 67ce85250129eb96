//! The files of the page, embedded in the binary.

use switchhook_pages::{Page, assets};

/// The tasks, and the chat with an agent.
pub(crate) const PAGE: Page = Page {
    title: "Tasks",
    description: "Write to an agent and see its answer as soon as it is there.",
    styles: &[
        "tokens.css",
        "frame.css",
        "parts.css",
        "data.css",
        "transcript.css",
        "chat.css",
    ],
    cards: &["tasks-space"],
    assets: assets!("page/"; "agents.js", "app.css", "app.js", "chat.js", "composer.js", "conversation.js",
        "detail.js", "list.js", "messages.js", "standing.js", "tasks.js", "watch.js", "words.js"),
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
