//! Claims: the workflow asks before it dials.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use serde::Serialize;
use switchhook_chassis::http::{Failure, FromN8n, MachinePost};
use switchhook_core::fields::{Fields, FromFields};
use switchhook_core::ids::SessionId;
use switchhook_core::lenient;
use switchhook_core::problem::Problem;
use utoipa::ToSchema;

use crate::app::AppState;
use crate::clients::n8n;
use crate::commits::Judged;
use crate::domain::claim::{Decision, Denial, Granted, Standing};
use crate::error::Error;
use crate::store;
use crate::store::sessions::{Revision, Saving};
use switchhook_chassis::http::failures::{Always, Guarded, WithBody};

const CALL_ID_CHARS: usize = 255;
/// Tries to be judged with others, before a claim waits for the session's lock.
const SHARED_TRIES: u32 = 3;

/// Which call is claimed.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct ClaimCall {
    /// The workflow's own name for the call: claimed again, it is counted once and gets the same answer. A whole
    /// number is taken too.
    #[schema(max_length = 255)]
    call_id: Option<String>,
}

impl FromFields for ClaimCall {
    fn from_fields(mut fields: Fields) -> Result<Self, Problem> {
        let call_id = fields.optional("callId", |value| lenient::id_text(value, 1, CALL_ID_CHARS));
        fields.finish()?;
        Ok(Self { call_id })
    }
}

/// Why a call may not be made.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Refusal {
    /// The day's limit is used up.
    LimitReached,
    /// The session is over.
    Stopped,
}

/// Whether the call may be made.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClaimOut {
    /// Whether to dial.
    allowed: bool,
    /// Calls of the session, this one included.
    calls_made: i32,
    /// Calls left of the day.
    remaining: i64,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Refusal>,
}

impl From<Decision> for ClaimOut {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Grant(Granted {
                calls_made,
                remaining,
            })
            | Decision::Repeat(Granted {
                calls_made,
                remaining,
            }) => Self {
                allowed: true,
                calls_made,
                remaining,
                reason: None,
            },
            Decision::Deny { denial, calls_made } => {
                let reason = match denial {
                    Denial::LimitReached => Refusal::LimitReached,
                    Denial::Stopped => Refusal::Stopped,
                };
                Self {
                    allowed: false,
                    calls_made,
                    remaining: 0,
                    reason: Some(reason),
                }
            }
        }
    }
}

/// The session was erased lately: a refusal that a workflow reads like any other.
#[derive(Debug, Serialize, ToSchema)]
struct ErasedClaimOut {
    /// Always true.
    #[schema(default = true)]
    success: bool,
    /// Always true.
    #[schema(default = true)]
    erased: bool,
    #[serde(flatten)]
    refusal: ClaimOut,
}

impl ErasedClaimOut {
    fn new() -> Self {
        let denied = Decision::Deny {
            denial: Denial::Stopped,
            calls_made: 0,
        };
        Self {
            success: true,
            erased: true,
            refusal: denied.into(),
        }
    }
}

/// What came of a claim.
#[derive(Debug)]
enum Claimed {
    /// It was judged.
    Judged(Decision),
    /// The session was erased lately.
    Erased,
}

/// Claims the next call, before dialling
///
/// However many executions claim at once, they never get more calls than the limit leaves of the day.
#[utoipa::path(
    post,
    path = "/api/ai-session/{id}/calls",
    tag = "n8n",
    operation_id = "claimCall",
    params(("id" = String, Path, description = "The session", format = Uuid)),
    request_body(content = Option<ClaimCall>),
    security(("webhookSecret" = [])),
    responses(
        (status = 200, description = "Whether to dial", body = ClaimOut),
        (status = 400, description = "callId is wrong", body = ref("#/components/schemas/Problem")),
        (status = 404, description = "Session not found", body = ref("#/components/schemas/Problem")),
        Guarded, WithBody, Always
    )
)]
pub(crate) async fn claim(
    state: Data<AppState>,
    _machine: MachinePost,
    id: Path<String>,
    body: FromN8n<ClaimCall>,
) -> Result<HttpResponse, Failure> {
    let id = id.parse().map_err(|_| Error::UnknownSession)?;
    match state
        .kit
        .run(judge(state.as_ref().clone(), id, body.0.call_id))
        .await?
    {
        Claimed::Judged(decision) => Ok(HttpResponse::Ok().json(ClaimOut::from(decision))),
        Claimed::Erased => Ok(HttpResponse::Ok().json(ErasedClaimOut::new())),
    }
}

/// Judges a claim together with those that come at the same time; by itself where that cannot be, or others were faster
/// again and again.
async fn judge(state: AppState, id: SessionId, call_id: Option<String>) -> Result<Claimed, Error> {
    for _ in 0..SHARED_TRIES {
        match state.commits.claim(id, call_id.clone()).await? {
            Judged::Decided(decision) => return Ok(Claimed::Judged(decision)),
            Judged::Overtaken => {}
            Judged::Alone => break,
        }
    }
    // Seldom needed, and large: a claim that is judged with others does not carry it along.
    Box::pin(judge_alone(state, id, call_id)).await
}

/// Judges a claim under the session's lock.
async fn judge_alone(state: AppState, id: SessionId, call_id: Option<String>) -> Result<Claimed, Error> {
    let (_, day) = state.moment();
    let mut tx = state.kit.pool.begin().await?;
    let Some(found) = store::sessions::lock(&mut tx, id, day).await? else {
        let erased = store::erasure::was_erased(&mut tx, id).await?;
        return if erased {
            Ok(Claimed::Erased)
        } else {
            Err(Error::UnknownSession)
        };
    };
    let before = found.session;
    let facts = store::claims::lock_day(&mut tx, &before, day, call_id.as_deref()).await?;
    let decision = Standing::of(&before, facts.calls_today).judge(facts.earlier);
    let mut session = before.clone();
    session.hear();
    let granted = match decision {
        Decision::Grant(granted) => Some(granted),
        Decision::Repeat(_) | Decision::Deny { .. } => None,
    };
    if granted.is_some() {
        session.count_call();
    }
    if session != before {
        n8n::withdraw_obsolete(&mut tx, &mut session).await?;
        let saving = Saving {
            increase: i32::from(granted.is_some()),
            claim: call_id.as_deref().zip(granted),
            ..Saving::only(day, Revision::Raise)
        };
        let snapshot = store::sessions::save(&mut tx, session, saving).await?;
        tx.commit().await?;
        state.announce(&snapshot.session.user_id);
    }
    Ok(Claimed::Judged(decision))
}
