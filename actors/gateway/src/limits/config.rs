//! The `[limits]` section.

use panel_kernel::config::{BadValue, Span};
use serde::{Deserialize, Serialize};

use super::rules::BUILT_IN;
use crate::matching::{RuleMethods, check_beginning};

/// How much one client may ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Whether anything is limited at all. The capacity of services does not depend on it.
    pub enabled: bool,
    /// Requests a minute of an address (IPv6: of a /64) that nobody is signed in from; 0: any.
    pub anonymous_per_minute: u32,
    /// Requests a minute of an account, by whatever it shows; 0: any.
    pub user_per_minute: u32,
    /// Of these, how many may come by one API key; 0: any.
    pub key_per_minute: u32,
    /// Of these, how many may change something; 0: any.
    pub writes_per_minute: u32,
    /// Requests a minute of everybody together; 0: any.
    pub global_per_minute: u32,
    /// As many may come at once as these rates give in this time.
    pub burst: Span,
    /// Further limits, of some requests.
    pub rules: Vec<LimitRule>,
    /// Clients remembered, at most; those seen longest ago are forgotten first.
    pub clients: u64,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            anonymous_per_minute: 600,
            user_per_minute: 1_200,
            key_per_minute: 600,
            writes_per_minute: 120,
            global_per_minute: 0,
            burst: Span::seconds(20),
            rules: Vec::new(),
            clients: 65_536,
        }
    }
}

/// A limit of some requests: those that are all that it names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitRule {
    /// Under which clients, metrics and Redis know it.
    pub name: String,
    /// Of this service; empty: of any.
    pub service: String,
    /// Of paths that begin so, whole segments: `/api/v2/forum/search`; empty: any.
    pub path: String,
    /// Of what these methods do.
    pub methods: RuleMethods,
    /// Whose requests are counted together.
    pub per: RulePer,
    /// How many a minute.
    pub per_minute: u32,
    /// As many may come at once as the rate gives in this time; 0: as `limits.burst` says.
    pub burst: Span,
}

impl Default for LimitRule {
    fn default() -> Self {
        Self {
            name: String::new(),
            service: String::new(),
            path: String::new(),
            methods: RuleMethods::default(),
            per: RulePer::default(),
            per_minute: 0,
            burst: Span::seconds(0),
        }
    }
}

/// Whose requests are counted together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RulePer {
    /// An account's, and, where nobody is signed in, an address's.
    #[default]
    Client,
    /// An address's, whoever is signed in there.
    Address,
    /// An API key's; others are not counted.
    Key,
    /// Everybody's. Who comes when nothing is left is no worse than others: they are told so with a 503.
    Everybody,
}

/// The most rules there may be: each request is held against all of them.
const MOST_RULES: usize = 64;

/// The fastest rate that a clock of microseconds can tell apart well.
const MOST_PER_MINUTE: u32 = 6_000_000;

impl LimitsConfig {
    /// Checks the bounds.
    ///
    /// # Errors
    /// [`BadValue`] names the key and the reason.
    pub fn checked(self) -> Result<Self, BadValue> {
        let bad =
            |key: &str, reason: String| Err(BadValue { key: format!("limits.{key}"), reason });
        for (key, rate) in [
            ("anonymous_per_minute", self.anonymous_per_minute),
            ("user_per_minute", self.user_per_minute),
            ("key_per_minute", self.key_per_minute),
            ("writes_per_minute", self.writes_per_minute),
            ("global_per_minute", self.global_per_minute),
        ] {
            if rate > MOST_PER_MINUTE {
                return bad(key, format!("must be at most {MOST_PER_MINUTE}"));
            }
        }
        if !(100..=3_600_000).contains(&self.burst.0.as_millis()) {
            return bad("burst", "must be between 100ms and 1h".to_owned());
        }
        if !(1_024..=10_000_000).contains(&self.clients) {
            return bad("clients", "must be between 1024 and 10000000".to_owned());
        }
        if self.rules.len() > MOST_RULES {
            return bad("rules", format!("must not be more than {MOST_RULES}"));
        }
        for (number, rule) in self.rules.iter().enumerate() {
            let taken = self.rules.iter().take(number).any(|other| other.name == rule.name);
            if let Err(reason) = rule.check(taken) {
                return bad("rules", format!("number {}: {reason}", number + 1));
            }
        }
        Ok(self)
    }
}

impl LimitRule {
    fn check(&self, is_taken: bool) -> Result<(), String> {
        let Self { name, path, per_minute, burst, .. } = self;
        let is_good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(1..=32).contains(&name.len()) || !name.bytes().all(is_good) {
            return Err(format!("name: {name:?} must be lower-case letters, digits and -"));
        }
        if is_taken || BUILT_IN.contains(&name.as_str()) {
            return Err(format!("name: there is a limit {name:?} already"));
        }
        check_beginning(path)?;
        if !(1..=MOST_PER_MINUTE).contains(per_minute) {
            return Err(format!("per_minute: must be between 1 and {MOST_PER_MINUTE}"));
        }
        if !burst.0.is_zero() && !(100..=3_600_000).contains(&burst.0.as_millis()) {
            return Err("burst: must be between 100ms and 1h".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_checked_one_by_one() {
        let good = LimitRule { name: "search".into(), per_minute: 30, ..LimitRule::default() };
        let with =
            |rules: Vec<LimitRule>| LimitsConfig { rules, ..LimitsConfig::default() }.checked();
        with(vec![good.clone()]).unwrap();
        let other = LimitRule { name: "other".into(), ..good.clone() };
        with(vec![good.clone(), other]).unwrap();
        for (wrong, said) in [
            (LimitRule { name: "Search".into(), ..good.clone() }, "name"),
            (LimitRule { name: String::new(), ..good.clone() }, "name"),
            (LimitRule { name: "writes".into(), ..good.clone() }, "already"),
            (good.clone(), "already"),
            (LimitRule { name: "a".into(), path: "api".into(), ..good.clone() }, "path"),
            (LimitRule { name: "a".into(), path: "/api/".into(), ..good.clone() }, "path"),
            (LimitRule { name: "a".into(), per_minute: 0, ..good.clone() }, "per_minute"),
            (LimitRule { name: "a".into(), burst: Span::millis(1), ..good.clone() }, "burst"),
        ] {
            let error = with(vec![good.clone(), wrong]).unwrap_err();
            assert_eq!(error.key, "limits.rules");
            assert!(
                error.reason.starts_with("number 2: ") && error.reason.contains(said),
                "{error:?}"
            );
        }
    }
}
