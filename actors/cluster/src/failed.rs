//! Why two nodes are not linked.

use std::io;

use crate::{rules, tls};

/// Why there is no link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    /// The label of the metric, one of few.
    pub(crate) label: &'static str,
    /// For people.
    pub(crate) why: String,
}

impl Failed {
    pub(crate) fn new(label: &'static str, why: impl Into<String>) -> Self {
        Self { label, why: why.into() }
    }
}

impl From<rules::Refused> for Failed {
    fn from(refused: rules::Refused) -> Self {
        Self::new(refused.label(), refused.to_string())
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let is_tls = inner.is_some();
        if error.kind() == io::ErrorKind::InvalidData && !is_tls {
            return Self::new("malformed", error.to_string());
        }
        let cause = tls::classify(&error);
        let says = if cause.by_peer { "it says: " } else { "" };
        Self::new(cause.as_str(), format!("{says}{error}"))
    }
}
