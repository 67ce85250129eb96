//! The service under test: one route for each thing that the chassis does.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use actix_web::web::{self, Data, Path};
use actix_web::{HttpRequest, HttpResponse, error};
use futures_util::stream;
use serde_json::{Map, Value, json};
use sqlx::migrate::Migrator;
use switchhook_chassis::app::{Program, ServiceSettings};
use switchhook_chassis::clock::SystemClock;
use switchhook_chassis::config::{CommonSettings, SettingError, SettingSpec, SettingsBlock, Source};
use switchhook_chassis::http::address::ClientAddress;
use switchhook_chassis::http::sse::{self, Event, LastEventId};
use switchhook_chassis::http::{
    Caller, Failure, FromN8n, Json, Machine, MachinePost, Paging, Query, RequestTrace, User, next_url,
    resource,
};
use switchhook_chassis::kit::Kit;
use switchhook_chassis::outbox::Outbox;
use switchhook_chassis::service::Service;
use switchhook_chassis::testing::TestApp;
use switchhook_core::fields::{Fields, FromFields};
use switchhook_core::ids::UserId;
use switchhook_core::lenient;
use switchhook_core::problem::Problem;
use tokio::sync::Semaphore;

/// Nobody listens there: what needs no database does not get one.
pub(crate) const NO_DATABASE: &str = "postgres://nobody:secret-password@127.0.0.1:1/none";

pub(crate) static MIGRATOR: LazyLock<Migrator> = LazyLock::new(migrations);

fn migrations() -> Migrator {
    let mut migrator = sqlx::migrate!("tests/http/migrations");
    migrator.dangerous_set_table_name("http_test._sqlx_migrations");
    migrator.create_schema("http_test");
    migrator
}

/// The service has no settings of its own.
#[derive(Clone)]
pub(crate) struct NoSettings;

impl SettingsBlock for NoSettings {
    const SPECS: &'static [SettingSpec] = &[];

    fn read(_: &Source) -> Result<Self, SettingError> {
        Ok(Self)
    }
}

#[derive(Clone)]
pub(crate) struct Mini {
    /// `GET slow` waits for a permit.
    pub(crate) gate: Arc<Semaphore>,
    /// Bytes of data that `GET flood` was asked for.
    pub(crate) flooded: Arc<AtomicUsize>,
}

impl Program for Mini {
    const SERVICE: Service = Service {
        name: "mini-svc",
        env_prefix: "MINI",
        schema: "http_test",
        port: 3999,
        path_prefix: "minis",
        title: "Minis",
        retention_days: 30,
        version: "1.2.3",
    };
    type Own = NoSettings;
    type State = Self;

    fn migrator() -> Migrator {
        migrations()
    }

    fn page() -> switchhook_pages::Page {
        const ASSETS: &[switchhook_pages::Asset] = &[switchhook_pages::Asset {
            path: "app.js",
            mime: "text/javascript; charset=utf-8",
            bytes: b"1;",
        }];
        switchhook_pages::Page {
            title: "Minis",
            description: "Small things.",
            styles: &["tokens.css"],
            cards: &[],
            assets: ASSETS,
        }
    }

    fn page_settings(_: &NoSettings, _: &CommonSettings) -> Map<String, Value> {
        Map::from_iter([("maxItems".to_owned(), 3.into())])
    }

    fn openapi() -> utoipa::openapi::OpenApi {
        utoipa::openapi::OpenApi::default()
    }

    fn validate(_: &ServiceSettings<NoSettings>) -> Result<(), SettingError> {
        Ok(())
    }

    fn state(_: Kit, _: NoSettings) -> Result<Self, SettingError> {
        Ok(Self {
            gate: Arc::new(Semaphore::new(0)),
            flooded: Arc::default(),
        })
    }

    fn outbox(_: &Self) -> Option<&Outbox> {
        None
    }

    fn start(_: &Self) {}

    fn routes(api: &mut web::ServiceConfig) {
        api.service(resource("/api/mini/items").get(list).post(create))
            .service(resource("/api/mini/items/{id}").get(item).delete(remove))
            .service(resource("/api/mini/hook").post(hook))
            .service(resource("/api/mini/hook-read").get(hook_read))
            .service(resource("/api/mini/big").post(create).max_body(2 * 1024 * 1024))
            .service(resource("/api/mini/whoami").get(whoami))
            .service(resource("/api/mini/caller").get(caller).post(caller))
            .service(resource("/api/mini/place").get(place))
            .service(resource("/api/mini/panic").get(panics))
            .service(resource("/api/mini/foreign-error").get(foreign_error))
            .service(resource("/api/mini/database").get(database))
            .service(resource("/api/mini/slow").get(slow))
            .service(resource("/api/mini/flood").get(flood))
            .service(resource("/api/mini/events").get(events));
    }

    async fn erase(_: &Self, _: &UserId) -> Result<u64, sqlx::Error> {
        Ok(0)
    }
}

/// A replica without a database.
pub(crate) async fn mini(overrides: &[(&str, &str)]) -> TestApp<Mini> {
    TestApp::start_unready(NO_DATABASE, overrides, Arc::new(SystemClock))
        .await
        .0
}

#[derive(Debug)]
pub(crate) struct Item {
    name: String,
    count: i64,
}

impl FromFields for Item {
    fn from_fields(mut fields: Fields) -> Result<Self, Problem> {
        let name = fields.required("name", |value| lenient::text(value, 1, 10));
        let count = fields.optional("count", |value| lenient::integer(value, 1, 5));
        fields.finish()?;
        Ok(Self {
            name: name.unwrap_or_default(),
            count: count.unwrap_or(1),
        })
    }
}

impl Item {
    fn out(&self) -> HttpResponse {
        HttpResponse::Created().json(json!({"success": true, "name": self.name, "count": self.count}))
    }
}

#[derive(Debug)]
struct Filter {
    days: Option<i64>,
}

impl FromFields for Filter {
    fn from_fields(mut fields: Fields) -> Result<Self, Problem> {
        let days = fields.optional("days", |value| lenient::integer(value, 1, 366));
        fields.finish()?;
        Ok(Self { days })
    }
}

async fn create(_: User, Json(item): Json<Item>) -> HttpResponse {
    item.out()
}

async fn hook(MachinePost(machine): MachinePost, FromN8n(item): FromN8n<Item>) -> HttpResponse {
    HttpResponse::Ok().json(json!({"success": true, "machine": machine.name, "name": item.name}))
}

async fn hook_read(MachinePost(machine): MachinePost) -> HttpResponse {
    HttpResponse::Ok().json(json!({"machine": machine.name}))
}

async fn list(request: HttpRequest, _: User, Query(filter): Query<Filter>, paging: Paging) -> HttpResponse {
    let next = next_url(&request, "n/2");
    HttpResponse::Ok()
        .json(json!({"success": true, "items": [], "next": next, "days": filter.days, "limit": paging.limit}))
}

async fn item(path: Path<u32>) -> HttpResponse {
    HttpResponse::Ok().json(json!({"id": *path}))
}

async fn remove(machine: Machine, path: Path<u32>) -> HttpResponse {
    HttpResponse::Ok().json(json!({"erased": *path, "machine": machine.name}))
}

async fn whoami(user: User) -> HttpResponse {
    HttpResponse::Ok().json(json!({"id": user.id, "email": user.email, "roles": user.roles}))
}

async fn caller(caller: Caller) -> HttpResponse {
    HttpResponse::Ok().json(match caller {
        Caller::User(user) => json!({"user": user.id}),
        Caller::Machine(machine) => json!({"machine": machine.name}),
    })
}

async fn place(RequestTrace(trace): RequestTrace, ClientAddress(client): ClientAddress) -> HttpResponse {
    HttpResponse::Ok().json(json!({"traceparent": trace.to_string(), "client": client}))
}

async fn panics() -> HttpResponse {
    panic!("a defect with internals in its words")
}

async fn foreign_error() -> Result<HttpResponse, actix_web::Error> {
    Err(error::ErrorBadRequest("words of another crate"))
}

async fn database(kit: Data<Kit>) -> Result<HttpResponse, Failure> {
    let pool = kit.pool.clone();
    let one: i32 = kit
        .run(async move { sqlx::query_scalar("SELECT 1").fetch_one(&pool).await })
        .await?;
    Ok(HttpResponse::Ok().json(json!({"one": one})))
}

async fn slow(mini: Data<Mini>) -> HttpResponse {
    match mini.gate.acquire().await {
        Ok(_permit) => HttpResponse::Ok().json(json!({"success": true})),
        Err(_closed) => HttpResponse::InternalServerError().finish(),
    }
}

async fn events(
    kit: Data<Kit>,
    user: User,
    LastEventId(last): LastEventId,
) -> Result<HttpResponse, Infallible> {
    let first = Event {
        name: "mini",
        id: "1".into(),
        data: json!({"last": last}).to_string(),
    };
    let events = stream::unfold(Some(first), |next| async move {
        match next {
            Some(event) => Some((event, None)),
            None => std::future::pending().await,
        }
    });
    Ok(sse::respond(&kit, user.expires_at, events))
}

async fn flood(kit: Data<Kit>, mini: Data<Mini>, user: User) -> HttpResponse {
    let flooded = Arc::clone(&mini.flooded);
    let events = stream::repeat_with(move || {
        flooded.fetch_add(10_000, Ordering::SeqCst);
        Event {
            name: "drop",
            id: "1".into(),
            data: "x".repeat(10_000),
        }
    });
    sse::respond(&kit, user.expires_at, events)
}
