//! SECURITY.md names tests: each of them is there.

use crate::assert_none;
use crate::source::read;

/// Fewer would mean that they are not found any more.
const AT_LEAST: usize = 80;

/// `path::name` in backticks.
fn named(text: &str) -> Vec<(String, String)> {
    let spans = text.split('`').skip(1).step_by(2);
    let pairs = spans.filter_map(|span| span.split_once("::"));
    pairs
        .filter(|(path, _)| path.contains('/'))
        .map(|(path, name)| (path.to_owned(), name.to_owned()))
        .collect()
}

fn is_there(path: &str, name: &str) -> bool {
    if !e2e::workspace_root().join(path).is_file() {
        return false;
    }
    let text = read(path);
    if path.ends_with(".rs") {
        text.contains(&format!("fn {name}("))
    } else {
        text.contains(&format!("test('{name}'")) || text.contains(&format!("test(\"{name}\""))
    }
}

#[test]
fn every_test_that_the_security_review_names_exists() {
    let named = named(&read("SECURITY.md"));
    let missing: Vec<String> = named
        .iter()
        .filter(|(path, name)| !is_there(path, name))
        .map(|(path, name)| format!("{path}::{name}"))
        .collect();
    assert!(named.len() >= AT_LEAST, "only {} tests are named", named.len());
    assert_none("SECURITY.md names tests that exist", &missing);
}

#[test]
fn a_test_that_does_not_exist_is_found() {
    assert!(!is_there("tests/architecture/security.rs", "nobody_wrote_this"));
    assert!(!is_there(
        "tests/architecture/nowhere.rs",
        "a_test_that_does_not_exist_is_found"
    ));
    assert!(is_there(
        "tests/architecture/security.rs",
        "a_test_that_does_not_exist_is_found"
    ));
}
