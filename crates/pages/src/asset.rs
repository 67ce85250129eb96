/// One file that a page may ask for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Asset {
    /// Where it is served, under `assets/`, such as `shared/tokens.css`.
    pub path: &'static str,
    /// Its Content-Type.
    pub mime: &'static str,
    /// What it holds.
    pub bytes: &'static [u8],
}

impl std::fmt::Debug for Asset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Asset({}, {}, {} bytes)",
            self.path,
            self.mime,
            self.bytes.len()
        )
    }
}

const MIMES: [(&str, &str); 6] = [
    (".js", "text/javascript; charset=utf-8"),
    (".mjs", "text/javascript; charset=utf-8"),
    (".css", "text/css; charset=utf-8"),
    (".html", "text/html; charset=utf-8"),
    (".svg", "image/svg+xml"),
    (".txt", "text/plain; charset=utf-8"),
];

/// The Content-Type of a file by the end of its name.
///
/// # Panics
/// When the end of the name is none that pages use. The [`assets!`](crate::assets) macro calls it in a constant, where that stops the build.
pub const fn mime_of(path: &str) -> &'static str {
    let mut at = 0;
    while at < MIMES.len() {
        if ends_with(path.as_bytes(), MIMES[at].0.as_bytes()) {
            return MIMES[at].1;
        }
        at += 1;
    }
    panic!("pages use .js, .mjs, .css, .html, .svg and .txt files only")
}

const fn ends_with(text: &[u8], end: &[u8]) -> bool {
    if text.len() < end.len() {
        return false;
    }
    let mut at = 0;
    while at < end.len() {
        if text[text.len() - end.len() + at] != end[at] {
            return false;
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::mime_of;

    #[test]
    fn a_files_type_follows_from_the_end_of_its_name() {
        assert_eq!(mime_of("parts/table.js"), "text/javascript; charset=utf-8");
        assert_eq!(mime_of("vendor/preact.mjs"), "text/javascript; charset=utf-8");
        assert_eq!(mime_of("tokens.css"), "text/css; charset=utf-8");
        assert_eq!(mime_of("icon.svg"), "image/svg+xml");
        assert_eq!(mime_of("vendor/preact.LICENSE.txt"), "text/plain; charset=utf-8");
    }

    #[test]
    #[should_panic(expected = "pages use")]
    fn an_unknown_type_stops_the_build() {
        mime_of("photo.webp");
    }
}
