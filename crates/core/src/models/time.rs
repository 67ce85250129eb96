//! Times on the wire: RFC 3339 in UTC with milliseconds, `2025-10-07T12:00:00.000Z`.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

/// A moment as the wire shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2025-10-07T12:00:00.000Z")]
#[serde(transparent)]
pub struct WireTime(pub DateTime<Utc>);

impl Serialize for WireTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl From<DateTime<Utc>> for WireTime {
    fn from(at: DateTime<Utc>) -> Self {
        Self(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_milliseconds_and_a_z() {
        let at = WireTime(DateTime::from_timestamp(1_759_838_400, 5_000_000).unwrap());
        assert_eq!(
            serde_json::to_string(&at).unwrap(),
            "\"2025-10-07T12:00:00.005Z\""
        );
    }
}
