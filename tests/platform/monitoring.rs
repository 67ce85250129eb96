//! The dashboard and the alert rules ask for figures and labels that the programs have, every alert says what to do, and in
//! Prometheus' own judgement (promtool) the alerts fire when they should.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::Path;

use e2e::workspace_root;
use serde_json::Value;

use crate::tools;

/// Of Prometheus itself.
const OF_PROMETHEUS: [&str; 1] = ["up"];
/// Labels that Prometheus adds, and those of what it makes of a histogram.
const LABELS_OF_PROMETHEUS: [&str; 4] = ["job", "instance", "le", "quantile"];
/// Of the figures of requests, which are recorded with a list.
const LABELS_OF_REQUESTS: [&str; 3] = ["method", "route", "status"];
/// What Prometheus makes of one histogram.
const PARTS_OF_A_HISTOGRAM: [&str; 3] = ["_bucket", "_sum", "_count"];
/// Words before a list of labels, and between two figures.
const WORDS: [&str; 9] = [
    "by", "without", "on", "ignoring", "and", "or", "unless", "bool", "offset",
];

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

/// What the programs record: each figure with its labels, where they stand beside it.
struct Recorded(BTreeMap<String, Option<BTreeSet<String>>>);

impl Recorded {
    fn read() -> Self {
        let mut files = Vec::new();
        for folder in ["crates", "services"] {
            for member in std::fs::read_dir(workspace_root().join(folder)).unwrap() {
                sources(&member.unwrap().path().join("src"), &mut files);
            }
        }
        let mut figures = BTreeMap::new();
        for kind in ["metrics::counter!(", "metrics::gauge!(", "metrics::histogram!("] {
            for call in files.iter().flat_map(|file| file.split(kind).skip(1)) {
                let Some((name, rest)) = call
                    .trim_start()
                    .strip_prefix('"')
                    .and_then(|call| call.split_once('"'))
                else {
                    continue;
                };
                figures.insert(name.to_owned(), labels_beside(rest));
            }
        }
        Self(figures)
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name) || OF_PROMETHEUS.contains(&name)
    }

    fn has_label(&self, name: &str, label: &str) -> bool {
        let own = self.0.get(whole(name)).and_then(Option::as_ref);
        LABELS_OF_PROMETHEUS.contains(&label)
            || own.map_or(LABELS_OF_REQUESTS.contains(&label), |own| own.contains(label))
    }
}

/// The labels of `"label" => value, …)`; nothing where a list is passed.
fn labels_beside(rest: &str) -> Option<BTreeSet<String>> {
    let arguments = rest.split(").").next().unwrap_or(rest);
    let literals = arguments.split(" =>").filter_map(|part| {
        let label = part.trim_end().strip_suffix('"')?;
        label.rsplit('"').next().map(str::to_owned)
    });
    (!arguments.contains("&labels")).then(|| literals.collect())
}

/// A histogram's name, of one of its parts.
fn whole(name: &str) -> &str {
    let parts = PARTS_OF_A_HISTOGRAM.iter();
    parts
        .filter_map(|part| name.strip_suffix(part))
        .next()
        .unwrap_or(name)
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
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    while let Some(start) = rest.find(is_part) {
        let tail = &rest[start..];
        let end = tail.find(|letter| !is_part(letter)).unwrap_or(tail.len());
        let (word, after) = tail.split_at(end);
        let next = after.trim_start();
        let calls = ["(", "by ", "without "].iter().any(|open| next.starts_with(open));
        rest = after;
        if word.starts_with(|letter: char| letter.is_ascii_digit()) {
            continue;
        }
        if WORDS.contains(&word) {
            if calls {
                rest = after.split_once(')').map_or("", |(_, behind)| behind);
            }
        } else if !calls {
            names.insert(whole(word).to_owned());
        }
    }
    names
}

/// The labels by which an expression picks (`figure{label=…}`), each with its figure, and those by which it groups.
fn labels_asked_for(expression: &str) -> (Vec<(String, String)>, Vec<String>) {
    let plain: String = expression.split('"').step_by(2).collect();
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let mut picked = Vec::new();
    for (at, _) in plain.match_indices('{') {
        let name = plain[..at].rsplit(|letter| !is_part(letter)).next().unwrap();
        let list = plain[at + 1..].split('}').next().unwrap();
        for condition in list.split(',') {
            let label = condition.split(|letter| !is_part(letter)).next().unwrap();
            picked.push((name.to_owned(), label.to_owned()));
        }
    }
    let lists = plain.split("by (").skip(1);
    let grouped = lists.flat_map(|rest| rest.split(')').next().unwrap().split(','));
    (picked, grouped.map(|label| label.trim().to_owned()).collect())
}

fn assert_recorded(what: &str, expression: &str, recorded: &Recorded) {
    let asked = asked_for(expression);
    assert!(!asked.is_empty(), "{what} asks for nothing: {expression}");
    for name in &asked {
        assert!(recorded.has(name), "{what} asks for {name}, which nobody records");
    }
    let (picked, grouped) = labels_asked_for(expression);
    for (name, label) in picked {
        assert!(recorded.has_label(&name, &label), "{what}: {name} has no {label}");
    }
    for label in grouped {
        let known = asked.iter().all(|name| recorded.has_label(name, &label));
        assert!(known, "{what} groups by {label}, which not all of {asked:?} have");
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
    assert_eq!(names("increase(d[15m]) > 0 or e unless e offset 15m"), ["d", "e"]);
    let (picked, grouped) = labels_asked_for(r#"sum by (job, le) (rate(a{route!~"x{y}",status="5"}[5m]))"#);
    assert_eq!(
        picked,
        [("a", "route"), ("a", "status")].map(|(name, label)| (name.to_owned(), label.to_owned()))
    );
    assert_eq!(grouped, ["job", "le"]);
}

#[test]
fn every_panel_of_the_dashboard_asks_for_figures_that_exist() {
    let recorded = Recorded::read();
    assert!(recorded.has("http_request_duration_seconds"));
    assert!(recorded.has_label("ws_lost_total", "why") && !recorded.has_label("ws_lost_total", "reason"));
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
    let recorded = Recorded::read();
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

/// What Prometheus itself says about the rules: `alerts.test.yaml` has what must fire, and what must not.
fn prometheus_says(rules: &str) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("alerts.yaml"), rules).unwrap();
    let tests = workspace_root().join("tests/platform/alerts.test.yaml");
    std::fs::copy(tests, folder.path().join("alerts.test.yaml")).unwrap();
    let promtool = |words: [&str; 3]| tools::run("promtool", &words.map(OsStr::new), folder.path());
    promtool(["check", "rules", "alerts.yaml"])?;
    promtool(["test", "rules", "alerts.test.yaml"])
}

#[test]
fn the_alerts_fire_when_something_is_wrong_and_only_then() {
    let rules = std::fs::read_to_string(workspace_root().join("deploy/prometheus/alerts.yaml")).unwrap();
    prometheus_says(&rules).unwrap();
    let defects = [
        (" or dispatches_total{", " or nothing{"),
        ("get-responses|", ""),
        ("> 300", "> 3000"),
    ];
    for (from, to) in defects {
        assert!(rules.contains(from), "{from}");
        assert!(prometheus_says(&rules.replace(from, to)).is_err(), "{from}");
    }
}
