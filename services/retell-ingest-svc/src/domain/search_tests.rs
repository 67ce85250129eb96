//! What a search finds, and what PostgreSQL is asked.

use proptest::prelude::*;

use super::*;

fn search(text: &str) -> Search {
    Search {
        words: Search::words_of(text).unwrap(),
        sentiment: None,
    }
}

fn finds(asked: &str, text: &str) -> bool {
    search(asked).finds(&Words::of([text]), Sentiment::Unknown)
}

#[test]
fn all_words_must_be_there_and_long_ones_may_go_on() {
    let text = "Agent: Hello Müller, your appointment is at 4:30.\nUser: It's +1 (415) 555-0100!";
    for asked in [
        "müller",
        "MÜLL",
        "appoint hello",
        "hello, appointment!",
        "415-555",
        "4 30",
        "it's",
        "0100",
    ] {
        assert!(finds(asked, text), "{asked}");
    }
    // Nothing before the word, nothing after a short one, no word that is not there.
    for asked in ["pointment", "he", "a", "appointment tomorrow", "415555", "55"] {
        assert!(!finds(asked, text), "{asked}");
    }
}

#[test]
fn scripts_without_spaces_are_searched_by_character() {
    assert!(finds("预约", "我想预约明天"));
    assert!(finds("tesla 试驾", "Tesla试驾可以吗"));
    assert!(!finds("取消", "我想预约明天"));
}

#[test]
fn a_search_has_words_and_not_too_many() {
    assert_eq!(Search::words_of("B a b A").unwrap(), ["a", "b"]);
    for nothing in ["", " ", "!?", "…", "\u{1f600}", "' -- %"] {
        assert!(Search::words_of(nothing).is_err(), "{nothing}");
    }
    assert!(Search::words_of("a b c d e f g h i j").is_ok());
    assert!(Search::words_of("a b c d e f g h i j k").is_err());
}

#[test]
fn a_digest_is_written_as_postgresql_reads_it() {
    let owner = UserId::parse("o'neill\\1").unwrap();
    let words = Words::of(["Yes, yes: no", "Maybe"]);
    assert_eq!(
        words.tsvector(&owner, Sentiment::Positive),
        r"'maybe' 'no' 'yes' '@o''neill\\1' '#positive'"
    );
    let asked = Search {
        words: Search::words_of("no maybe").unwrap(),
        sentiment: Some(Sentiment::Negative),
    };
    assert_eq!(
        asked.tsquery(&owner),
        r"'@o''neill\\1' & '#negative' & 'maybe':* & 'no'"
    );
}

#[test]
fn the_longest_text_fits_into_a_digest() {
    let mut text = String::new();
    for n in 0..400_000 {
        text.push_str(&format!("{n:x} "));
    }
    let owner = UserId::parse("ada").unwrap();
    let digest = Words::of([text.as_str(), &"é".repeat(5_000)]).tsvector(&owner, Sentiment::Unknown);
    let lexemes = digest.split(' ').map(|lexeme| lexeme.len() - 2);
    assert!(lexemes.clone().max() <= Some(400));
    assert!(lexemes.sum::<usize>() < 1 << 19);
}

#[test]
fn the_sentiment_must_fit_where_one_is_asked_for() {
    let words = Words::of(["hello"]);
    let asked = Search {
        sentiment: Some(Sentiment::Neutral),
        ..search("hello")
    };
    assert!(asked.finds(&words, Sentiment::Neutral));
    assert!(!asked.finds(&words, Sentiment::Unknown));
}

proptest! {
    #[test]
    fn every_text_finds_itself(text in "\\PC{0,60}") {
        if let Ok(words) = Search::words_of(&text) {
            let found = Search { words, sentiment: None }.finds(&Words::of([text.as_str()]), Sentiment::Unknown);
            prop_assert!(found);
        }
    }

    #[test]
    fn a_word_is_found_by_its_beginning(word in "[a-zäöü]{3,20}", cut in 3_usize..20) {
        let beginning: String = word.chars().take(cut).collect();
        let text = format!("x {word} y");
        prop_assert!(finds(&beginning, &text));
    }
}
