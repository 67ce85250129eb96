//! Words that many hold and nobody changes, in JSON: an idle connection should not have copies of its own.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serializer};

/// Writes it.
pub(super) fn serialize<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

/// Reads it.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
    Box::<str>::deserialize(deserializer).map(Arc::from)
}
