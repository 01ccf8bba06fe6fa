//! The traffic file, as it is written.

use std::collections::BTreeMap;
use std::path::Path;

use http::{HeaderName, HeaderValue};
use panel_kernel::certificates::{FileError, read};
use panel_kernel::config::Span;
use serde::{Deserialize, Deserializer};

use crate::matching::{RuleMethods, check_beginning};

/// Every release that is not named.
pub(super) const OTHERS: &str = "*";
/// Releases that have weights, and routes that have timeouts, at most, of a service.
const MOST: usize = 64;
const LONGEST_TIMEOUT: Span = Span::seconds(300);
const LONGEST_WINDOW: Span = Span::seconds(300);
const LONGEST_EJECTION: Span = Span::seconds(3_600);

/// How the requests of services are spread over their members, by service. It is read again when it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct TrafficConfig(pub(super) BTreeMap<String, ServiceTraffic>);

/// How one service's are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ServiceTraffic {
    /// How many of so many requests go to members of which release; `*`: of all that are not named.
    pub(super) weights: BTreeMap<String, u32>,
    /// Who is answered by a release that is to be tried.
    pub(super) canary: Option<Canary>,
    /// Which release is shown copies of what is read.
    pub(super) mirror: Option<Mirror>,
    /// When a member that fails more than others is left alone.
    pub(super) outliers: Option<Outliers>,
    /// How long a request may take inside; none: `gateway.request_timeout`.
    pub(super) timeout: Option<Span>,
    /// The same of some routes.
    pub(super) routes: Vec<Route>,
}

/// Who is answered by a release that is to be tried: whoever sends this header.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Canary {
    pub(super) release: String,
    #[serde(deserialize_with = "own_header")]
    pub(super) header: HeaderName,
    /// With this value; empty: with any.
    #[serde(default)]
    pub(super) value: String,
}

/// Which release is shown copies of requests that read. Nobody sees what it answers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mirror {
    pub(crate) release: String,
    /// Of a hundred.
    pub(crate) percent: u32,
}

/// When a member that fails more than others is left alone, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Outliers {
    /// How far back is looked, at most twice that.
    pub(crate) window: Span,
    /// Requests that a member must have had in that time, and the others together.
    pub(crate) least: u32,
    /// How much more often it must fail than the others, in percent of its requests.
    pub(crate) percent: u32,
    /// How long it is left alone the first time; twice as long each further time, up to sixteen times.
    pub(crate) eject: Span,
}

impl Default for Outliers {
    fn default() -> Self {
        Self { window: Span::seconds(10), least: 20, percent: 20, eject: Span::seconds(30) }
    }
}

/// How long some requests may take inside. Of several that are meant by a path, the longest path counts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Route {
    pub(super) path: String,
    #[serde(default)]
    pub(super) methods: RuleMethods,
    pub(super) timeout: Span,
}

impl TrafficConfig {
    /// Reads the file, for these services, of which that one knows what may be used once.
    ///
    /// # Errors
    /// If it can't be read, or says what can't be.
    pub fn read(path: &Path, services: &[&str], identity: &str) -> Result<Self, FileError> {
        Self::of_file(path, &read(path)?, services, identity)
    }

    pub(super) fn of_file(
        path: &Path,
        bytes: &[u8],
        services: &[&str],
        identity: &str,
    ) -> Result<Self, FileError> {
        let parsed = Self::parse(bytes, services, identity);
        parsed.map_err(|why| FileError::new(path, format!("can't be used: {why}")))
    }

    pub(super) fn parse(bytes: &[u8], services: &[&str], identity: &str) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8")?;
        let config: Self = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            format!("line {line}: {}", error.message().replace('\n', " "))
        })?;
        for (name, traffic) in &config.0 {
            if !services.contains(&name.as_str()) {
                return Err(format!("{name:?} is not a service"));
            }
            traffic.check(name == identity).map_err(|why| format!("{name}.{why}"))?;
        }
        Ok(config)
    }
}

impl ServiceTraffic {
    fn check(&self, is_identity: bool) -> Result<(), String> {
        if self.weights.len() > MOST {
            return Err(format!("weights: must not name more than {MOST} releases"));
        }
        if !self.weights.is_empty() && self.weights.values().all(|weight| *weight == 0) {
            return Err("weights: one of them must be more than 0".to_owned());
        }
        for release in self.weights.keys().filter(|release| *release != OTHERS) {
            check_release(release).map_err(|why| format!("weights: {why}"))?;
        }
        if let Some(canary) = &self.canary {
            canary.check().map_err(|why| format!("canary.{why}"))?;
        }
        if let Some(mirror) = &self.mirror {
            check_release(&mirror.release).map_err(|why| format!("mirror.release: {why}"))?;
            if !(1..=100).contains(&mirror.percent) {
                return Err("mirror.percent: must be between 1 and 100".to_owned());
            }
            if is_identity {
                let why = "mirror: some of what is read here can be read once; it can't be copied";
                return Err(why.to_owned());
            }
        }
        if let Some(outliers) = &self.outliers {
            outliers.check().map_err(|why| format!("outliers.{why}"))?;
        }
        if let Some(timeout) = self.timeout {
            between("timeout", timeout, 1, LONGEST_TIMEOUT)?;
        }
        if self.routes.len() > MOST {
            return Err(format!("routes: must not be more than {MOST}"));
        }
        for (number, route) in (1..).zip(&self.routes) {
            let checked = check_beginning(&route.path)
                .and_then(|()| between("timeout", route.timeout, 1, LONGEST_TIMEOUT));
            checked.map_err(|why| format!("routes: number {number}: {why}"))?;
        }
        Ok(())
    }
}

impl Canary {
    fn check(&self) -> Result<(), String> {
        check_release(&self.release).map_err(|why| format!("release: {why}"))?;
        HeaderValue::try_from(&self.value)
            .map_err(|_| format!("value: {:?} can't stand in a header", self.value))?;
        Ok(())
    }
}

impl Outliers {
    fn check(&self) -> Result<(), String> {
        between("window", self.window, 1_000, LONGEST_WINDOW)?;
        between("eject", self.eject, 1_000, LONGEST_EJECTION)?;
        if !(1..=1_000_000).contains(&self.least) {
            return Err("least: must be between 1 and 1000000".to_owned());
        }
        if !(1..=100).contains(&self.percent) {
            return Err("percent: must be between 1 and 100".to_owned());
        }
        Ok(())
    }
}

/// A header that nothing else means anything by.
fn own_header<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HeaderName, D::Error> {
    let text = String::deserialize(deserializer)?;
    let header = HeaderName::try_from(&text).ok().filter(|name| name.as_str().starts_with("x-"));
    let unknown = || format!("canary.header: {text:?} is not a header like x-canary");
    header.ok_or_else(unknown).map_err(serde::de::Error::custom)
}

fn check_release(release: &str) -> Result<(), String> {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b".-+_".contains(&byte);
    if !(1..=64).contains(&release.len()) || !release.bytes().all(is_good) {
        return Err(format!("{release:?} is not a release like 1.2.0"));
    }
    Ok(())
}

/// `least` in milliseconds.
fn between(key: &str, span: Span, least: u64, most: Span) -> Result<(), String> {
    let least = Span::millis(least);
    if span.0 < least.0 || span.0 > most.0 {
        return Err(format!("{key}: must be between {least} and {most}"));
    }
    Ok(())
}
