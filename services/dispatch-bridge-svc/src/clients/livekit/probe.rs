//! Whether LiveKit is there and takes our key, by a request of our own: LiveKit answers an unknown key in plain text, of which
//! its client keeps not even the status.

use std::time::Duration;

use livekit_api::access_token::{AccessToken, VideoGrants};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, json};
use switchhook_chassis::outbound::Outbound;

use crate::config::DispatchSettings;
use crate::domain::ids::Room;
use crate::domain::trouble::{Refusal, Trouble};

/// Longest that a probe may take.
const LIMIT: Duration = Duration::from_millis(1_500);

/// Asks for a room that nobody has.
pub(super) struct Probe {
    client: reqwest::Client,
    url: String,
    key: String,
    secret: SecretString,
}

impl Probe {
    pub(super) fn new(settings: &DispatchSettings, outbound: &Outbound) -> Self {
        let base = settings.livekit_url.0.clone();
        let base = match base.strip_prefix("ws") {
            Some(rest) => format!("http{rest}"),
            None => base,
        };
        Self {
            client: outbound.client().clone(),
            url: format!("{base}/twirp/livekit.RoomService/ListRooms"),
            key: settings.livekit_api_key.clone(),
            secret: settings.livekit_api_secret.clone(),
        }
    }

    /// Nothing where all is well.
    pub(super) async fn ask(&self) -> Result<(), Trouble> {
        let grants = VideoGrants {
            room_list: true,
            ..VideoGrants::default()
        };
        let token = AccessToken::with_api_key(&self.key, self.secret.expose_secret()).with_grants(grants);
        let token = token
            .to_jwt()
            .map_err(|error| Trouble::Unusable(error.to_string()))?;
        let request = self.client.post(&self.url).bearer_auth(token).timeout(LIMIT);
        let answer = request.json(&json!({"names": [Room::new(0)]})).send().await;
        let status = answer
            .map_err(|error| super::reading::request_trouble(&error))?
            .status();
        match status.as_u16() {
            200 => Ok(()),
            401 | 403 => Err(Trouble::Refused(Refusal {
                code: "unauthenticated".into(),
                msg: "LiveKit does not accept LIVEKIT_API_KEY with LIVEKIT_API_SECRET".into(),
                meta: Map::new(),
            })),
            _ => Err(Trouble::NotLiveKit),
        }
    }
}
