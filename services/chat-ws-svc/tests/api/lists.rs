//! Lists of chats, one chat, transcripts.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::json_of;

use crate::world::{Ask, SAM, SEND, World, failed, gone, stored, texts, to};
use crate::ws_client::{Visitor, replica};

fn ids(list: &Value) -> Vec<String> {
    let sessions = list["sessions"].as_array().unwrap();
    sessions
        .iter()
        .map(|session| session["sessionId"].as_str().unwrap().to_owned())
        .collect()
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn the_connected_chats_of_all_replicas_are_listed(pool: PgPool) {
    let world = World::silent(&pool).await;
    let other = replica(&pool, &world.n8n, &[]).await;
    let (here, there) = (Visitor::new(&world.app).await, Visitor::new(&other).await);
    let (away, _) = gone(&world.app).await;
    let list = world.app.read("/api/sessions").await;
    assert_eq!(
        (&list["success"], &list["count"], &list["next"]),
        (&json!(true), &json!(2), &Value::Null)
    );
    assert_eq!(ids(&list), [there.session.clone(), here.session.clone()]);
    for session in list["sessions"].as_array().unwrap() {
        assert_eq!(
            (&session["connected"], &session["readyState"], &session["mode"]),
            (&json!(true), &json!(1), &json!("bot"))
        );
    }
    let all = world.app.read("/api/sessions?state=all").await;
    assert_eq!((&all["count"], ids(&all)[0].as_str()), (&json!(3), away.as_str()));
    assert_eq!(
        (
            &all["sessions"][0]["connected"],
            &all["sessions"][0]["readyState"]
        ),
        (&json!(false), &json!(3))
    );
    // A replica that is killed takes its visitors with it, once it is dead by the database's clock.
    other.kill();
    sqlx::query("UPDATE chat.replicas SET beat_at = now() - interval '11 s' WHERE id <> $1")
        .bind(world.app.kit().replica.id())
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(
        ids(&world.app.read("/api/sessions").await),
        [here.session.as_str()]
    );
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_list_is_read_page_by_page(pool: PgPool) {
    let world = World::silent(&pool).await;
    let mut visitors = Vec::new();
    for _ in 0..5 {
        visitors.push(Visitor::new(&world.app).await.session);
    }
    let (mut seen, mut path) = (Vec::new(), "/api/sessions?state=all&limit=2".to_owned());
    loop {
        let page = world.app.read(&path).await;
        assert_eq!(page["count"], 5);
        seen.extend(ids(&page));
        match page["next"].as_str() {
            Some(next) => {
                let (_, rest) = next.split_once("/api/").unwrap();
                path = format!("/api/{rest}");
            }
            None => break,
        }
    }
    visitors.sort();
    visitors.reverse();
    assert_eq!(seen, visitors);
    for wrong in [
        "limit=0",
        "limit=201",
        "cursor=x",
        "state=gone",
        "state=",
        "q=%00",
    ] {
        let path = format!("/api/sessions?{wrong}");
        failed(
            world.app.as_machine(Method::GET, &path, None).await,
            400,
            "invalid_field",
        )
        .await;
    }
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn chats_are_found_by_what_was_said_in_them(pool: PgPool) {
    let world = World::silent(&pool).await;
    let (mut one, two) = (Visitor::new(&world.app).await, Visitor::new(&world.app).await);
    one.say("Where is my REFUND? 100%_sure", "c1").await;
    stored(world.app.as_n8n(SEND, to(&two.session, "It is on its way")).await).await;
    for (words, found) in [
        ("refund", vec![&one.session]),
        ("on its WAY", vec![&two.session]),
        ("100%25_s", vec![&one.session]),
        ("%25x%25", vec![]),
        ("", vec![&two.session, &one.session]),
    ] {
        let list = world
            .app
            .read(&format!("/api/sessions?state=all&q={}", words.replace(' ', "+")))
            .await;
        assert_eq!(
            (ids(&list).iter().collect::<Vec<_>>(), &list["count"]),
            (found.clone(), &json!(found.len())),
            "{words}"
        );
    }
    let by_id = world.app.read(&format!("/api/sessions?q={}", one.session)).await;
    assert_eq!(ids(&by_id), [one.session.as_str()]);
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_chat_shows_its_last_message_and_where_the_visitor_is(pool: PgPool) {
    let world = World::silent(&pool).await;
    let mut visitor = Visitor::new(&world.app).await;
    let chat = world.app.chat(&visitor.session).await;
    assert_eq!(
        (&chat["lastMessage"], &chat["channel"]),
        (&Value::Null, &json!("default"))
    );
    let id = visitor.say("hello", "c1").await;
    let chat = world.app.chat(&visitor.session).await;
    assert_eq!(
        (
            &chat["lastMessage"]["messageId"],
            &chat["lastMessage"]["from"],
            &chat["lastMessage"]["text"]
        ),
        (&json!(id), &json!("user"), &json!("hello"))
    );
    assert!(chat["updatedAt"].as_str() >= chat["createdAt"].as_str());
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_transcript_is_read_oldest_first_and_page_by_page(pool: PgPool) {
    let world = World::silent(&pool).await;
    let mut visitor = Visitor::new(&world.app).await;
    for text in ["1", "2"] {
        visitor.say(text, text).await;
    }
    let sam = world.app.operator(SAM);
    json_of(
        world
            .app
            .hand_over(&sam, &visitor.session, "takeover", json!({}))
            .await,
        200,
    )
    .await;
    stored(world.app.as_n8n(SEND, to(&visitor.session, "3")).await).await;
    let path = format!("/api/sessions/{}/messages", visitor.session);
    let first = world.app.read(&format!("{path}?limit=2")).await;
    assert_eq!(texts(first["items"].as_array().unwrap()), ["1", "2"]);
    let next = first["next"].as_str().unwrap().to_owned();
    assert!(next.starts_with(&world.app.url(&path)), "{next}");
    let rest = world
        .app
        .as_operator(SAM, Method::GET, &next[world.app.url("").len()..], None)
        .await;
    let rest = json_of(rest, 200).await;
    assert_eq!(
        (texts(rest["items"].as_array().unwrap()), &rest["next"]),
        (vec!["3"], &Value::Null)
    );
    for wrong in ["cursor=0", "cursor=x", "limit=x"] {
        failed(
            world
                .app
                .as_machine(Method::GET, &format!("{path}?{wrong}"), None)
                .await,
            400,
            "invalid_field",
        )
        .await;
    }
    let unknown = world
        .app
        .as_machine(Method::GET, "/api/sessions/cw-1-a/messages", None)
        .await;
    failed(unknown, 404, "session_not_found").await;
}
