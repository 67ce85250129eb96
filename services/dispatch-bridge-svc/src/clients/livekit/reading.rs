//! What LiveKit gives, in our words. Values that it does not know are kept as numbers.

use livekit_protocol as proto;

use crate::domain::ids::DispatchId;
use crate::domain::livekit::{Dispatch, Egress, Job, JobState, Participant, moment};

/// A dispatch; one without an id is none.
pub(super) fn dispatch(made: proto::AgentDispatch) -> Option<Dispatch> {
    let id = DispatchId::parse(made.id)?;
    let state = made.state.unwrap_or_default();
    let job = |job: proto::Job| {
        let state = job.state.unwrap_or_default();
        Job {
            dispatch_id: if job.dispatch_id.is_empty() {
                id.as_str().to_owned()
            } else {
                job.dispatch_id
            },
            room: job.room.map_or_else(|| made.room.clone(), |room| room.name),
            id: job.id,
            state: JobState {
                status: state.status,
                started_at: moment(state.started_at).map(Into::into),
                ended_at: moment(state.ended_at).map(Into::into),
                error: state.error,
            },
        }
    };
    Some(Dispatch {
        jobs: state
            .jobs
            .into_iter()
            .filter(|found| !found.id.is_empty())
            .map(job)
            .collect(),
        agent_name: made.agent_name,
        created_at: moment(state.created_at),
        id,
    })
}

pub(super) fn participant(info: proto::ParticipantInfo) -> Participant {
    Participant {
        joined_at: moment(info.joined_at_ms).or_else(|| moment(info.joined_at)),
        identity: info.identity,
        kind: info.kind,
        attributes: info.attributes.into_iter().collect(),
        disconnect_reason: info.disconnect_reason,
    }
}

pub(super) fn egress(info: proto::EgressInfo) -> Egress {
    let file = info.file_results.into_iter().next().unwrap_or_default();
    let some = |text: String| (!text.is_empty()).then_some(text);
    Egress {
        id: info.egress_id,
        status: info.status,
        error: info.error,
        started_at: moment(info.started_at),
        ended_at: moment(info.ended_at),
        location: some(file.location),
        filename: some(file.filename),
    }
}
