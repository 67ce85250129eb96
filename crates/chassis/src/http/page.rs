//! The page for people: its HTML, its files, and what it needs to know about this installation (`page.json`).

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::http::header::{self, EntityTag, Header, IfNoneMatch};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use switchhook_core::models::time::WireTime;
use switchhook_core::problem::Problem;
use switchhook_pages::{Asset, Page};

use super::auth::{Anyone, Caller, User};
use super::{Failure, address};
use crate::config::{CommonSettings, PageLink};
use crate::kit::Kit;

/// What a page may load and do: its own origin's files, nothing inline, nothing from outside.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                           connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; \
                           frame-ancestors 'none'";
/// Names of files do not change with their content: ask each time, pay only for what changed.
const REVALIDATE: &str = "no-cache";

/// A file with the tag of its content.
struct File {
    mime: &'static str,
    bytes: Bytes,
    tag: EntityTag,
}

impl File {
    fn new(mime: &'static str, bytes: Bytes) -> Self {
        let digest = Sha256::digest(&bytes);
        Self {
            mime,
            bytes,
            tag: EntityTag::new_strong(URL_SAFE_NO_PAD.encode(&digest[..12])),
        }
    }
}

/// The files of a service's page, its own and the shared ones.
#[derive(Clone)]
pub(crate) struct Files {
    index: Arc<File>,
    assets: Arc<HashMap<&'static str, File>>,
    settings: Arc<Map<String, Value>>,
}

impl Files {
    /// `settings` is what the service tells its page.
    pub(crate) fn new(page: &Page, settings: Map<String, Value>) -> Self {
        let of = |asset: &'static Asset| (asset.path, File::new(asset.mime, Bytes::from_static(asset.bytes)));
        let assets = switchhook_pages::shared()
            .iter()
            .chain(page.assets)
            .map(of)
            .collect();
        let index = File::new("text/html; charset=utf-8", page.document().into());
        Self {
            index: Arc::new(index),
            assets: Arc::new(assets),
            settings: Arc::new(settings),
        }
    }
}

/// `GET /` and `GET /<prefix>/`, and the page's views beside them: its relative links hold there too.
pub(super) async fn index(request: HttpRequest, files: Data<Files>) -> HttpResponse {
    serve(&request, &files.index)
}

/// `GET assets/<path>`.
pub(super) async fn asset(
    request: HttpRequest,
    path: Path<String>,
    files: Data<Files>,
) -> Result<HttpResponse, Failure> {
    let file = files.assets.get(path.as_str());
    let file = file.ok_or_else(|| Problem::not_found("There is no such file"))?;
    Ok(serve(&request, file))
}

fn serve(request: &HttpRequest, file: &File) -> HttpResponse {
    let known = match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => request.headers().contains_key(header::IF_NONE_MATCH),
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|tag| tag.weak_eq(&file.tag)),
        Err(_) => false,
    };
    let mut response = if known {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    response
        .insert_header(header::ETag(file.tag.clone()))
        .insert_header((header::CACHE_CONTROL, REVALIDATE))
        .insert_header((header::CONTENT_SECURITY_POLICY, PAGE_POLICY));
    if known {
        response.finish()
    } else {
        response
            .insert_header((header::CONTENT_TYPE, file.mime))
            .body(file.bytes.clone())
    }
}

/// `GET <prefix>`: the page's links are relative and need the slash.
pub(super) async fn to_folder(request: HttpRequest) -> HttpResponse {
    let last = request.path().rsplit('/').next().unwrap_or_default();
    HttpResponse::PermanentRedirect()
        .insert_header((header::LOCATION, format!("{last}/")))
        .finish()
}

/// `GET page.json`: what the page needs to know.
pub(super) async fn page_json(
    request: HttpRequest,
    kit: Data<Kit>,
    files: Data<Files>,
    Anyone(caller): Anyone,
) -> HttpResponse {
    let user = match caller {
        Some(Caller::User(user)) => Some(user),
        _ => None,
    };
    let public_url = address::base_url(request.head(), &kit.settings);
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(facts(&kit, &files, &public_url, user.as_ref()))
}

/// The content of `page.json`.
fn facts(kit: &Kit, files: &Files, public_url: &str, user: Option<&User>) -> Value {
    let settings = &kit.settings;
    json!({
        "success": true,
        "service": kit.service.name,
        "current": kit.service.path_prefix,
        "title": settings.service_title,
        "version": kit.service.version,
        "pages": menu(settings),
        "signInUrl": settings.sign_in_url.as_ref().map(url::Url::as_str),
        "devSignIn": settings.dev_sign_in,
        "publicUrl": public_url,
        "user": user.map(|user| json!({"id": user.id, "email": user.email, "roles": user.roles})),
        "expiresAt": user.map(|user| WireTime(user.expires_at)),
        "retentionDays": settings.retention_days.get(),
        "settings": *files.settings,
    })
}

/// Where the entries of the menu lead; null where one is off.
fn menu(settings: &CommonSettings) -> Value {
    let link = |link: &PageLink, prefix: &str| match link {
        PageLink::SameHost => Value::from(format!("/{prefix}/")),
        PageLink::Elsewhere(url) => Value::from(url.as_str()),
        PageLink::Off => Value::Null,
    };
    json!({
        "sessions": link(&settings.pages_session_url, "sessions"),
        "calls": link(&settings.pages_retell_url, "calls"),
        "chats": link(&settings.pages_chat_url, "chats"),
        "dispatches": link(&settings.pages_dispatch_url, "dispatches"),
        "tasks": link(&settings.pages_task_chat_url, "tasks"),
    })
}
