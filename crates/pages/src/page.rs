//! The page of one service, and the HTML document that it begins with.

use std::fmt::Write;

use crate::{Asset, imports, shared};

const DOCUMENT: &str = include_str!("document.html");

/// The page of one service. Its script is `app.js`; its own styles are `app.css`.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// What it is called until its script runs.
    pub title: &'static str,
    /// One sentence about it, for search engines and previews.
    pub description: &'static str,
    /// The shared styles that it uses, by their path under `assets/shared/`, in the order of their weight.
    pub styles: &'static [&'static str],
    /// Classes of the cards that hold the places of what is loaded first.
    pub cards: &'static [&'static str],
    /// Files of this page, by their path under `assets/`.
    pub assets: &'static [Asset],
}

impl Page {
    /// The HTML document. It names every module that the script needs, so that none waits for another to be read first.
    pub fn document(&self) -> String {
        let mut links = String::new();
        let shared_styles = self.styles.iter().map(|path| format!("shared/{path}"));
        for style in shared_styles.chain(["app.css".to_owned()]) {
            link(&mut links, "stylesheet", &style);
        }
        let all: Vec<&Asset> = self.assets.iter().chain(shared()).collect();
        for module in imports::needed_by("app.js", &all) {
            link(&mut links, "modulepreload", &module);
        }
        let cards = self.cards.iter().fold(String::new(), |mut cards, class| {
            let _ = writeln!(cards, "          <div class=\"card skeleton {class}\"></div>");
            cards
        });
        DOCUMENT
            .replace("{title}", self.title)
            .replace("{description}", self.description)
            .replace("{links}", &links)
            .replace("{cards}", &cards)
    }
}

fn link(links: &mut String, rel: &str, path: &str) {
    let _ = writeln!(links, "    <link rel=\"{rel}\" href=\"assets/{path}\">");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit;

    const PAGE: Page = Page {
        title: "Kettles",
        description: "What boils.",
        styles: &["tokens.css"],
        cards: &["kettle-space"],
        assets: &[Asset {
            path: "app.js",
            mime: "text/javascript; charset=utf-8",
            bytes: b"import { start } from './shared/boot.js';",
        }],
    };

    #[test]
    fn the_document_names_what_the_page_needs() {
        let document = PAGE.document();
        for part in [
            "<title>Kettles</title>",
            "content=\"What boils.\"",
            "<h1>Kettles</h1>",
            "<link rel=\"stylesheet\" href=\"assets/shared/tokens.css\">\n    <link rel=\"stylesheet\" href=\"assets/app.css\">",
            "<link rel=\"modulepreload\" href=\"assets/shared/boot.js\">",
            "<link rel=\"modulepreload\" href=\"assets/shared/vendor/preact.mjs\">",
            "<div class=\"card skeleton kettle-space\"></div>",
        ] {
            assert!(document.contains(part), "{part} in {document}");
        }
        assert!(!document.contains('{'), "{document}");
    }

    #[test]
    fn the_document_loads_nothing_from_outside() {
        let found = audit::foreign_in("the document", PAGE.document().as_bytes());
        assert_eq!(found, Vec::<String>::new());
    }
}
