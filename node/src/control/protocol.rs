//! What is said over the control socket.

use panel_kernel::config::Span;
use serde::{Deserialize, Serialize};

/// The longest request, in bytes.
pub(crate) const MAX_REQUEST: usize = 64 * 1024;

/// A request: one JSON object on a line, `{"request": "status"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Request {
    /// How the node is, and everything on it.
    Status {},
    /// Let this node, or another of the cluster, finish what it has and end.
    Drain {
        /// Which; this one if it is not said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node: Option<String>,
    },
    /// Fault points: arm one, disarm one (`*`: all), and list them. Only where faults are enabled.
    Fault {
        /// `write.after_commit=exit*1`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        arm: Option<String>,
        /// Its name, or `*`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        disarm: Option<String>,
    },
    /// Kill an actor where it stands. Only where faults are enabled, as the two below.
    Kill {
        /// Its path in the tree: `forum/serving/pool`.
        actor: String,
    },
    /// Let an actor panic over the next message it gets.
    Panic {
        /// Its path.
        actor: String,
    },
    /// Let an actor take so long before it looks at the next message it gets.
    Stall {
        /// Its path.
        actor: String,
        /// How long: `2s`.
        time: Span,
    },
}

impl Request {
    /// A line, understood.
    ///
    /// # Errors
    /// A sentence.
    pub(crate) fn parse(line: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(line).map_err(|error| {
            format!(
                "this is no request ({error}); a request is a line like {{\"request\": \
                 \"status\"}}, and there are status, drain, fault, kill, panic and stall"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_read_as_they_are_written() {
        let drain = |node: Option<&str>| Request::Drain { node: node.map(str::to_owned) };
        for (text, request) in [
            (r#"{"request":"status"}"#, Request::Status {}),
            (r#"{"request":"drain"}"#, drain(None)),
            (r#"{"request":"drain","node":"n2"}"#, drain(Some("n2"))),
            (r#"{"request":"fault"}"#, Request::Fault { arm: None, disarm: None }),
            (
                r#"{"request":"stall","actor":"forum","time":"2s"}"#,
                Request::Stall { actor: "forum".to_owned(), time: Span::seconds(2) },
            ),
        ] {
            assert_eq!(Request::parse(text.as_bytes()).as_ref(), Ok(&request));
            assert_eq!(serde_json::to_string(&request).unwrap(), text);
        }
    }

    #[test]
    fn what_is_no_request_is_told_what_is() {
        let odd: [&[u8]; 7] = [
            b"",
            b"status",
            b"{}",
            b"\xff\xfe",
            br#"{"request":"dance"}"#,
            br#"{"request":"drain","nod":"n2"}"#,
            br#"{"request":"kill"}"#,
        ];
        for line in odd {
            let refused = Request::parse(line).unwrap_err();
            assert!(refused.contains("status, drain"), "{refused}");
        }
    }
}
