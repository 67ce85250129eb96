//! Which scripts a script needs: read from its `import` lines, as a browser would.

use std::collections::BTreeSet;

use crate::Asset;

/// How a static import names its file, and what ends the name.
const STATIC: [(&str, char); 3] = [("from '", '\''), ("import '", '\''), ("from\"", '"')];
/// One that is loaded only when it is asked for.
const DYNAMIC: [(&str, char); 1] = [("import('", '\'')];

/// The paths of all files that `script` needs before it runs, those that it names itself first.
pub(crate) fn needed_by(script: &str, assets: &[&Asset]) -> Vec<String> {
    let mut needed = vec![script.to_owned()];
    let mut known = BTreeSet::from([script.to_owned()]);
    let mut at = 0;
    while let Some(from) = needed.get(at) {
        let found = assets.iter().find(|asset| asset.path == from);
        let imports = found.map_or_else(Vec::new, |asset| named(asset, &STATIC));
        let paths: Vec<_> = imports.iter().map(|import| resolve(from, import)).collect();
        needed.extend(paths.into_iter().filter(|path| known.insert(path.clone())));
        at += 1;
    }
    needed.remove(0);
    needed
}

/// The files that a script names: the path of each, and how it is named.
pub(crate) fn of(asset: &Asset) -> Vec<(String, String)> {
    let mut imports = named(asset, &STATIC);
    imports.extend(named(asset, &DYNAMIC));
    imports
        .into_iter()
        .map(|import| (resolve(asset.path, &import), import))
        .collect()
}

fn named(asset: &Asset, forms: &[(&str, char)]) -> Vec<String> {
    let text = String::from_utf8_lossy(asset.bytes);
    forms
        .iter()
        .flat_map(|(start, end)| {
            text.split(start)
                .skip(1)
                .filter_map(|rest| rest.split(*end).next())
        })
        .filter(|import| import.starts_with('.'))
        .map(str::to_owned)
        .collect()
}

fn resolve(from: &str, import: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for step in import.split('/') {
        match step {
            "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_is_followed_to_its_end_and_named_once() {
        let script = |path, text: &'static str| Asset {
            path,
            mime: crate::mime_of("a.js"),
            bytes: text.as_bytes(),
        };
        let files = [
            script(
                "app.js",
                "import { a } from './a.js';\nimport './shared/b.js';\nawait import('./late.js');",
            ),
            script("a.js", "import { c } from './shared/c.js';"),
            script("shared/b.js", "import{x}from\"./c.js\";"),
            script("shared/c.js", "import { a } from '../a.js';"),
            script("late.js", ""),
        ];
        let files: Vec<_> = files.iter().collect();
        assert_eq!(
            needed_by("app.js", &files),
            ["a.js", "shared/b.js", "shared/c.js"]
        );
    }
}
