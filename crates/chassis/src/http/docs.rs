//! The description of the API (`openapi.json`) and the interactive page over it (`docs/`), which loads nothing from
//! outside and stands under any prefix, because every link in it is relative.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{Data, Path};
use bytes::Bytes;
use serde_json::{Value, json};
use switchhook_core::problem::Problem;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::Config;

use super::Failure;
use crate::service::Service;

/// As a page's, but for the style attributes that the vendored viewer writes.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                           img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; \
                           form-action 'self'; frame-ancestors 'none'";

/// The description, as bytes and as the viewer's configuration.
#[derive(Clone)]
pub(crate) struct Description {
    json: Bytes,
    viewer: Arc<Config<'static>>,
}

impl Description {
    /// The service's own description with what every service has.
    pub(crate) fn new(service: &Service, own: &OpenApi) -> Result<Self, serde_json::Error> {
        let mut document = serde_json::to_value(own)?;
        complete(&mut document, service);
        let viewer = Config::new(["../openapi.json"])
            .try_it_out_enabled(true)
            .use_base_layout();
        Ok(Self {
            json: Bytes::from(serde_json::to_vec(&document)?),
            viewer: Arc::new(viewer),
        })
    }
}

/// `GET openapi.json`.
pub(super) async fn openapi(description: Data<Description>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/json"))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .body(description.json.clone())
}

/// `GET docs/<path>`.
pub(super) async fn docs(
    path: Path<String>,
    description: Data<Description>,
) -> Result<HttpResponse, Failure> {
    let file = utoipa_swagger_ui::serve(&path, Arc::clone(&description.viewer)).map_err(|error| {
        tracing::error!(%error, "the viewer's files are broken");
        Problem::internal()
    })?;
    let file = file.ok_or_else(|| Problem::not_found("There is no such file"))?;
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, file.content_type))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::CONTENT_SECURITY_POLICY, DOCS_POLICY));
    Ok(response.body(file.bytes.into_owned()))
}

fn complete(document: &mut Value, service: &Service) {
    document["info"]["title"] = service.name.into();
    document["info"]["version"] = service.version.into();
    // Paths are absolute on whichever host the description came from.
    document["servers"] = json!([{"url": "/"}]);
    for (path, item) in common_paths() {
        document["paths"][path] = item;
    }
    let components = &mut document["components"];
    components["schemas"]["Problem"] = problem_schema();
    for (name, scheme) in security_schemes() {
        components["securitySchemes"][name] = scheme;
    }
}

fn security_schemes() -> [(&'static str, Value); 3] {
    [
        (
            "userToken",
            json!({"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A user's token"}),
        ),
        (
            "userCookie",
            json!({"type": "apiKey", "in": "cookie", "name": "access_token", "description": "A user's token"}),
        ),
        (
            "webhookSecret",
            json!({"type": "apiKey", "in": "header", "name": "x-n8n-webhook-secret",
                "description": "The secret that machines present"}),
        ),
    ]
}

fn problem_schema() -> Value {
    json!({
        "type": "object",
        "description": "Every failure of every service",
        "required": ["success", "error", "code"],
        "properties": {
            "success": {"type": "boolean", "const": false},
            "error": {"type": "string", "description": "A sentence for a person"},
            "code": {"type": "string", "description": "A word for a program", "examples": ["invalid_field"]},
            "fields": {"type": "object", "additionalProperties": {"type": "string"},
                "description": "Where fields are wrong: why, by name"},
        },
        "additionalProperties": true,
    })
}

fn common_paths() -> [(&'static str, Value); 6] {
    let probe = json!({"200": object("It can"), "503": failure("It cannot; the reason is in the body")});
    let figures = json!({"200": {"description": "Figures",
        "content": {"text/plain": {"schema": {"type": "string"}}}}});
    let signed_in = json!({
        "200": object("Signed in"),
        "400": failure("No token"),
        "401": failure("The token is wrong"),
        "403": failure("Another site asks"),
        "404": failure("DEV_SIGN_IN is off"),
        "413": failure("The body is too large"),
        "415": failure("The body is no JSON"),
    });
    let signed_out = json!({"200": object("Signed out"), "403": failure("Another site asks")});
    let mut sign_in = operation(
        "signIn",
        "Makes a user's token the cookie; only with DEV_SIGN_IN",
        signed_in,
    );
    sign_in["requestBody"] = json!({"required": true, "content": {"application/json": {"schema": {
        "type": "object", "required": ["token"], "properties": {"token": {"type": "string", "minLength": 1}}}}}});
    let lives = operation(
        "healthz",
        "Whether the process lives",
        json!({"200": object("It lives")}),
    );
    let page = json!({"200": object("Installation and user")});
    [
        ("/healthz", json!({"get": lives})),
        (
            "/readyz",
            json!({"get": operation("readyz", "Whether it can do its work", probe)}),
        ),
        (
            "/metrics",
            json!({"get": operation("metrics", "Figures for Prometheus", figures)}),
        ),
        (
            "/page.json",
            json!({"get": operation("pageJson", "What the page needs to know", page)}),
        ),
        ("/sign-in", json!({"post": sign_in})),
        (
            "/sign-out",
            json!({"post": operation("signOut", "Clears the sign-in cookie", signed_out)}),
        ),
    ]
}

fn operation(id: &str, summary: &str, responses: Value) -> Value {
    json!({"tags": ["service"], "operationId": id, "summary": summary, "responses": responses})
}

fn object(description: &str) -> Value {
    json!({"description": description, "content": {"application/json": {"schema": {"type": "object"}}}})
}

fn failure(description: &str) -> Value {
    let schema = json!({"$ref": "#/components/schemas/Problem"});
    json!({"description": description, "content": {"application/json": {"schema": schema}}})
}
