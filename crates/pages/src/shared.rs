//! The files that every page is made of: a list that a test holds against the folder, in the order of their use.

use crate::{Asset, assets};

/// The files that all pages share, by their path under `assets/`: all of them begin with `shared/`.
pub fn shared() -> &'static [Asset] {
    SHARED
}

static SHARED: &[Asset] = assets!("../assets/", "shared/";
    "address.js",
    "api.js",
    "boot.js",
    "chat.css",
    "connection.js",
    "data.css",
    "frame.css",
    "frame.js",
    "html.js",
    "icon.svg",
    "icons.js",
    "keyboard.js",
    "list.js",
    "live.js",
    "pace.js",
    "parts.css",
    "preferences.js",
    "sign-in.js",
    "signed-out.js",
    "store.js",
    "stream.js",
    "text.js",
    "theme-early.js",
    "theme.js",
    "time.js",
    "tokens.css",
    "transcript.css",
    "parts/ask-button.js",
    "parts/badge.js",
    "parts/button.js",
    "parts/chart.js",
    "parts/choice.js",
    "parts/code.js",
    "parts/confirm.js",
    "parts/copy.js",
    "parts/day.js",
    "parts/dialog.js",
    "parts/drawer.js",
    "parts/fact.js",
    "parts/field.js",
    "parts/load-error.js",
    "parts/loading.js",
    "parts/newest.js",
    "parts/notice.js",
    "parts/outside-link.js",
    "parts/progress.js",
    "parts/search.js",
    "parts/split.js",
    "parts/table.js",
    "parts/text-area.js",
    "parts/toast.js",
    "parts/transcript.js",
    "vendor/htm.LICENSE.txt",
    "vendor/htm.mjs",
    "vendor/preact-hooks.mjs",
    "vendor/preact.LICENSE.txt",
    "vendor/preact.mjs",
    "vendor/uplot.LICENSE.txt",
    "vendor/uplot.css",
    "vendor/uplot.mjs",
);

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use sha2::{Digest, Sha256};

    use super::*;
    use crate::audit;

    #[test]
    fn every_file_of_the_folder_is_listed_and_no_other() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        assert_eq!(
            audit::differences(&folder, "shared/", shared()),
            Vec::<String>::new()
        );
    }

    #[test]
    fn no_file_makes_a_browser_load_something_from_elsewhere() {
        assert_eq!(audit::foreign_addresses(shared()), Vec::<String>::new());
    }

    #[test]
    fn every_import_names_a_file_that_is_served() {
        assert_eq!(audit::dangling_imports(shared(), &[]), Vec::<String>::new());
    }

    #[test]
    fn vendored_files_are_what_their_record_says() {
        let recorded = recorded_checksums();
        let kept: BTreeMap<String, String> = shared()
            .iter()
            .filter_map(|asset| {
                Some((
                    asset.path.strip_prefix("shared/vendor/")?.to_owned(),
                    sha256(asset.bytes),
                ))
            })
            .collect();
        assert_eq!(kept, recorded);
    }

    #[test]
    fn undoing_the_named_changes_gives_the_published_files() {
        let published = |file: &str| column_of(file, 5).expect("the file is recorded");
        let hooks = text("shared/vendor/preact-hooks.mjs").replace("from\"./preact.mjs\"", "from\"preact\"");
        let hooks = format!("{hooks}//# sourceMappingURL=hooks.mjs.map\n");
        assert_eq!(sha256(hooks.as_bytes()), published("preact-hooks.mjs"));
        let preact = format!(
            "{}//# sourceMappingURL=preact.mjs.map\n",
            text("shared/vendor/preact.mjs")
        );
        assert_eq!(sha256(preact.as_bytes()), published("preact.mjs"));
    }

    const RECORD: &str = include_str!("../vendor.md");

    /// File name to checksum, from the table of `vendor.md`.
    fn recorded_checksums() -> BTreeMap<String, String> {
        let rows: BTreeMap<_, _> = rows().map(|row| (row[0].to_owned(), row[4].to_owned())).collect();
        assert!(!rows.is_empty(), "the record has a table");
        rows
    }

    fn column_of(file: &str, column: usize) -> Option<String> {
        rows()
            .find(|row| row[0] == file)
            .map(|row| row[column].to_owned())
    }

    fn rows() -> impl Iterator<Item = Vec<&'static str>> {
        RECORD
            .lines()
            .filter(|line| line.starts_with("| ") && !line.starts_with("| file"))
            .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
    }

    fn text(path: &str) -> String {
        let asset = shared()
            .iter()
            .find(|asset| asset.path == path)
            .expect("the file is listed");
        String::from_utf8(asset.bytes.to_vec()).expect("the file is text")
    }

    fn sha256(bytes: &[u8]) -> String {
        Sha256::digest(bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}
