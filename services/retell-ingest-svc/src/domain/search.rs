//! What a search means: which words a call has, and which words are asked for.
//!
//! Words are told apart here and not by PostgreSQL, whose idea of a letter depends on the locale that the database was
//! made with: every installation finds the same. A word is a run of letters and digits in lower case; where a script has no
//! spaces, each character is a word.
//!
//! Besides its words a digest has marks: whose call it is, and its sentiment. They begin with a character that no word has,
//! so that one index answers what a client looks for among his own calls.

use std::collections::{BTreeSet, HashSet};
use std::ops::Bound;

use switchhook_core::ids::UserId;

use super::day::Range;
use super::shown::Sentiment;

/// Most characters of a search.
pub const QUERY_MAX_CHARS: usize = 200;
/// Most words of a search.
pub const QUERY_MAX_WORDS: usize = 10;
/// Characters of transcript and of summary that are searched: hours of speech.
pub const TEXT_MAX_CHARS: i32 = 200_000;
/// A word of so many characters also finds longer ones that begin with it.
const PREFIX_MIN_CHARS: usize = 3;
/// Characters of a word that count.
const WORD_MAX_CHARS: usize = 100;
/// Bytes of all words of a call; PostgreSQL takes 1 MiB.
const WORDS_MAX_BYTES: usize = 500_000;

/// The words of a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words(BTreeSet<String>);

impl Words {
    /// The words of some texts.
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut words = BTreeSet::new();
        let mut bytes = 0;
        // People repeat themselves: most runs are known from before, and cost one look.
        let mut known = HashSet::new();
        let new = texts.into_iter().flat_map(runs).filter(|run| known.insert(*run));
        for word in new.flat_map(words_of_run) {
            if bytes + word.len() > WORDS_MAX_BYTES {
                break;
            }
            let length = word.len();
            if words.insert(word) {
                bytes += length;
            }
        }
        Self(words)
    }

    fn has(&self, asked: &str) -> bool {
        if !is_prefix(asked) {
            return self.0.contains(asked);
        }
        let from_here_on = self.0.range::<str, _>((Bound::Included(asked), Bound::Unbounded));
        from_here_on.take(1).any(|word| word.starts_with(asked))
    }

    /// The digest of a call of this client, as PostgreSQL reads a `tsvector`.
    pub fn tsvector(&self, owner: &UserId, sentiment: Sentiment) -> String {
        let marks = [owner_mark(owner), sentiment_mark(sentiment)];
        let lexemes = self.0.iter().chain(&marks).map(|word| quoted(word));
        lexemes.collect::<Vec<_>>().join(" ")
    }
}

/// Which of his calls a client asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// When they began.
    pub range: Range,
    /// What they have.
    pub search: Search,
}

/// What a call must have: all of these words, and this sentiment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// Each must be in the transcript or in the summary.
    pub words: Vec<String>,
    /// How the person must have felt.
    pub sentiment: Option<Sentiment>,
}

impl Search {
    /// The words of what a client typed.
    ///
    /// # Errors
    /// It has none, or too many; the reason completes the sentence `q …`.
    pub fn words_of(text: &str) -> Result<Vec<String>, String> {
        let mut words: Vec<String> = split(text).collect();
        words.sort_unstable();
        words.dedup();
        match words.len() {
            0 => Err("must have a letter or a digit".to_owned()),
            1..=QUERY_MAX_WORDS => Ok(words),
            _ => Err(format!("must have at most {QUERY_MAX_WORDS} words")),
        }
    }

    /// Whether every call is asked for.
    pub fn is_everything(&self) -> bool {
        self.words.is_empty() && self.sentiment.is_none()
    }

    /// Whether a call is asked for.
    pub fn finds(&self, words: &Words, sentiment: Sentiment) -> bool {
        self.sentiment.is_none_or(|asked| asked == sentiment) && self.words.iter().all(|word| words.has(word))
    }

    /// The same for the digests of one client, as PostgreSQL reads a `tsquery`.
    pub fn tsquery(&self, owner: &UserId) -> String {
        let marks = [Some(owner_mark(owner)), self.sentiment.map(sentiment_mark)];
        let marks = marks.into_iter().flatten().map(|mark| quoted(&mark));
        let words = self.words.iter().map(|word| match is_prefix(word) {
            true => format!("{}:*", quoted(word)),
            false => quoted(word),
        });
        marks.chain(words).collect::<Vec<_>>().join(" & ")
    }
}

fn is_prefix(word: &str) -> bool {
    word.chars().nth(PREFIX_MIN_CHARS - 1).is_some()
}

fn owner_mark(owner: &UserId) -> String {
    format!("@{owner}")
}

fn sentiment_mark(sentiment: Sentiment) -> String {
    format!("#{}", sentiment.word().to_lowercase())
}

/// A lexeme as `tsvector` and `tsquery` read it.
fn quoted(lexeme: &str) -> String {
    format!("'{}'", lexeme.replace('\\', "\\\\").replace('\'', "''"))
}

/// The words of a text, one after the other.
fn split(text: &str) -> impl Iterator<Item = String> {
    runs(text).flat_map(words_of_run)
}

/// The runs of letters and digits.
fn runs(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|run| !run.is_empty())
}

/// The words of a run: itself, but for scripts without spaces.
fn words_of_run(run: &str) -> impl Iterator<Item = String> + use<> {
    let mut words = vec![String::new()];
    let mut chars = 0;
    for c in run.chars() {
        if stands_alone(c) {
            words.extend([c.to_string(), String::new()]);
            chars = 0;
        } else if chars < WORD_MAX_CHARS {
            // Character by character: how a letter is written small must not depend on what follows.
            words
                .last_mut()
                .into_iter()
                .for_each(|word| word.extend(c.to_lowercase()));
            chars += 1;
        }
    }
    words.into_iter().filter(|word| !word.is_empty())
}

/// Letters of scripts without spaces: kana and Chinese characters.
fn stands_alone(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{323af}')
}

#[cfg(test)]
#[path = "search_tests.rs"]
mod tests;
