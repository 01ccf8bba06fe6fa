//! What configuration sections are made of. Reading files and the environment is the node's
//! business; every component only declares its own section here.

use std::fmt;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A section of the configuration on its way to the component that owns it.
#[derive(Clone, Debug)]
pub struct Section {
    /// The dotted path, for messages.
    pub path: String,
    /// The values given for it; an empty object where nothing was.
    pub values: serde_json::Value,
}

/// A value that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct BadValue {
    /// The dotted key.
    pub key: String,
    /// Why not, in words.
    pub reason: String,
}

impl Section {
    /// A component's whole section, defaults filled in, for display.
    ///
    /// # Errors
    /// [`BadValue`] if it can't be written as values.
    pub fn effective<T: Serialize>(&self, config: &T) -> Result<serde_json::Value, BadValue> {
        serde_json::to_value(config)
            .map_err(|error| BadValue { key: self.path.clone(), reason: error.to_string() })
    }

    /// The section as the component's own type; keys it does not know are refused.
    ///
    /// # Errors
    /// [`BadValue`] names the key and the reason.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, BadValue> {
        serde_path_to_error::deserialize(&self.values).map_err(|error| {
            let inner = error.path().to_string();
            let mut key = self.path.clone();
            if inner != "." {
                key.push('.');
                key.push_str(&inner);
            }
            BadValue { key, reason: error.into_inner().to_string() }
        })
    }
}

/// A length of time, written as people write it: `250ms`, `5s`, `10m`, `24h`, `30d`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// `millis` milliseconds.
    #[must_use]
    pub const fn millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// `seconds` seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        for (unit, size) in UNITS {
            if millis >= u128::from(size) && millis.is_multiple_of(u128::from(size)) {
                return write!(f, "{}{unit}", millis / u128::from(size));
            }
        }
        write!(f, "{millis}ms")
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: Option<u64> = number.parse().ok();
        let size = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, size)| *size);
        number
            .zip(size)
            .and_then(|(number, size)| number.checked_mul(size))
            .map(Self::millis)
            .ok_or_else(|| {
                format!("{text:?} is not a length of time like 250ms, 5s, 10m, 24h or 30d")
            })
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How many requests a service takes at a time on one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PoolConfig {
    /// Requests handled at the same time.
    pub workers: usize,
    /// Requests that may wait for a worker; beyond that they are refused at once (503).
    pub queue: usize,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self { workers: 32, queue: 256 }
    }
}

impl PoolConfig {
    /// The most requests inside the service at one time.
    #[must_use]
    pub const fn capacity(self) -> usize {
        self.workers + self.queue
    }

    /// Checks the bounds; `key` is the section's dotted path.
    ///
    /// # Errors
    /// [`BadValue`] where no request could ever be served, or memory would not be bounded.
    pub fn check(self, key: &str) -> Result<Self, BadValue> {
        let bad = |field: &str, reason: &str| {
            Err(BadValue { key: format!("{key}.{field}"), reason: reason.to_owned() })
        };
        if !(1..=1_024).contains(&self.workers) {
            return bad("workers", "must be between 1 and 1024");
        }
        if self.queue > 65_536 {
            return bad("queue", "must be at most 65536");
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_as_written() {
        for text in ["250ms", "5s", "10m", "24h", "30d", "90s", "0ms"] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.to_string().parse::<Span>().unwrap(), span);
        }
        assert_eq!(Span::seconds(86_400).to_string(), "1d");
        for text in ["", "5", "s", "-5s", "5 s", "1.5s", "99999999999999999999d", "5w"] {
            assert!(text.parse::<Span>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_bad_value_is_named_with_its_path() {
        let section =
            Section { path: "forum".to_owned(), values: serde_json::json!({"workers": "many"}) };
        let error = section.parse::<PoolConfig>().unwrap_err();
        assert_eq!(error.key, "forum.workers");
        let section =
            Section { path: "forum".to_owned(), values: serde_json::json!({"wrokers": 1}) };
        assert!(section.parse::<PoolConfig>().unwrap_err().reason.contains("wrokers"));
    }
}
