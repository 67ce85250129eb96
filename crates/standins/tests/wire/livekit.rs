//! LiveKit's stand-in, asked by LiveKit's own client.

mod api;
mod calls;
mod faults;
mod recordings;
mod webhooks;

use std::time::{Duration, Instant};

use livekit_api::services::room::CreateRoomOptions;
use livekit_api::services::{LiveKitApi, ServerError, ServiceError};
use livekit_protocol as proto;
use serde_json::{Value, json};
use switchhook_standins::LiveKit;
use switchhook_standins::livekit::{DEFAULT_KEY, DEFAULT_SECRET, Options, Plan};

use crate::http::DEADLINE;

pub(crate) const NUMBER: &str = "61402012298";
const AGENT: &str = "nehos-outbound-agent";

fn client(livekit: &LiveKit) -> LiveKitApi {
    LiveKitApi::with_api_key(&livekit.api_url(), DEFAULT_KEY, DEFAULT_SECRET)
}

/// Steps that take no time to speak of.
fn swift() -> Plan {
    let moment = Duration::from_millis(10);
    Plan {
        job_after: moment,
        dial_after: moment,
        dials: moment,
        rings: moment,
        talks: moment,
        ..Plan::default()
    }
}

fn swift_options() -> Options {
    Options {
        plan: swift(),
        unheard: Duration::from_millis(20),
        recording_starts: Duration::from_millis(20),
        between_tries: Duration::from_millis(20),
        ..Options::default()
    }
}

fn dispatch(room: &str, number: &str) -> proto::CreateAgentDispatchRequest {
    proto::CreateAgentDispatchRequest {
        agent_name: AGENT.to_owned(),
        room: room.to_owned(),
        metadata: json!({"destination": number, "ticket_id": "INC-1"}).to_string(),
        ..proto::CreateAgentDispatchRequest::default()
    }
}

/// A room that waits for ten minutes, and a dispatch in it.
async fn dialled(livekit: &LiveKit, room: &str, number: &str) -> proto::AgentDispatch {
    let client = client(livekit);
    let options = CreateRoomOptions {
        empty_timeout: 600,
        departure_timeout: 600,
        ..CreateRoomOptions::default()
    };
    client.room().create_room(room, options).await.unwrap();
    client
        .agent_dispatch()
        .create_dispatch(dispatch(room, number))
        .await
        .unwrap()
}

/// The code with which LiveKit refused.
fn code<T: std::fmt::Debug>(refused: Result<T, ServiceError>) -> String {
    match refused.unwrap_err() {
        ServiceError::Twirp(ServerError::Twirp(error)) => error.code,
        other => panic!("{other:?}"),
    }
}

/// Asks until the answer is as wanted.
async fn until<T, F: Future<Output = T>>(
    what: &str,
    mut ask: impl FnMut() -> F,
    wanted: impl Fn(&T) -> bool,
) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        let answer = ask().await;
        if wanted(&answer) {
            return answer;
        }
        assert!(Instant::now() < end, "{what} did not come true");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The only job of a room, once it is there and as wanted.
async fn job(livekit: &LiveKit, room: &str, wanted: impl Fn(&proto::Job) -> bool) -> proto::Job {
    let client = client(livekit);
    let ask = || async {
        let dispatches = client.agent_dispatch().list_dispatch(room).await.unwrap();
        let state = dispatches.into_iter().next()?.state?;
        assert!(state.jobs.len() < 2, "two jobs");
        state.jobs.into_iter().next()
    };
    let found = until("the job", ask, |job: &Option<proto::Job>| {
        job.as_ref().is_some_and(&wanted)
    })
    .await;
    found.unwrap()
}

fn status(job: &proto::Job) -> proto::JobStatus {
    job.state.as_ref().unwrap().status()
}

/// What the callee's participant says about the call.
fn call_status(participants: &[proto::ParticipantInfo]) -> Option<&str> {
    let callee = participants
        .iter()
        .find(|one| one.attributes.contains_key("sip.callStatus"))?;
    Some(callee.attributes["sip.callStatus"].as_str())
}

fn of_event<'a>(bodies: &'a [Value], event: &str) -> Vec<&'a Value> {
    bodies.iter().filter(|body| body["event"] == event).collect()
}
