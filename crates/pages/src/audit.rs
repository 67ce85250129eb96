//! Checks that a page's files keep their promises, for the unit tests of this crate and of every service that has a page:
//! all files of the folder are listed, every import is served, nothing is loaded from another origin.
//!
//! Each check returns sentences about what is wrong; an empty list is good. It refuses to judge how a page looks.

use std::collections::BTreeSet;
use std::path::Path;

use crate::{Asset, imports};

/// Files of the folder that are not listed, and listed ones that are not in the folder. `prefix` is what the listed
/// paths have in front of the folder's.
pub fn differences(folder: &Path, prefix: &str, listed: &[Asset]) -> Vec<String> {
    let mut found = BTreeSet::new();
    collect(folder, prefix, &mut found);
    let known: BTreeSet<String> = listed.iter().map(|asset| asset.path.to_owned()).collect();
    let unlisted = found
        .difference(&known)
        .map(|path| format!("{path} is not listed"));
    let missing = known
        .difference(&found)
        .map(|path| format!("{path} is listed but not in the folder"));
    unlisted.chain(missing).collect()
}

fn collect(folder: &Path, prefix: &str, into: &mut BTreeSet<String>) {
    let entries = std::fs::read_dir(folder).expect("the folder can be read");
    for entry in entries {
        let path = entry.expect("the folder can be read").path();
        let name = path.file_name().expect("an entry has a name").to_string_lossy();
        if path.is_dir() {
            collect(&path, &format!("{prefix}{name}/"), into);
        } else {
            into.insert(format!("{prefix}{name}"));
        }
    }
}

/// Absolute addresses that a browser could load: everything but names of XML vocabularies, comments and licence texts.
pub fn foreign_addresses(assets: &[Asset]) -> Vec<String> {
    let loadable = assets
        .iter()
        .filter(|asset| !asset.mime.starts_with("text/plain"));
    loadable
        .flat_map(|asset| foreign_in(asset.path, asset.bytes))
        .collect()
}

/// The same for one file.
pub fn foreign_in(name: &str, bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| names_a_foreign_address(line))
        .map(|(number, _)| format!("{name}:{} names an address of another origin", number + 1))
        .collect()
}

fn names_a_foreign_address(line: &str) -> bool {
    let code = without_comment(line);
    ["http://", "https://", "\"//", "'//", "(//"]
        .iter()
        .any(|scheme| {
            code.match_indices(scheme)
                .any(|(at, _)| !code[at..].starts_with("http://www.w3.org/"))
        })
}

/// The line up to a comment that begins with `//` after a space or at the start, or nothing within a `/* … */` block.
fn without_comment(line: &str) -> &str {
    let trimmed = line.trim_start();
    if trimmed.starts_with("//")
        || trimmed.starts_with("* ")
        || trimmed.starts_with("/*") && trimmed.ends_with("*/")
    {
        return "";
    }
    match line.find(" // ").or_else(|| line.find("\t// ")) {
        Some(at) => &line[..at],
        None => line,
    }
}

/// Imports of scripts that name no file among `assets` and `others`: a page would stop at them without a word.
pub fn dangling_imports(assets: &[Asset], others: &[Asset]) -> Vec<String> {
    let known: BTreeSet<&str> = assets.iter().chain(others).map(|asset| asset.path).collect();
    let scripts = assets
        .iter()
        .filter(|asset| asset.mime.starts_with("text/javascript"));
    scripts
        .flat_map(|asset| {
            imports::of(asset)
                .into_iter()
                .map(move |(path, import)| (asset.path, path, import))
        })
        .filter(|(_, path, _)| !known.contains(path.as_str()))
        .map(|(from, _, import)| format!("{from} imports {import}, which is not served"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(path: &'static str, text: &'static str) -> Asset {
        Asset {
            path,
            mime: "text/javascript; charset=utf-8",
            bytes: text.as_bytes(),
        }
    }

    #[test]
    fn an_address_of_another_origin_is_found() {
        for line in [
            "import x from 'https://cdn.example/x.js';",
            "fetch(\"//cdn.example/x\")",
            "background: url(//cdn.example/x.png);",
            "<img src=\"http://cdn.example/x.png\">",
        ] {
            assert_eq!(
                foreign_in("a", line.as_bytes()),
                ["a:1 names an address of another origin"],
                "{line}"
            );
        }
    }

    #[test]
    fn vocabularies_comments_and_own_paths_are_fine() {
        for line in [
            "<svg xmlns=\"http://www.w3.org/2000/svg\">",
            "// see https://docs.example/",
            "\tfoo(); // https://docs.example/",
            " * https://docs.example/",
            "fetch('/api/ai-session')",
        ] {
            assert_eq!(foreign_in("a", line.as_bytes()), Vec::<String>::new(), "{line}");
        }
    }

    #[test]
    fn an_import_of_nothing_is_found() {
        let assets = [
            script(
                "app.js",
                "import { a } from './shared/a.js';\nimport { b } from './b.js';",
            ),
            script("parts/c.js", "const x = await import('../gone.mjs');"),
        ];
        let others = [script("shared/a.js", "")];
        assert_eq!(
            dangling_imports(&assets, &others),
            [
                "app.js imports ./b.js, which is not served",
                "parts/c.js imports ../gone.mjs, which is not served"
            ]
        );
    }

    #[test]
    fn a_file_that_nobody_lists_is_found() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let differences = differences(&folder, "", &[script("gone.js", "")]);
        assert!(
            differences.contains(&"audit.rs is not listed".to_owned()),
            "{differences:?}"
        );
        assert!(
            differences.contains(&"gone.js is listed but not in the folder".to_owned()),
            "{differences:?}"
        );
    }
}
