//! The dashboard and the alert rules ask for figures that the programs have, and every alert says what to do.

use std::collections::BTreeSet;
use std::path::Path;

use e2e::workspace_root;
use serde_json::Value;

/// Of Prometheus itself.
const OF_PROMETHEUS: [&str; 1] = ["up"];
/// What Prometheus makes of one histogram.
const PARTS_OF_A_HISTOGRAM: [&str; 3] = ["_bucket", "_sum", "_count"];
/// Words before a list of labels, and between two figures.
const WORDS: [&str; 8] = ["by", "without", "on", "ignoring", "and", "or", "unless", "bool"];

fn sources(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(std::fs::read_to_string(path).unwrap());
        }
    }
}

/// The names of all figures that a program records.
fn recorded() -> BTreeSet<String> {
    let mut files = Vec::new();
    for folder in ["crates", "services"] {
        for member in std::fs::read_dir(workspace_root().join(folder)).unwrap() {
            sources(&member.unwrap().path().join("src"), &mut files);
        }
    }
    let mut names = BTreeSet::new();
    for kind in ["metrics::counter!(", "metrics::gauge!(", "metrics::histogram!("] {
        for file in &files {
            let calls = file.split(kind).skip(1);
            let literals = calls.filter_map(|call| call.trim_start().strip_prefix('"')?.split('"').next());
            names.extend(literals.map(str::to_owned));
        }
    }
    names
}

/// Without what stands between quotes, and between these two signs.
fn without(expression: &str, open: char, close: char) -> String {
    let (mut rest, mut depth) = (String::new(), 0);
    for letter in expression.chars() {
        match letter {
            _ if letter == open => depth += 1,
            _ if letter == close && depth > 0 => depth -= 1,
            _ if depth == 0 => rest.push(letter),
            _ => {}
        }
    }
    rest
}

/// The figures that an expression of PromQL asks for.
fn asked_for(expression: &str) -> BTreeSet<String> {
    let quoted: String = expression.split('"').step_by(2).collect();
    let plain = without(&without(&quoted, '{', '}'), '[', ']');
    let mut names = BTreeSet::new();
    let mut rest = plain.as_str();
    while let Some(start) = rest.find(|letter: char| letter.is_ascii_alphabetic()) {
        let tail = &rest[start..];
        let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let end = tail.find(|letter| !is_part(letter)).unwrap_or(tail.len());
        let (word, after) = tail.split_at(end);
        let next = after.trim_start();
        let calls = ["(", "by ", "without "].iter().any(|open| next.starts_with(open));
        rest = after;
        if WORDS.contains(&word) {
            if calls {
                rest = after.split_once(')').map_or("", |(_, behind)| behind);
            }
        } else if !calls {
            let whole = PARTS_OF_A_HISTOGRAM
                .iter()
                .find_map(|part| word.strip_suffix(part));
            names.insert(whole.unwrap_or(word).to_owned());
        }
    }
    names
}

fn assert_recorded(what: &str, expression: &str, recorded: &BTreeSet<String>) {
    let asked = asked_for(expression);
    assert!(!asked.is_empty(), "{what} asks for nothing: {expression}");
    for name in asked {
        let known = recorded.contains(&name) || OF_PROMETHEUS.contains(&name.as_str());
        assert!(known, "{what} asks for {name}, which nobody records");
    }
}

#[test]
fn an_expression_is_read_for_the_figures_that_it_asks_for() {
    let names = |expression| asked_for(expression).into_iter().collect::<Vec<_>>();
    assert_eq!(
        names(
            r#"histogram_quantile(0.99, sum by (job, le) (rate(a_seconds_bucket{route!~".*(x|y).*"}[5m]))) > 1"#
        ),
        ["a_seconds"]
    );
    assert_eq!(
        names(r#"sum by (job) (rate(b_total{status=~"5.."}[5m])) / max(c) >= 2"#),
        ["b_total", "c"]
    );
}

#[test]
fn every_panel_of_the_dashboard_asks_for_figures_that_exist() {
    let recorded = recorded();
    assert!(recorded.contains("http_request_duration_seconds"), "{recorded:?}");
    let file = workspace_root().join("deploy/grafana/switchhook.json");
    let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut shown = BTreeSet::new();
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let title = panel["title"].as_str().unwrap();
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{title} shows nothing");
        for target in targets {
            let expression = target["expr"].as_str().unwrap();
            assert_recorded(title, expression, &recorded);
            shown.extend(asked_for(expression));
        }
    }
    let own = [
        "chat_", "retell_", "dispatch", "session", "tasks_", "outbox_", "http_", "db_",
    ];
    for prefix in own {
        let is_shown = shown.iter().any(|name| name.starts_with(prefix));
        assert!(is_shown, "no panel shows {prefix}…");
    }
}

#[test]
fn every_alert_asks_for_figures_that_exist_and_says_what_to_do() {
    let recorded = recorded();
    let file = workspace_root().join("deploy/prometheus/alerts.yaml");
    let rules: Value = serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let mut names = BTreeSet::new();
    for group in rules["groups"].as_array().unwrap() {
        for rule in group["rules"].as_array().unwrap() {
            let name = rule["alert"].as_str().unwrap();
            assert!(names.insert(name), "{name} stands there twice");
            assert_recorded(name, rule["expr"].as_str().unwrap(), &recorded);
            let severity = rule["labels"]["severity"].as_str();
            assert!(matches!(severity, Some("warning" | "critical")), "{name}");
            for text in ["summary", "description"] {
                let words = rule["annotations"][text].as_str().unwrap_or_default();
                assert!(words.len() > 20, "{name} has no {text}");
            }
        }
    }
    assert!(names.len() >= 10, "{names:?}");
}
