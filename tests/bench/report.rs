//! What a run found: sections of figures, lines and goals. Drawn as text, as Markdown, and (`charts`) as pictures.
//!
//! A figure has one bar for each who was measured, ours first; a bar is the values of its rounds, of which the median counts.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Everything that was measured so far.
static REPORT: Mutex<Report> = Mutex::new(Report { sections: Vec::new() });

/// A run's findings.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    pub(crate) sections: Vec<Section>,
}

/// What one part of a bench found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Section {
    pub(crate) title: String,
    pub(crate) entries: Vec<Entry>,
}

/// One finding.
#[derive(Debug, Clone)]
pub(crate) enum Entry {
    Line { name: String, value: String },
    Figure(Figure),
    Goal { name: String, met: bool },
}

/// One kind of work, measured at several who do it.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    pub(crate) name: String,
    /// Such as `/s` and `ms`.
    pub(crate) unit: &'static str,
    pub(crate) bars: Vec<Bar>,
}

/// What one of them reached, round by round.
#[derive(Debug, Clone)]
pub(crate) struct Bar {
    pub(crate) who: String,
    pub(crate) rounds: Vec<f64>,
}

impl Bar {
    pub(crate) fn new(who: &str, rounds: &[f64]) -> Self {
        Self {
            who: who.to_owned(),
            rounds: rounds.to_vec(),
        }
    }

    pub(crate) fn median(&self) -> f64 {
        median(&self.rounds)
    }

    pub(crate) fn least(&self) -> f64 {
        self.rounds.iter().copied().fold(f64::INFINITY, f64::min)
    }

    pub(crate) fn most(&self) -> f64 {
        self.rounds.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    fn spread(&self) -> String {
        match self.rounds.len() {
            0 | 1 => String::new(),
            count => format!("{}–{}, {count} rounds", short(self.least()), short(self.most())),
        }
    }
}

/// The middle one; 0 where there is none.
pub(crate) fn median(rounds: &[f64]) -> f64 {
    let mut sorted = rounds.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

/// A number with as many places as it deserves.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

impl Figure {
    /// How many times each bar's value our own is; none for our own.
    fn times(&self, bar: usize) -> String {
        let (Some(ours), Some(theirs)) = (self.bars.first(), self.bars.get(bar)) else {
            return String::new();
        };
        match theirs.median() {
            value if bar > 0 && value > 0.0 => format!("{:.2}", ours.median() / value),
            _ => String::new(),
        }
    }

    /// The figure as rows of the table: what, who, median, spread, ours divided by it.
    fn rows(&self) -> Vec<[String; 5]> {
        let row = |(at, bar): (usize, &Bar)| {
            let what = if at == 0 { self.name.clone() } else { String::new() };
            let value = format!("{} {}", short(bar.median()), self.unit);
            [what, bar.who.clone(), value, bar.spread(), self.times(at)]
        };
        self.bars.iter().enumerate().map(row).collect()
    }
}

impl Entry {
    fn rows(&self) -> Vec<[String; 5]> {
        let line = |name: &str, value: &str| {
            [
                name.to_owned(),
                String::new(),
                value.to_owned(),
                String::new(),
                String::new(),
            ]
        };
        match self {
            Self::Line { name, value } => vec![line(name, value.trim())],
            Self::Figure(figure) => figure.rows(),
            Self::Goal { name, met } => vec![line(&format!("goal: {name}"), verdict(*met))],
        }
    }
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "NOT MET" }
}

impl Section {
    /// For a terminal.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("\n{}\n", self.title);
        for entry in &self.entries {
            let is_figure = matches!(entry, Entry::Figure(_));
            for [what, who, value, spread, times] in entry.rows() {
                let line = match (is_figure, times.is_empty()) {
                    (true, false) => {
                        format!("  {what:<52} {who:<30} {value:>14}   the first is {times} ×   {spread}")
                    }
                    (true, true) => format!("  {what:<52} {who:<30} {value:>14}   {spread}"),
                    (false, _) => format!("  {what:<83} {value}"),
                };
                text.push_str(line.trim_end());
                text.push('\n');
            }
        }
        text
    }

    /// As a part of a document; with the picture of this name, where it has one.
    pub(crate) fn markdown(&self, picture: Option<&str>) -> String {
        let mut text = format!(
            "\n## {}\n\n| what | who | median | the first is … × | spread |\n|---|---|--:|--:|---|\n",
            self.title
        );
        for [what, who, value, spread, times] in self.entries.iter().flat_map(Entry::rows) {
            let value = if value == verdict(false) {
                format!("**{value}**")
            } else {
                value
            };
            text.push_str(&format!("| {what} | {who} | {value} | {times} | {spread} |\n"));
        }
        if let Some(picture) = picture {
            text.push_str(&format!("\n![{}]({picture})\n", self.title));
        }
        text
    }

    fn goals(&self) -> impl Iterator<Item = (&str, bool)> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Goal { name, met } => Some((name.as_str(), *met)),
            _ => None,
        })
    }
}

impl Report {
    /// All goals, the missed ones first, as one section.
    pub(crate) fn goals(&self) -> Section {
        let mut entries: Vec<_> = self
            .sections
            .iter()
            .flat_map(|section| section.goals().map(move |goal| (section.title.as_str(), goal)))
            .collect();
        entries.sort_by_key(|(_, (_, met))| *met);
        let met = entries.iter().filter(|(_, (_, met))| *met).count();
        let line = |(title, (name, met)): (&str, (&str, bool))| Entry::Line {
            name: format!("{title}: {name}"),
            value: verdict(met).to_owned(),
        };
        Section {
            title: format!("Goals: {met} of {} met", entries.len()),
            entries: entries.into_iter().map(line).collect(),
        }
    }
}

/// Everything so far, for as long as the guard lives.
pub(crate) fn so_far() -> MutexGuard<'static, Report> {
    REPORT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Begins a section.
pub(crate) fn begin(title: &str) {
    so_far().sections.push(Section {
        title: title.to_owned(),
        entries: Vec::new(),
    });
}

/// Adds to the section that was begun last.
pub(crate) fn add(entry: Entry) {
    let mut report = so_far();
    if report.sections.is_empty() {
        report.sections.push(Section::default());
    }
    if let Some(section) = report.sections.last_mut() {
        section.entries.push(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section() -> Section {
        let bars = vec![Bar::new("ours", &[90.0, 110.0, 100.0]), Bar::new("Node", &[25.0])];
        let goal = |name: &str, met| Entry::Goal {
            name: name.to_owned(),
            met,
        };
        Section {
            title: "Claims".to_owned(),
            entries: vec![
                Entry::Figure(Figure {
                    name: "claims".to_owned(),
                    unit: "/s",
                    bars,
                }),
                goal("flat", true),
                goal("at least 5 × Node", false),
            ],
        }
    }

    #[test]
    fn a_figure_is_told_by_its_median_its_spread_and_its_ratio() {
        let text = section().markdown(Some("claims.svg"));
        assert!(
            text.contains("| claims | ours | 100 /s |  | 90.0–110, 3 rounds |"),
            "{text}"
        );
        assert!(text.contains("|  | Node | 25.0 /s | 4.00 |  |"), "{text}");
        assert!(text.contains("![Claims](claims.svg)"), "{text}");
    }

    #[test]
    fn missed_goals_stand_first() {
        let report = Report {
            sections: vec![section()],
        };
        let goals = report.goals();
        assert_eq!(goals.title, "Goals: 1 of 2 met");
        let text = goals.text();
        let place = |words: &str| text.find(words).expect(words);
        assert!(place("at least 5 × Node") < place("flat"), "{text}");
        assert!(text.contains("NOT MET"), "{text}");
    }

    #[test]
    fn every_figure_is_drawn_with_all_its_bars() {
        let picture = crate::charts::svg(&section())
            .expect("it can be drawn")
            .expect("it has a figure");
        for words in ["<svg", "claims, /s", "ours", "Node", "25.0"] {
            assert!(picture.contains(words), "{words} is missing in {picture}");
        }
    }
}
