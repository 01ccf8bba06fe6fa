//! How the cache had to do with an answer, as clients are told: `Cache-Status` (RFC 9211), a list (RFC 9651) of one
//! cache, this one.

use http::{HeaderName, HeaderValue};

/// The header's name.
pub(super) const NAME: HeaderName = HeaderName::from_static("cache-status");

/// Why the service was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forwarded {
    /// The request is not for the cache: it carries credentials, or a condition.
    Bypass,
    /// Nothing was kept for it.
    Miss,
    /// What was kept is too old, or was made so.
    Stale,
}

/// How the cache had to do with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CacheStatus {
    /// It was kept: fresh for so many seconds yet (below zero: no more, for so many), and why it was shown
    /// nevertheless.
    Hit { ttl: i64, detail: Option<&'static str> },
    /// The service was asked; whether the answer is kept now, and whether somebody else had asked.
    Forwarded { why: Forwarded, stored: bool, collapsed: bool },
}

impl CacheStatus {
    /// As it is sent; `None` never, in practice.
    pub(super) fn value(self) -> Option<HeaderValue> {
        let text = match self {
            Self::Hit { ttl, detail } => {
                let detail = detail.map(|detail| format!("; detail={detail}")).unwrap_or_default();
                format!("panel; hit; ttl={ttl}{detail}")
            }
            Self::Forwarded { why, stored, collapsed } => {
                let why = match why {
                    Forwarded::Bypass => "bypass",
                    Forwarded::Miss => "miss",
                    Forwarded::Stale => "stale",
                };
                let stored = if stored { "; stored" } else { "" };
                let collapsed = if collapsed { "; collapsed" } else { "" };
                format!("panel; fwd={why}{stored}{collapsed}")
            }
        };
        HeaderValue::try_from(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_as_the_standard_says_it() {
        let forwarded = |why, stored, collapsed| CacheStatus::Forwarded { why, stored, collapsed };
        for (status, text) in [
            (CacheStatus::Hit { ttl: 3, detail: None }, "panel; hit; ttl=3"),
            (
                CacheStatus::Hit { ttl: -30, detail: Some("stale-if-error") },
                "panel; hit; ttl=-30; detail=stale-if-error",
            ),
            (forwarded(Forwarded::Miss, true, false), "panel; fwd=miss; stored"),
            (forwarded(Forwarded::Stale, true, true), "panel; fwd=stale; stored; collapsed"),
            (forwarded(Forwarded::Bypass, false, false), "panel; fwd=bypass"),
        ] {
            assert_eq!(status.value().unwrap(), text);
        }
    }
}
