//! What a whole run writes to its logs: no secret, no token, whatever happens.

use std::time::Duration;

use devstack::logs::Output;
use e2e::people::client;
use e2e::visitors::Visitor;
use serde_json::json;

use crate::houses::{Desk, HOUSES, House, street};
use crate::load::{Load, acknowledged};
use crate::raw::host;
use crate::{ALONE, say};

const TRAFFIC: Duration = Duration::from_secs(3);
/// As a text in a URL, in JSON or in `Debug` output it would look like this, too.
fn forms(secret: &str) -> Vec<String> {
    use base64::Engine;
    let encoded = base64::engine::general_purpose::STANDARD.encode(secret);
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let bytes = format!("{:?}", secret.as_bytes());
    vec![secret.to_owned(), encoded, hex, bytes]
}

/// What n8n, Retell and LiveKit present, what users present, and what opens the database.
#[tokio::test(flavor = "multi_thread")]
async fn no_line_of_a_whole_run_has_a_secret_or_a_token() {
    let _alone = ALONE.lock().await;
    let directory = tempfile::tempdir().unwrap();
    let output = Output {
        terminal: false,
        directory: Some(directory.path().to_owned()),
    };
    let stack = street()
        .set("RUST_LOG", "debug")
        .set("DEV_SIGN_IN", "true")
        .private_postgres()
        .output(output)
        .start()
        .await
        .unwrap();
    let desk = Desk::open(&stack).await;
    let mut visitor = Visitor::new("logged".to_owned());
    let sockets = host(stack.replica(House::Chat.name(), 0).ws_url().unwrap());
    visitor.connect(&sockets).await.unwrap();
    visitor.say("my card is 4242-words-of-a-visitor").await;
    let load = Load::begin(&desk);
    tokio::time::sleep(TRAFFIC).await;
    let user = e2e::people::token(&stack, "logged");
    prod(&stack, &user).await;
    // Outages are when errors quote what they should not.
    stack.postgres().stop().await;
    tokio::time::sleep(TRAFFIC).await;
    stack.n8n().down().await.unwrap();
    stack.postgres().start().await.unwrap();
    tokio::time::sleep(TRAFFIC).await;
    let told = load.end().await;
    assert!(
        HOUSES
            .into_iter()
            .all(|house| !acknowledged(&told, house).is_empty())
    );
    let secrets = secrets(&stack, &user, visitor.token());
    for house in HOUSES {
        let _ = stack.replica(house.name(), 0).stop().await;
    }
    let (mut lines, mut found) = (0, Vec::new());
    for house in HOUSES {
        let mut text = String::new();
        for name in [
            format!("{}.log", house.name()),
            format!("{}.log.old", house.name()),
        ] {
            text += &std::fs::read_to_string(directory.path().join(name)).unwrap_or_default();
        }
        lines += text.lines().count();
        assert!(text.lines().count() > 100, "{house:?} has logged");
        for (name, secret) in &secrets {
            let hit = text
                .lines()
                .find(|line| forms(secret).iter().any(|form| line.contains(form.as_str())));
            found.extend(hit.map(|line| format!("{house:?}: {name}: {line}")));
        }
    }
    say(&format!(
        "{lines} lines at debug level, {} secrets looked for, each in four forms",
        secrets.len()
    ));
    assert!(found.is_empty(), "{}", found.join("\n"));
    stack.stop().await.unwrap();
}

/// Credentials of every kind, right and wrong, where they belong and where not.
async fn prod(stack: &devstack::Stack, user: &str) {
    let client = client();
    for house in HOUSES {
        let base = stack.url(house.name(), 0);
        let secret = &stack.keys().webhook_secret;
        let sign_in = client
            .post(format!("{base}/sign-in"))
            .json(&json!({"token": user}));
        assert_eq!(sign_in.send().await.unwrap().status(), 200);
        for path in [
            "/api/tasks",
            "/dispatches",
            "/api/retell/calls",
            "/api/sessions",
            "/api/ai-session",
        ] {
            let url = format!("{base}{path}");
            let _ = client.get(&url).bearer_auth(user).send().await.unwrap();
            let _ = client.get(&url).bearer_auth(secret).send().await.unwrap();
            let _ = client
                .get(&url)
                .header("cookie", format!("access_token={user}"))
                .send()
                .await
                .unwrap();
            let _ = client
                .get(format!("{url}?access_token={user}"))
                .send()
                .await
                .unwrap();
            let wrong = client
                .post(&url)
                .header("x-n8n-webhook-secret", format!("{secret}x"));
            let _ = wrong.body(user.to_owned()).send().await.unwrap();
        }
    }
}

fn secrets(stack: &devstack::Stack, user: &str, resume: &str) -> Vec<(&'static str, String)> {
    let keys = stack.keys();
    let password = stack.database_url().split([':', '@']).nth(2).unwrap().to_owned();
    vec![
        ("the machines' secret", keys.webhook_secret.clone()),
        ("the tokens' secret", keys.jwt_secret.clone().unwrap()),
        ("n8n's secret", keys.n8n_secret.clone()),
        ("Retell's key", keys.retell_key.clone()),
        ("LiveKit's secret", keys.livekit_key.1.clone()),
        ("the data key", keys.data_key.clone()),
        ("the database's password", password),
        ("a user's token", user.rsplit('.').next().unwrap().to_owned()),
        ("a visitor's token", resume.to_owned()),
        ("a visitor's words", "4242-words-of-a-visitor".to_owned()),
    ]
}
