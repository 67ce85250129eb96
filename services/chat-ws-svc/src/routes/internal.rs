//! What replicas tell each other.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use switchhook_chassis::http::Failure;
use switchhook_chassis::http::auth::Sibling;
use switchhook_chassis::http::body::json_bytes;
use switchhook_core::problem::Problem;

use crate::app::AppState;
use crate::registry::Hint;

/// A hint in a body.
pub(crate) struct HintIn(Hint);

impl FromRequest for HintIn {
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Failure>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let bytes = json_bytes(request, payload);
        Box::pin(async move {
            let hint = serde_json::from_slice(&bytes.await?);
            Ok(Self(hint.map_err(|error| {
                Problem::invalid_json(format!("This is no hint: {error}"))
            })?))
        })
    }
}

/// `POST /internal/hints`: waits until a socket here has flushed what the hint is about, where it is about an entry.
pub(crate) async fn hint(
    state: Data<AppState>,
    _sibling: Sibling,
    hint: HintIn,
) -> Result<HttpResponse, Failure> {
    let registry = state.registry.clone();
    let told = state
        .kit
        .tasks
        .run(async move { registry.receive(hint.0).await })
        .await;
    let told = told.map_err(|lost| Failure::internal(&lost))?;
    Ok(HttpResponse::Ok().json(told))
}
