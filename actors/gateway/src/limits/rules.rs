//! The limits there are, and which of them a request falls under.

use std::net::IpAddr;
use std::sync::Arc;

use http::Method;
use panel_kernel::message::Principal;

use super::Client;
use super::config::{LimitRule, LimitsConfig, RulePer};
use super::gcra::Quota;
use crate::matching::{RuleMethods, begins};

/// Names that rules may not have.
pub(super) const BUILT_IN: [&str; 5] = ["anonymous", "user", "key", "writes", "global"];

/// One limit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// The name clients, metrics and Redis know it by.
    name: Box<str>,
    rule: Rule,
    pub(super) quota: Quota,
    /// As clients are told it: `"name";q=100;w=60`.
    told: Box<str>,
}

#[derive(Debug, PartialEq, Eq)]
struct Rule {
    service: Box<str>,
    path: Box<str>,
    methods: RuleMethods,
    per: Per,
}

/// Whose requests are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Per {
    Anonymous,
    User,
    Of(RulePer),
}

/// What is asked, and by whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) principal: &'a Principal,
    pub(crate) address: IpAddr,
    pub(crate) service: &'a str,
    /// Decoded.
    pub(crate) path: &'a str,
    pub(crate) method: &'a Method,
}

impl Policy {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn new(name: &str, rule: Rule, quota: Quota) -> Self {
        let window_seconds = quota.window().unsigned_abs().div_ceil(1_000_000);
        let told = format!("\"{name}\";q={};w={window_seconds}", quota.burst).into();
        Self { name: name.into(), rule, quota, told }
    }

    /// As clients are told it: `"name";q=100;w=60`.
    pub(crate) fn told(&self) -> &str {
        &self.told
    }

    /// Whether it is one for all clients together.
    pub(crate) fn is_everybodys(&self) -> bool {
        self.rule.per == Per::Of(RulePer::Everybody)
    }

    /// With whose requests this one is counted; `None` where the limit is none for it.
    pub(super) fn client(&self, asked: Asked<'_>) -> Option<Client> {
        let Rule { service, path, methods, per } = &self.rule;
        if !methods.include(asked.method)
            || (!service.is_empty() && **service != *asked.service)
            || !begins(asked.path, path)
        {
            return None;
        }
        let user = match asked.principal {
            Principal::User(user) => Some(user),
            Principal::Anonymous => None,
            Principal::Service(_) => return None,
        };
        let address = || Client::from(asked.address);
        match per {
            Per::Anonymous => user.is_none().then(address),
            Per::User => user.map(|user| Client::User(user.id)),
            Per::Of(RulePer::Client) => {
                Some(user.map_or_else(address, |user| Client::User(user.id)))
            }
            Per::Of(RulePer::Address) => Some(address()),
            Per::Of(RulePer::Key) => {
                user.filter(|user| user.scopes.is_some()).map(|user| Client::Key(user.session))
            }
            Per::Of(RulePer::Everybody) => Some(Client::Everybody),
        }
    }
}

/// All limits, in the order in which they are asked: first each client's own, then everybody's, so that who is
/// refused takes nothing from others.
pub(super) fn policies(config: &LimitsConfig) -> Vec<Arc<Policy>> {
    let of = |per, methods| Rule { service: "".into(), path: "".into(), methods, per };
    let built_in = [
        ("anonymous", config.anonymous_per_minute, of(Per::Anonymous, RuleMethods::Any)),
        ("user", config.user_per_minute, of(Per::User, RuleMethods::Any)),
        ("key", config.key_per_minute, of(Per::Of(RulePer::Key), RuleMethods::Any)),
        // A write that is refused as such has counted as a request.
        ("writes", config.writes_per_minute, of(Per::Of(RulePer::Client), RuleMethods::Writes)),
        ("global", config.global_per_minute, of(Per::Of(RulePer::Everybody), RuleMethods::Any)),
    ];
    let built_in = built_in.into_iter().filter_map(|(name, rate, rule)| {
        let quota = Quota::per_minute(rate, config.burst.0)?;
        Some(Policy::new(name, rule, quota))
    });
    let own = config.rules.iter().filter_map(|rule| policy(rule, config));
    let mut all: Vec<Arc<Policy>> = built_in.chain(own).map(Arc::new).collect();
    // Stable.
    all.sort_by_key(|policy| policy.is_everybodys());
    all
}

fn policy(rule: &LimitRule, config: &LimitsConfig) -> Option<Policy> {
    let burst = if rule.burst.0.is_zero() { config.burst } else { rule.burst };
    let quota = Quota::per_minute(rule.per_minute, burst.0)?;
    let LimitRule { name, service, path, methods, per, .. } = rule;
    let (service, path) = (service.as_str().into(), path.as_str().into());
    let rule = Rule { service, path, methods: *methods, per: Per::Of(*per) };
    Some(Policy::new(name, rule, quota))
}

#[cfg(test)]
mod tests {
    use panel_kernel::ids::Id;
    use panel_kernel::message::User;
    use panel_kernel::role::Role;

    use super::*;

    fn user(scopes: Option<Vec<String>>) -> Principal {
        let (id, session) = (Id::from_raw(1), Id::from_raw(2));
        Principal::User(User { id, session, name: "ada".into(), role: Role::User, scopes })
    }

    /// The limits a request falls under, and whose they are.
    fn under(
        config: &LimitsConfig,
        principal: &Principal,
        method: &Method,
        path: &str,
    ) -> Vec<String> {
        let address = "192.0.2.1".parse().unwrap();
        let asked = Asked { principal, address, service: "forum", path, method };
        let all = policies(config);
        let meant = all.iter().filter_map(|policy| Some((policy, policy.client(asked)?)));
        meant.map(|(policy, client)| format!("{} {client}", policy.name())).collect()
    }

    #[test]
    fn a_request_falls_under_what_it_is_meant_by() {
        let rule = |name: &str, service: &str, path: &str, methods, per| LimitRule {
            name: name.into(),
            service: service.into(),
            path: path.into(),
            methods,
            per,
            per_minute: 60,
            burst: panel_kernel::config::Span::seconds(0),
        };
        let rules = vec![
            rule("all", "forum", "", RuleMethods::Any, RulePer::Everybody),
            rule("search", "forum", "/a/search", RuleMethods::Reads, RulePer::Client),
            rule("cms", "cms", "", RuleMethods::Any, RulePer::Client),
            rule("place", "", "", RuleMethods::Writes, RulePer::Address),
        ];
        let config = LimitsConfig { rules, global_per_minute: 9, ..LimitsConfig::default() };
        let (nobody, ada) = (Principal::Anonymous, user(None));
        let key = user(Some(vec!["forum:read".into()]));
        let get = |who: &Principal, path: &str| under(&config, who, &Method::GET, path);
        let (me, one) = (format!("u:{}", Id::from_raw(1)), "4:192.0.2.1");
        let everybody = ["global *".to_owned(), "all *".to_owned()];
        let with = |own: &[String]| [own, &everybody[..]].concat();
        assert_eq!(get(&nobody, "/a"), with(&[format!("anonymous {one}")]));
        let search = format!("search {me}");
        assert_eq!(get(&ada, "/a/search/x"), with(&[format!("user {me}"), search]));
        assert_eq!(get(&ada, "/a/searching"), with(&[format!("user {me}")]));
        let robot = format!("key k:{}", Id::from_raw(2));
        assert_eq!(get(&key, "/a"), with(&[format!("user {me}"), robot]));
        let post = under(&config, &ada, &Method::POST, "/a/search");
        let (writes, place) = (format!("writes {me}"), format!("place {one}"));
        assert_eq!(post, with(&[format!("user {me}"), writes, place]));
        assert!(get(&Principal::Service("cms".into()), "/a").is_empty());
        assert!(
            under(
                &LimitsConfig { user_per_minute: 0, ..LimitsConfig::default() },
                &ada,
                &Method::GET,
                "/a"
            )
            .is_empty()
        );
    }
}
