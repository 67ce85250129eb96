//! What uptime checks ask.

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Serialize;
use switchhook_chassis::http::failures::Always;
use switchhook_core::models::time::WireTime;
use utoipa::ToSchema;

use crate::app::AppState;

/// That the process lives.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HealthOut {
    /// Always `ok`.
    #[schema(examples("ok"))]
    status: &'static str,
    /// `SERVICE_TITLE`.
    service: String,
    /// Chats with an open socket at this replica.
    active_sessions: usize,
    /// Seconds since the start.
    uptime: f64,
    /// Now.
    timestamp: WireTime,
}

/// Whether the process lives, from memory
#[utoipa::path(
    get,
    path = "/health",
    tag = "service",
    operation_id = "health",
    security(()),
    responses((status = 200, description = "It does", body = HealthOut), Always)
)]
pub(crate) async fn health(state: Data<AppState>) -> HttpResponse {
    HttpResponse::Ok().json(HealthOut {
        status: "ok",
        service: state.kit.settings.service_title.clone(),
        active_sessions: state.hub.sessions(),
        uptime: (state.begun.elapsed().as_secs_f64() * 1e3).round() / 1e3,
        timestamp: state.kit.clock.now().into(),
    })
}
