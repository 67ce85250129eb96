//! What n8n may write, and how it is read.

use serde_json::json;

use super::*;
use crate::domain::session::tests::{over, running, session};

fn read_body(body: Value) -> Result<SessionReport, Problem> {
    SessionReport::from_fields(Fields::of(body)?)
}

#[test]
fn status_words_are_read_in_any_case() {
    for (words, stage) in [
        (["finished", "completed"], Stage::Over(Ending::Completed)),
        (["failed", "error"], Stage::Over(Ending::Failed)),
        (["in_progress", "running"], Stage::Running),
    ] {
        for word in words {
            for written in [word.to_owned(), word.to_uppercase(), format!(" {word} ")] {
                assert_eq!(Stage::of(&written), Some(stage), "{written}");
            }
        }
    }
    for word in ["", "done", "finish", "in progress", "success", "FİNİSHED"] {
        assert_eq!(Stage::of(word), None, "{word}");
    }
}

#[test]
fn all_listed_words_are_accepted() {
    assert!(STATUS_WORDS.iter().all(|word| Stage::of(word).is_some()));
}

#[test]
fn a_report_is_read_leniently() {
    let body =
        json!({"sessionId": "abc", "status": "FINISHED", "callsMade": "100", "message": "ok", "more": []});
    let read = read_body(body).unwrap();
    assert_eq!(read.session_id, "abc");
    assert_eq!(
        read.report,
        Report {
            message: Some("ok".into()),
            ..over(Ending::Completed, 100)
        }
    );
    let bare = read_body(json!({"sessionId": 12, "status": "running", "callsMade": null})).unwrap();
    assert_eq!((bare.session_id.as_str(), bare.report), ("12", running(None)));
}

#[test]
fn a_missing_session_id_is_told_alone() {
    for body in [
        json!({}),
        json!({"status": "nonsense"}),
        json!({"sessionId": null, "status": "finished"}),
    ] {
        assert_eq!(read_body(body).unwrap_err().message, "sessionId is required");
    }
}

#[test]
fn an_unknown_status_lists_the_accepted_ones() {
    for body in [
        json!({"sessionId": "a"}),
        json!({"sessionId": "a", "status": "done"}),
        json!({"sessionId": "a", "status": 3}),
        json!({"sessionId": "a", "status": null}),
    ] {
        let problem = read_body(body.clone()).unwrap_err();
        assert_eq!(problem.status, 400);
        for word in STATUS_WORDS {
            assert!(problem.message.contains(word), "{body}: {}", problem.message);
        }
    }
}

#[test]
fn parts_of_the_wrong_type_are_named() {
    for (field, value) in [
        ("callsMade", json!(-1)),
        ("callsMade", json!(1_000_001)),
        ("callsMade", json!("x")),
        ("callsMade", json!(1.5)),
        ("message", json!(7)),
        ("message", json!("a\u{0}b")),
    ] {
        let mut body = json!({"sessionId": "a", "status": "finished"});
        body[field] = value;
        let problem = read_body(body.clone()).unwrap_err();
        assert!(problem.to_json()["fields"][field].is_string(), "{body}");
    }
}

#[test]
fn a_long_message_is_cut() {
    let body = json!({"sessionId": "a", "status": "finished", "message": "é".repeat(MESSAGE_CHARS + 9)});
    let message = read_body(body).unwrap().report.message.unwrap();
    assert_eq!(message.chars().count(), MESSAGE_CHARS + 1);
    assert!(message.ends_with('…'));
}

fn answer(value: Value) -> Answer {
    let Value::Object(object) = value else {
        panic!("an object")
    };
    read_answer(session().id, object)
}

#[test]
fn an_answer_with_a_known_status_is_a_report() {
    let own = session().id.to_string();
    let foreign = SessionId::new(super::super::session::tests::moment(77)).to_string();
    // A session of the same moment has another id each time: build the answer around one session.
    let session = session();
    let with_id = |id: &str| {
        let Value::Object(object) = json!({"sessionId": id, "status": "finished", "callsMade": 3}) else {
            panic!()
        };
        read_answer(session.id, object)
    };
    assert_eq!(
        with_id(&session.id.to_string()),
        Answer::Report(over(Ending::Completed, 3))
    );
    assert_eq!(
        with_id(&session.id.to_string().to_uppercase()),
        Answer::Report(over(Ending::Completed, 3))
    );
    assert!(matches!(with_id(&foreign), Answer::Foreign(_)));
    assert!(matches!(with_id(&own), Answer::Foreign(_)));
    assert!(matches!(with_id("x"), Answer::Foreign(_)));
    assert_eq!(
        answer(json!({"status": "Error"})),
        Answer::Report(over(Ending::Failed, None))
    );
    assert_eq!(
        answer(json!({"status": "running", "callsMade": "4"})),
        Answer::Report(running(4))
    );
}

#[test]
fn an_answer_without_a_known_status_says_nothing() {
    for value in [
        json!({"message": "Workflow was started"}),
        json!({"accepted": true}),
        json!({}),
        json!({"sessionId": "w70", "limit": 1, "callsMade": 0, "waitSeconds": 70}),
        json!({"status": "ok", "sessionId": "elsewhere"}),
        json!({"status": 200}),
    ] {
        assert_eq!(answer(value.clone()), Answer::Accepted, "{value}");
    }
}

#[test]
fn an_answer_that_the_webhook_would_refuse_is_not_taken() {
    assert!(matches!(
        answer(json!({"status": "finished", "callsMade": -4})),
        Answer::Unreadable(_)
    ));
    assert!(matches!(
        answer(json!({"status": "finished", "message": []})),
        Answer::Unreadable(_)
    ));
}

#[test]
fn u_0000_is_stripped_from_an_answer() {
    let Answer::Report(report) = answer(json!({"status": "failed", "message": "a\u{0}b"})) else {
        panic!()
    };
    assert_eq!(report.message.as_deref(), Some("ab"));
}
