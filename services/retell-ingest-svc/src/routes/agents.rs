//! A client's agent: connecting it, with or without proof, disconnecting it, how it stands.

use actix_web::HttpResponse;
use actix_web::web::Data;
use secrecy::SecretString;
use serde::Serialize;
use switchhook_chassis::http::failures::{Always, Guarded, WithBody};
use switchhook_chassis::http::{Failure, Json, NoBody, User};
use switchhook_core::fields::{Fields, FromFields};
use switchhook_core::ids::UserId;
use switchhook_core::lenient;
use switchhook_core::problem::Problem;
use utoipa::ToSchema;

use crate::app::AppState;
use crate::domain::agent::AgentId;
use crate::error::Error;
use crate::jobs::adopt;
use crate::store::users::Agent;
use crate::store::{tenures, users};

/// Most characters of an API key.
const KEY_MAX_CHARS: usize = 255;

/// An agent to connect.
#[derive(ToSchema)]
#[schema(as = ConnectAgent, rename_all = "camelCase")]
#[allow(dead_code, reason = "describes the body; the fields are read one by one")]
pub(crate) struct ConnectIn {
    /// `agent_` and up to 128 letters, digits and `_`.
    #[schema(
        pattern = "^agent_[A-Za-z0-9_]{1,128}$",
        examples("agent_oBeDLoLOeuAbiuaMFXRtDOLriTJ5tSxD")
    )]
    agent_id: String,
    /// A key of the agent's Retell workspace: proves that the agent is yours. Kept sealed.
    api_key: Option<String>,
}

/// What `ConnectIn` describes, read.
pub(crate) struct Connect {
    agent: AgentId,
    key: Option<SecretString>,
}

impl FromFields for Connect {
    fn from_fields(mut fields: Fields) -> Result<Self, Problem> {
        let agent = fields.required("agentId", AgentId::read);
        let key = fields.optional("apiKey", api_key);
        fields.finish()?;
        // `finish` has told what is missing.
        let agent = agent.ok_or_else(Problem::internal)?;
        Ok(Self { agent, key })
    }
}

/// A key as it may stand in a header.
fn api_key(value: &serde_json::Value) -> Result<SecretString, String> {
    let key = lenient::text(value, 1, KEY_MAX_CHARS)?;
    if key.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(key.into())
    } else {
        Err("must be printable ASCII without spaces".into())
    }
}

/// How a client's agent stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AgentStatus {
    /// Whether he has one.
    is_connected: bool,
    /// Which.
    agent_id: Option<String>,
    /// `Online` or `Offline`.
    ai_status: &'static str,
    /// Whether he has proven that it is his.
    proven: bool,
}

impl From<Option<Agent>> for AgentStatus {
    fn from(agent: Option<Agent>) -> Self {
        Self {
            is_connected: agent.is_some(),
            ai_status: if agent.is_some() { "Online" } else { "Offline" },
            proven: agent.as_ref().is_some_and(|agent| agent.proven),
            agent_id: agent.map(|agent| agent.id),
        }
    }
}

/// How a client's agent stands, answered.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AgentStatusOut {
    /// Always true.
    #[schema(default = true)]
    success: bool,
    /// How it stands.
    data: AgentStatus,
}

impl AgentStatusOut {
    pub(crate) fn of(agent: Option<Agent>) -> Self {
        Self {
            success: true,
            data: agent.into(),
        }
    }
}

/// An agent was connected.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConnectedOut {
    /// Always true.
    #[schema(default = true)]
    success: bool,
    /// `Retell agent connected successfully`.
    message: &'static str,
    /// Which, and whose.
    data: Connected,
}

/// Which agent is whose.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Connected {
    /// The agent.
    agent_id: String,
    /// The client's e-mail address, where his token tells it.
    email: Option<String>,
    /// `Online`.
    ai_status: &'static str,
}

/// The client has no agent any more.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DisconnectedOut {
    /// Always true.
    #[schema(default = true)]
    success: bool,
    /// `Retell agent disconnected successfully`.
    message: &'static str,
    /// How it stands.
    data: Disconnected,
}

/// `Offline`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Disconnected {
    /// `Offline`.
    ai_status: &'static str,
}

/// Connects an agent
///
/// It takes the place of the one before. With an API key that can see the agent it is proven, takes the agent from
/// whoever connected it without proof, and gets the calls that were held for it.
#[utoipa::path(
    post,
    path = "/api/retell/connect-agent",
    tag = "agent",
    operation_id = "connectAgent",
    request_body = ConnectIn,
    security(("userToken" = []), ("userCookie" = [])),
    responses(
        (status = 200, description = "Connected", body = ConnectedOut),
        (status = 400, description = "agentId is malformed, or apiKey is required",
            body = ref("#/components/schemas/Problem")),
        (status = 409, description = "Another account has the agent", body = ref("#/components/schemas/Problem")),
        (status = 502, description = "Retell answered an error", body = ref("#/components/schemas/Problem")),
        (status = 504, description = "Retell did not answer", body = ref("#/components/schemas/Problem")),
        Guarded, WithBody, Always
    )
)]
pub(crate) async fn connect(
    state: Data<AppState>,
    user: User,
    body: Json<Connect>,
) -> Result<HttpResponse, Failure> {
    let Connect { agent, key } = body.0;
    if key.is_none() && state.settings.retell_require_proof {
        return Err(Problem::invalid_field("apiKey", "is required").into());
    }
    if let Some(key) = &key {
        state.retell.prove(&agent, key).await.map_err(Error::from)?;
    }
    let answer = ConnectedOut {
        success: true,
        message: "Retell agent connected successfully",
        data: Connected {
            agent_id: agent.to_string(),
            email: user.email.clone(),
            ai_status: "Online",
        },
    };
    let work = Box::pin(claim(state.as_ref().clone(), user, agent, key));
    state.kit.run(work).await?;
    Ok(HttpResponse::Ok().json(answer))
}

/// Disconnects the agent
#[utoipa::path(
    delete,
    path = "/api/retell/disconnect-agent",
    tag = "agent",
    operation_id = "disconnectAgent",
    security(("userToken" = []), ("userCookie" = [])),
    responses(
        (status = 200, description = "There is no agent any more; there may have been none", body = DisconnectedOut),
        Guarded, WithBody, Always
    )
)]
pub(crate) async fn disconnect(
    state: Data<AppState>,
    user: User,
    _body: NoBody,
) -> Result<HttpResponse, Failure> {
    state.kit.run(release(state.as_ref().clone(), user.id)).await?;
    Ok(HttpResponse::Ok().json(DisconnectedOut {
        success: true,
        message: "Retell agent disconnected successfully",
        data: Disconnected { ai_status: "Offline" },
    }))
}

/// How the agent stands
#[utoipa::path(
    get,
    path = "/api/retell/agent-status",
    tag = "agent",
    operation_id = "agentStatus",
    security(("userToken" = []), ("userCookie" = [])),
    responses((status = 200, description = "How it stands", body = AgentStatusOut), Guarded, Always)
)]
pub(crate) async fn status(state: Data<AppState>, user: User) -> Result<HttpResponse, Failure> {
    let pool = state.kit.pool.clone();
    let look = async move {
        let (agent, _) = users::agent(&mut *pool.acquire().await?, &user.id).await?;
        Ok::<_, Error>(agent)
    };
    Ok(HttpResponse::Ok().json(AgentStatusOut::of(state.kit.run(look).await?)))
}

/// Makes the agent the client's, unless another has it who need not give it up.
async fn claim(state: AppState, user: User, agent: AgentId, key: Option<SecretString>) -> Result<(), Error> {
    let proven = key.is_some();
    let mut tx = state.kit.pool.begin().await?;
    tenures::take_turn(&mut tx).await?;
    // Only now: whoever waited for his turn must not begin before the one before him ended.
    let now = state.kit.clock.now();
    let holder = tenures::holder(&mut tx, &agent).await?;
    let other = holder.clone().filter(|(holder, _)| *holder != user.id);
    users::lock(&mut tx, &user.id, other.as_ref().map(|(other, _)| other)).await?;
    match &other {
        Some((_, their_proof)) if *their_proof || !proven => return Err(Error::AgentTaken),
        Some((loser, _)) => {
            tenures::end(&mut tx, loser, now).await?;
            users::disconnect(&mut tx, loser).await?;
        }
        None => {}
    }
    let again = holder.is_some_and(|(holder, _)| holder == user.id);
    if again && proven {
        tenures::prove(&mut tx, &user.id).await?;
    } else if !again {
        tenures::end(&mut tx, &user.id, now).await?;
        tenures::begin(&mut tx, &agent, &user.id, proven, now).await?;
    }
    if !again || proven {
        let sealed = key.map(|key| state.vault.seal(&user.id, &key)).transpose();
        let sealed = sealed.map_err(|error| sqlx::Error::Encode(error.into()))?;
        users::connect(
            &mut tx,
            &user.id,
            user.email.as_deref(),
            &agent,
            sealed.as_deref(),
        )
        .await?;
    }
    tx.commit().await?;
    state.announce(
        [Some(&user.id), other.as_ref().map(|(loser, _)| loser)]
            .into_iter()
            .flatten(),
    );
    tracing::info!(agent_id = %agent, user = %user.id, proven, "agent connected");
    adopt::all_of(&state, &agent).await;
    Ok(())
}

async fn release(state: AppState, user: UserId) -> Result<(), Error> {
    let mut tx = state.kit.pool.begin().await?;
    tenures::take_turn(&mut tx).await?;
    users::lock_existing(&mut tx, &user).await?;
    tenures::end(&mut tx, &user, state.kit.clock.now()).await?;
    let had_one = users::disconnect(&mut tx, &user).await?;
    tx.commit().await?;
    if had_one {
        state.announce([&user]);
        tracing::info!(%user, "agent disconnected");
    }
    Ok(())
}
