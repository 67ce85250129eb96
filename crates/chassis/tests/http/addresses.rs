//! Page, assets, documents and probes, at both of their addresses.

use serde_json::{Value, json};
use switchhook_chassis::testing::json_of;

use crate::mini::mini;

#[tokio::test]
async fn the_page_and_its_files_stand_under_both_addresses() {
    let app = mini(&[]).await;
    for folder in ["", "/minis"] {
        let get = async |path: &str| {
            app.client()
                .get(app.url(&format!("{folder}{path}")))
                .send()
                .await
                .unwrap()
        };
        let index = get("/").await;
        assert_eq!(index.headers()["content-type"], "text/html; charset=utf-8");
        let policy = index.headers()["content-security-policy"]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(
            policy.contains("script-src 'self';") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert!(index.text().await.unwrap().contains("<title>Minis</title>"));
        let script = get("/assets/app.js").await;
        assert_eq!(script.headers()["content-type"], "text/javascript; charset=utf-8");
        assert_eq!(script.text().await.unwrap(), "1;");
        for asset in switchhook_pages::shared() {
            let shared = get(&format!("/assets/{}", asset.path)).await;
            assert_eq!(
                (
                    shared.status().as_u16(),
                    shared.headers()["content-type"].to_str().unwrap()
                ),
                (200, asset.mime)
            );
        }
        assert_eq!(get("/assets/nothing.js").await.status(), 404);
    }
    let bare = app.client().get(app.url("/minis")).send().await.unwrap();
    assert_eq!(
        (
            bare.status().as_u16(),
            bare.headers()["location"].to_str().unwrap()
        ),
        (308, "minis/")
    );
}

#[tokio::test]
async fn a_file_that_is_known_is_not_sent_again() {
    let app = mini(&[]).await;
    let first = app.client().get(app.url("/assets/app.js")).send().await.unwrap();
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(first.headers()["cache-control"], "no-cache");
    for (known, status) in [
        (tag.as_str(), 304),
        (&format!("\"x\", W/{tag}"), 304),
        ("*", 304),
        ("\"other\"", 200),
    ] {
        let request = app
            .client()
            .get(app.url("/assets/app.js"))
            .header("if-none-match", known);
        let again = request.send().await.unwrap();
        assert_eq!(again.status(), status, "{known}");
        assert_eq!(again.headers()["etag"], tag.as_str(), "{known}");
    }
}

#[tokio::test]
async fn the_page_learns_where_it_is_and_who_looks() {
    let app = mini(&[
        ("PAGES_CHAT_URL", "https://chats.example.com/"),
        ("PAGES_TASK_CHAT_URL", "off"),
        ("SIGN_IN_URL", "https://app.example.com/login"),
        ("SERVICE_TITLE", "Acme"),
    ])
    .await;
    let stranger = app
        .client()
        .get(app.url("/minis/page.json"))
        .send()
        .await
        .unwrap();
    assert_eq!(stranger.headers()["cache-control"], "no-store");
    let stranger = json_of(stranger, 200).await;
    let expected = json!({
        "success": true, "service": "mini-svc", "current": "minis", "title": "Acme", "version": "1.2.3",
        "pages": {"sessions": "/sessions/", "calls": "/calls/", "chats": "https://chats.example.com/",
            "dispatches": "/dispatches/", "tasks": null},
        "signInUrl": "https://app.example.com/login", "devSignIn": false, "user": null, "expiresAt": null,
        "retentionDays": 30, "settings": {"maxItems": 3},
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&stranger[name], value, "{name}");
    }
    let request = app
        .client()
        .get(app.url("/page.json"))
        .header("cookie", format!("access_token={}", app.operator("o")));
    let known = json_of(request.send().await.unwrap(), 200).await;
    assert_eq!(
        known["user"],
        json!({"id": "o", "email": "o@example.com", "roles": ["operator"]})
    );
    assert!(known["expiresAt"].as_str().is_some_and(|at| at.ends_with("000Z")));
    let wrong = app
        .client()
        .get(app.url("/page.json"))
        .header("cookie", "access_token=x")
        .send()
        .await
        .unwrap();
    assert_eq!(
        json_of(wrong, 200).await["user"],
        Value::Null,
        "a page without a user, not a failure"
    );
}

#[tokio::test]
async fn the_documents_load_nothing_from_outside() {
    let app = mini(&[]).await;
    for folder in ["", "/minis"] {
        let get = async |path: &str| {
            app.client()
                .get(app.url(&format!("{folder}{path}")))
                .send()
                .await
                .unwrap()
        };
        let bare = get("/docs").await;
        assert_eq!(
            (
                bare.status().as_u16(),
                bare.headers()["location"].to_str().unwrap()
            ),
            (308, "docs/")
        );
        let index = get("/docs/").await;
        assert!(
            index.headers()["content-type"]
                .to_str()
                .unwrap()
                .starts_with("text/html")
        );
        let index = index.text().await.unwrap();
        for link in index
            .split(['"', '\''])
            .filter(|text| text.ends_with(".js") || text.ends_with(".css"))
        {
            assert!(!link.starts_with('/'), "{link} is not relative");
            assert_eq!(
                get(&format!("/docs/{}", link.trim_start_matches("./")))
                    .await
                    .status(),
                200,
                "{link}"
            );
        }
        assert!(!index.contains("://"), "{index}");
        assert!(
            !index.contains("<script>") && !index.contains("<style"),
            "nothing inline: {index}"
        );
        let start = get("/docs/swagger-initializer.js").await.text().await.unwrap();
        assert!(start.contains("\"../openapi.json\""), "{start}");
        let described: Value = get("/openapi.json").await.json().await.unwrap();
        assert_eq!(described["openapi"], "3.1.0");
        assert_eq!(
            described["info"],
            json!({"title": "mini-svc", "version": "1.2.3"})
        );
        for path in [
            "/healthz",
            "/readyz",
            "/metrics",
            "/page.json",
            "/sign-in",
            "/sign-out",
        ] {
            assert!(described["paths"][path].is_object(), "{path}");
        }
        assert!(described["components"]["schemas"]["Problem"].is_object());
    }
}
