//! W3C Trace Context: reads an inbound `traceparent`, makes the outbound one.

use std::fmt;

use uuid::Uuid;

/// One position in a trace: `00-<32 hex trace id>-<16 hex span id>-<2 hex flags>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// Trace id, never zero.
    pub trace_id: u128,
    /// Span id, never zero.
    pub span_id: u64,
    /// Flags; bit 0 says that the caller samples.
    pub flags: u8,
}

impl TraceContext {
    /// Reads a `traceparent` header of version 00. Upper case, zero ids and other versions are invalid.
    pub fn parse(header: &str) -> Option<Self> {
        let mut parts = header.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let lower_hex = |text: &str, len: usize| {
            text.len() == len
                && text
                    .bytes()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        if parts.next().is_some()
            || version != "00"
            || !lower_hex(trace, 32)
            || !lower_hex(span, 16)
            || !lower_hex(flags, 2)
        {
            return None;
        }
        let context = Self {
            trace_id: u128::from_str_radix(trace, 16).ok()?,
            span_id: u64::from_str_radix(span, 16).ok()?,
            flags: u8::from_str_radix(flags, 16).ok()?,
        };
        (context.trace_id != 0 && context.span_id != 0).then_some(context)
    }

    /// Starts a trace. `seed` gives the ids; a random UUID does.
    pub fn from_seed(seed: Uuid) -> Self {
        let trace_id = seed.as_u128().max(1);
        let span_id = ((trace_id >> 64) as u64 ^ trace_id as u64).max(1);
        Self {
            trace_id,
            span_id,
            flags: 1,
        }
    }

    /// The next position of the same trace.
    #[must_use]
    pub fn child(self, seed: Uuid) -> Self {
        Self {
            trace_id: self.trace_id,
            ..Self::from_seed(seed)
        }
        .with_flags(self.flags)
    }

    fn with_flags(mut self, flags: u8) -> Self {
        self.flags = flags;
        self
    }

    /// The trace id as logs show it.
    pub fn trace_id_hex(self) -> String {
        format!("{:032x}", self.trace_id)
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "00-{:032x}-{:016x}-{:02x}",
            self.trace_id, self.span_id, self.flags
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_and_written_alike() {
        let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(
            TraceContext::parse(header).map(|c| c.to_string()).as_deref(),
            Some(header)
        );
    }

    #[test]
    fn malformed_headers_are_refused() {
        for header in [
            "",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
        ] {
            assert_eq!(TraceContext::parse(header), None, "{header}");
        }
    }

    #[test]
    fn a_child_stays_in_its_trace() {
        let parent = TraceContext::from_seed(Uuid::from_u128(7));
        let child = parent.child(Uuid::from_u128(9));
        assert_eq!(child.trace_id, parent.trace_id);
        assert_ne!(child.span_id, parent.span_id);
    }
}
