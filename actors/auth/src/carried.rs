//! What a client carries for us: sealed, for a while, and good at any node.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use panel_kernel::keys::{ClusterKey, SealingKey, sha256};
use panel_kernel::time::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::AuthError;

/// Seals and opens. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Carrier {
    sealing: SealingKey,
    /// Nothing longer is ever sealed.
    longest: usize,
}

#[derive(Serialize, Deserialize)]
struct Carried<T> {
    until: Timestamp,
    what: T,
}

/// Something that has come back. Where it may be used once, it is marked as finished under this hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Returned {
    pub(crate) hash: [u8; 32],
    pub(crate) until: Timestamp,
}

impl Carrier {
    /// For one purpose, and texts of so many characters.
    pub(crate) fn new(key: &ClusterKey, purpose: &str, longest: usize) -> Self {
        Self { sealing: key.derive(purpose), longest }
    }

    /// Seals it, to be opened in the same context, until then.
    pub(crate) fn seal<T: Serialize>(
        &self,
        context: &[u8],
        what: T,
        until: Timestamp,
    ) -> Result<String, AuthError> {
        let crypto = |why: String| AuthError::Crypto(why);
        let json = serde_json::to_vec(&Carried { until, what });
        let json = json.map_err(|error| crypto(error.to_string()))?;
        let sealed = self.sealing.seal(context, &json).map_err(|it| crypto(it.to_string()))?;
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Opens it, if it is ours, of this context, and not too old.
    pub(crate) fn open<T: DeserializeOwned>(
        &self,
        context: &[u8],
        text: &str,
        now: Timestamp,
    ) -> Option<(T, Returned)> {
        if text.len() > self.longest {
            return None;
        }
        let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
        let json = self.sealing.open(context, &sealed).ok()?;
        let Carried { until, what } = serde_json::from_slice(&json).ok()?;
        let returned = Returned { hash: sha256(&[b"ceremony", &sealed]), until };
        (until > now).then_some((what, returned))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn carrier(key: u8) -> Carrier {
        Carrier::new(&ClusterKey::from_bytes([key; 32]), "tests", 1_000)
    }

    #[test]
    fn what_comes_back_is_opened_where_and_while_it_is_good() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let sealed = carrier(7).seal(b"a", "x", now.plus(Duration::from_secs(10))).unwrap();
        let open = |key: u8, context: &[u8], text: &str, seconds: u64| {
            let opened = carrier(key).open(context, text, now.plus(Duration::from_secs(seconds)));
            opened.map(|(what, _): (String, _)| what)
        };
        assert_eq!(open(7, b"a", &sealed, 9).as_deref(), Some("x"));
        assert_eq!(open(7, b"a", &sealed, 10), None, "too late");
        assert_eq!(open(7, b"b", &sealed, 0), None, "another context");
        assert_eq!(open(8, b"a", &sealed, 0), None, "another cluster");
        let opened: Option<(u64, _)> = carrier(7).open(b"a", &sealed, now);
        assert_eq!(opened, None, "another thing");
        let long = carrier(7).seal(b"a", "x".repeat(1_000), now.plus(Duration::from_secs(9)));
        assert_eq!(open(7, b"a", &long.unwrap(), 0), None, "longer than any of ours");
    }

    proptest::proptest! {
        #[test]
        fn whatever_comes_back_is_opened_or_refused(text: String) {
            let now = Timestamp::from_seconds(0);
            let opened: Option<(serde_json::Value, _)> = carrier(7).open(b"a", &text, now);
            proptest::prop_assert!(opened.is_none());
        }
    }
}
