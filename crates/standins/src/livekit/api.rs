//! Which request to the API gets which answer: the table of what is known, and the way through it.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{Method, Request};
use livekit_protocol as proto;
use serde_json::Value;

use super::token::Grants;
use super::wire::{self, Fault, Form};
use super::world::Platform;
use super::{calls, control, dispatches, recordings, rooms};
use crate::control::{Control, Orders, Refused};
use crate::log::Log;
use crate::role::{Received, Role};
use crate::server::Answer;

/// One line per procedure: its path, what it takes, what it gives, what does it.
macro_rules! procedures {
    ($($path:literal: $request:ty => $response:ty, $perform:path;)+) => {
        fn request_as_json(path: &str, body: &[u8]) -> Option<Value> {
            match path {
                $($path => wire::shown::<$request>(body),)+
                _ => None,
            }
        }

        fn answer_as_json(path: &str, body: &[u8]) -> Option<Value> {
            match path {
                $($path => wire::shown::<$response>(body),)+
                _ => None,
            }
        }

        async fn perform(
            platform: &Arc<Platform>,
            grants: &Grants,
            form: Form,
            path: &str,
            body: &[u8],
        ) -> Result<Answer, Fault> {
            match path {
                $($path => {
                    let request: $request = form.decode(body)?;
                    let response: $response = $perform(platform, grants, request).await?;
                    Ok(form.encode(&response))
                })+
                _ => Err(no_route(&format!("no handler for path {path:?}"))),
            }
        }
    };
}

procedures! {
    "/twirp/livekit.RoomService/CreateRoom": proto::CreateRoomRequest => proto::Room, rooms::create_room;
    "/twirp/livekit.RoomService/ListRooms": proto::ListRoomsRequest => proto::ListRoomsResponse, rooms::list_rooms;
    "/twirp/livekit.RoomService/DeleteRoom": proto::DeleteRoomRequest => proto::DeleteRoomResponse, rooms::delete_room;
    "/twirp/livekit.RoomService/ListParticipants":
        proto::ListParticipantsRequest => proto::ListParticipantsResponse, rooms::list_participants;
    "/twirp/livekit.RoomService/GetParticipant":
        proto::RoomParticipantIdentity => proto::ParticipantInfo, rooms::get_participant;
    "/twirp/livekit.RoomService/RemoveParticipant":
        proto::RoomParticipantIdentity => proto::RemoveParticipantResponse, rooms::remove_participant;
    "/twirp/livekit.AgentDispatchService/CreateDispatch":
        proto::CreateAgentDispatchRequest => proto::AgentDispatch, dispatches::create_dispatch;
    "/twirp/livekit.AgentDispatchService/ListDispatch":
        proto::ListAgentDispatchRequest => proto::ListAgentDispatchResponse, dispatches::list_dispatch;
    "/twirp/livekit.AgentDispatchService/DeleteDispatch":
        proto::DeleteAgentDispatchRequest => proto::AgentDispatch, dispatches::delete_dispatch;
    "/twirp/livekit.SIP/CreateSIPParticipant":
        proto::CreateSipParticipantRequest => proto::SipParticipantInfo, calls::create_sip_participant;
    "/twirp/livekit.Egress/StartRoomCompositeEgress":
        proto::RoomCompositeEgressRequest => proto::EgressInfo, recordings::start_room_composite;
    "/twirp/livekit.Egress/StartEgress": proto::StartEgressRequest => proto::EgressInfo, recordings::start;
    "/twirp/livekit.Egress/ListEgress": proto::ListEgressRequest => proto::ListEgressResponse, recordings::list;
    "/twirp/livekit.Egress/StopEgress": proto::StopEgressRequest => proto::EgressInfo, recordings::stop;
}

fn no_route(msg: &str) -> Fault {
    Fault::new("bad_route", msg)
}

fn plain(status: u16, text: &str) -> Answer {
    wire::answer(status, "text/plain; charset=utf-8", text.as_bytes().to_vec())
}

impl Role for Platform {
    fn orders(&self) -> &Orders {
        &self.orders
    }

    fn log(&self) -> &Log {
        &self.log
    }

    async fn answer(self: &Arc<Self>, received: Received, order: Option<&Control>) -> Answer {
        // An order that says what is answered stands in the place of whatever would have been done, unless it says otherwise.
        let answered = order.filter(|order| order.status.is_some() || order.body.is_some());
        if answered.is_some_and(|order| !order.acts) {
            return plain(200, "");
        }
        if received.path == "/" {
            return plain(200, "OK");
        }
        let grants = match self.grants(&received.parts.headers) {
            Ok(grants) => grants,
            Err(why) => return plain(401, &why),
        };
        if !received.path.starts_with("/twirp/") {
            return plain(404, "404 page not found\n");
        }
        if received.parts.method != Method::POST {
            let method = &received.parts.method;
            return no_route(&format!("unsupported method {method:?} (only POST is allowed)")).answer();
        }
        let Some(form) = Form::of(&received.parts.headers) else {
            return no_route("unexpected Content-Type").answer();
        };
        match perform(self, &grants, form, &received.path, &received.body).await {
            Ok(answer) => answer,
            Err(fault) => {
                tokio::time::sleep(fault.after).await;
                fault.answer()
            }
        }
    }

    fn dressed(status: u16, content_type: &str, body: String) -> Answer {
        wire::answer(status, content_type, body.into_bytes())
    }

    fn too_large() -> Answer {
        plain(413, "request body too large")
    }

    fn admits(order: &Control) -> Result<(), Refused> {
        match order.mode {
            None => Ok(()),
            Some(_) => Err(Refused {
                field: "mode".to_owned(),
                why: "is for workflows alone",
            }),
        }
    }

    fn request_as_json(parts: &Parts, path: &str, body: &[u8]) -> Option<Value> {
        let is_protobuf = Form::of(&parts.headers) == Some(Form::Protobuf);
        is_protobuf.then(|| request_as_json(path, body)).flatten()
    }

    fn answer_as_text(path: &str, answer: &Answer) -> String {
        let decoded = wire::is_protobuf(answer).then(|| answer_as_json(path, &answer.body));
        match decoded.flatten() {
            Some(decoded) => decoded.to_string(),
            None => String::from_utf8_lossy(&answer.body).into_owned(),
        }
    }

    async fn own_control(self: &Arc<Self>, request: Request<Incoming>) -> Result<Answer, Request<Incoming>> {
        control::answer(self, request).await
    }
}
