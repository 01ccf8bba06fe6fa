//! Layers of values, each over the one before, and where every value came from.

use std::collections::BTreeMap;
use std::path::Path;

use panel_kernel::config::{BadValue, Section};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::section_of;

/// Why a configuration is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConfigError {
    /// A value, with the place it came from.
    #[error("{origin}: {key}: {reason}")]
    Value {
        /// The file, variable or flag.
        origin: String,
        /// The dotted key.
        key: String,
        /// Why not.
        reason: String,
    },
    /// Anything else.
    #[error("{0}")]
    Plain(String),
}

impl ConfigError {
    pub(super) const fn plain(text: String) -> Self {
        Self::Plain(text)
    }
}

/// The values so far.
#[derive(Debug, Default)]
pub(super) struct Layers {
    values: Map<String, Value>,
    origins: BTreeMap<String, String>,
}

impl Layers {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Lays a TOML file over what is there.
    pub(super) fn file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let origin = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::plain(format!("{origin} can't be read: {error}")))?;
        let table: Map<String, Value> = toml::from_str(&text)
            .map_err(|error| ConfigError::plain(format!("{origin}: {error}")))?;
        for (key, value) in table {
            self.set(&origin, &key, value);
        }
        Ok(())
    }

    /// Lays one value over what is there. Tables are merged, everything else replaced.
    pub(super) fn set(&mut self, origin: &str, key: &str, value: Value) {
        if let Value::Object(table) = value {
            // An empty table is a section that is there and says nothing.
            self.place(key, Value::Object(Map::new()));
            self.origins.entry(key.to_owned()).or_insert_with(|| origin.to_owned());
            for (inner, value) in table {
                self.set(origin, &format!("{key}.{inner}"), value);
            }
            return;
        }
        self.place(key, value);
        self.origins.insert(key.to_owned(), origin.to_owned());
    }

    fn place(&mut self, key: &str, value: Value) {
        let mut table = &mut self.values;
        let mut parts = key.split('.').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                let keep = value.is_object() && table.get(part).is_some_and(Value::is_object);
                if !keep {
                    table.insert(part.to_owned(), value);
                }
                return;
            }
            let next = table.entry(part.to_owned()).or_insert_with(|| Value::Object(Map::new()));
            if !next.is_object() {
                *next = Value::Object(Map::new());
            }
            let Value::Object(inner) = next else { return };
            table = inner;
        }
    }

    /// Refuses sections that nobody declares.
    pub(super) fn refuse_unknown(&self, known: &[&str]) -> Result<(), ConfigError> {
        match self.values.keys().find(|section| !known.contains(&section.as_str())) {
            None => Ok(()),
            Some(section) => Err(self.at(BadValue {
                key: section.clone(),
                reason: format!("there is no such section; the sections are {}", known.join(", ")),
            })),
        }
    }

    /// A section's values, as they are.
    pub(super) fn raw(&self, name: &str) -> Section {
        let values = self.values.get(name).cloned();
        section_of(name, values.unwrap_or_else(|| Value::Object(Map::new())))
    }

    /// A section, read.
    pub(super) fn section<T: DeserializeOwned>(&self, name: &str) -> Result<T, ConfigError> {
        self.checked(self.raw(name).parse())
    }

    /// Adds to a refusal where the value came from.
    pub(super) fn checked<T>(&self, result: Result<T, BadValue>) -> Result<T, ConfigError> {
        result.map_err(|bad| self.at(bad))
    }

    fn at(&self, bad: BadValue) -> ConfigError {
        // An unknown key is reported at its section; find it by its name in the reason.
        let named = bad.reason.split('`').nth(1).map(|name| format!("{}.{name}", bad.key));
        let key = match named {
            Some(key) if bad.reason.starts_with("unknown field") => key,
            _ => bad.key,
        };
        let mut place = key.as_str();
        loop {
            if let Some(origin) = self.origins.get(place) {
                let origin = origin.clone();
                return ConfigError::Value { origin, key, reason: bad.reason };
            }
            match place.rsplit_once('.') {
                Some((outer, _)) => place = outer,
                None => return ConfigError::Plain(format!("{key}: {}", bad.reason)),
            }
        }
    }
}
