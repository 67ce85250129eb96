//! What is shown of calls: lists, pages, the stream.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::{EventReader, json_of};

use crate::world::{Ask, World, call, failed, id_of, replica};

async fn ids(world: &World, query: &str) -> Vec<String> {
    let list = world.app.read(&format!("/dispatches{query}")).await;
    assert_eq!(list["success"], true);
    list["items"].as_array().unwrap().iter().map(id_of).collect()
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn calls_are_listed_newest_first_page_by_page_and_by_what_they_are(pool: PgPool) {
    let world = World::new(&pool).await;
    let mut made = Vec::new();
    for number in 0..5 {
        let account = if number == 2 { "other" } else { "em-tech-01" };
        let body = json!({"destination": format!("6140201229{number}"), "account_code": account});
        made.insert(0, id_of(&world.dialled(body).await));
    }
    assert_eq!(ids(&world, "").await, made);
    assert_eq!(ids(&world, "?account_code=other").await, [made[2].clone()]);
    let over = json_of(world.app.cancel(&made[0]).await, 200).await;
    assert_eq!(ids(&world, "?status=ended").await, [id_of(&over)]);
    let (mut seen, mut next) = (Vec::new(), world.app.url("/dispatches?limit=2"));
    loop {
        let request = world
            .app
            .client()
            .get(&next)
            .header("x-n8n-webhook-secret", world.app.secret());
        let page = json_of(request.send().await.unwrap(), 200).await;
        seen.extend(page["items"].as_array().unwrap().iter().map(id_of));
        match page["next"].as_str() {
            Some(url) => next = url.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, made);
    for wrong in [
        "?limit=0",
        "?limit=201",
        "?cursor=x",
        "?status=gone",
        "?account_code=",
    ] {
        let path = format!("/dispatches{wrong}");
        failed(
            world.app.as_machine(Method::GET, &path, None).await,
            400,
            "invalid_field",
        )
        .await;
    }
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn the_stream_tells_every_change_on_any_replica_and_goes_on_where_it_was_left(pool: PgPool) {
    let world = World::new(&pool).await;
    let other = replica(&pool, &world.livekit, &world.n8n, &[]).await;
    let first = id_of(&world.dialled(call("61402012298")).await);
    let token = other.operator("ada");
    let mut stream = EventReader::open_with(&other, &token, "/dispatches/events", None).await;
    let seen = stream
        .until(|seen| seen.data["dispatch_id"] == first.as_str())
        .await;
    assert_eq!(seen.event, "dispatch");
    let second = id_of(&world.dialled(call("61402012299")).await);
    let position = stream
        .until(|seen| seen.data["dispatch_id"] == second.as_str())
        .await
        .id;
    drop(stream);
    json_of(world.app.cancel(&first).await, 200).await;
    let mut stream = EventReader::open_with(&other, &token, "/dispatches/events", Some(&position)).await;
    let is_over = |data: &Value| data["dispatch_id"] == first.as_str() && data["status"] == "ended";
    let over = stream.until(|seen| is_over(&seen.data)).await;
    let shown = world.app.shown(&first).await;
    for (field, value) in over.data.as_object().unwrap() {
        // LiveKit may have told more meanwhile.
        if !["updated_at", "state"].contains(&field.as_str()) {
            assert_eq!(*value, shown[field], "{field}");
        }
    }
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_stream_that_knows_nothing_of_this_database_begins_with_the_present(pool: PgPool) {
    let world = World::new(&pool).await;
    let id = id_of(&world.dialled(call("61402012298")).await);
    for last in ["9000000000000000000", "-1", "x"] {
        let token = world.app.operator("ada");
        let mut stream = EventReader::open_with(&world.app, &token, "/dispatches/events", Some(last)).await;
        stream.until(|seen| seen.data["dispatch_id"] == id.as_str()).await;
    }
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn only_machines_and_operators_work_with_calls(pool: PgPool) {
    let world = World::new(&pool).await;
    let id = id_of(&world.dialled(call("61402012298")).await);
    let app = &world.app;
    let one = format!("/dispatch/{id}");
    for (method, path) in [
        (Method::POST, "/dispatch"),
        (Method::GET, one.as_str()),
        (Method::DELETE, one.as_str()),
        (Method::GET, "/dispatches"),
        (Method::GET, "/dispatches/events"),
    ] {
        let body = (method == Method::POST).then(|| call("61402012298"));
        let nobody = app
            .client()
            .request(method.clone(), app.url(path))
            .send()
            .await
            .unwrap();
        failed(nobody, 401, "unauthorized").await;
        failed(app.as_user("ada", method, path, body).await, 403, "forbidden").await;
    }
    let asked = app
        .client()
        .get(app.url(&one))
        .bearer_auth(app.operator("ada"))
        .send()
        .await
        .unwrap();
    assert_eq!(id_of(&json_of(asked, 200).await), id);
    assert_eq!(world.acted().len(), 1);
}
