//! W3C Trace Context: <https://www.w3.org/TR/trace-context/>.

use std::fmt;

use crate::ids::{hex, unhex};

/// The trace a request belongs to, as `traceparent` carries it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The whole trace.
    pub trace_id: [u8; 16],
    /// The span that caused this one.
    pub span_id: [u8; 8],
    /// Bit 0: sampled.
    pub flags: u8,
}

impl TraceContext {
    /// A new trace that begins here, not sampled.
    #[must_use]
    pub fn begin() -> Self {
        Self { trace_id: rand::random(), span_id: rand::random(), flags: 0 }
    }

    /// The same trace, one span further.
    #[must_use]
    pub fn child(self) -> Self {
        Self { span_id: rand::random(), ..self }
    }

    /// Reads a `traceparent` header; `None` if it is malformed (the standard says: begin a
    /// new trace then).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (version, trace, span, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let lower_hex =
            |part: &str| part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if ![version, trace, span, flags].into_iter().all(lower_hex) {
            return None;
        }
        // Version 00 has exactly four parts; later ones may have more, `ff` is forbidden.
        if version.len() != 2 || version == "ff" || (version == "00" && parts.next().is_some()) {
            return None;
        }
        let context =
            Self { trace_id: unhex(trace)?, span_id: unhex(span)?, flags: unhex::<1>(flags)?[0] };
        (context.trace_id != [0; 16] && context.span_id != [0; 8]).then_some(context)
    }

    /// The trace id as logs show it: 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        hex(&self.trace_id)
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", hex(&self.trace_id), hex(&self.span_id), self.flags)
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn reads_what_the_standard_shows_and_writes_it_back() {
        assert_eq!(TraceContext::parse(GOOD).unwrap().to_string(), GOOD);
        assert!(TraceContext::parse(&format!("cc{}-more", &GOOD[2..])).is_some());
    }

    #[test]
    fn refuses_malformed_ones() {
        for bad in [
            "",
            "00",
            &GOOD[1..],
            &format!("ff{}", &GOOD[2..]),
            &format!("{GOOD}-00"),
            &GOOD.to_uppercase(),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e47é-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_child_stays_in_the_trace() {
        let parent = TraceContext::begin();
        assert_eq!(parent.child().trace_id, parent.trace_id);
        assert_ne!(parent.child().span_id, parent.span_id);
    }
}
