//! With `X-Panel-Explain: 1`, an administrator is told how their request was decided: an
//! `X-Panel-Explain` that is a dictionary of structured fields (RFC 9651).

use std::fmt::Write as _;

use http::{HeaderName, HeaderValue, Method, request};
use panel_kernel::message::Principal;
use panel_kernel::role::Role;

use super::{EdgeParts, Exchange};

pub(super) const NAME: HeaderName = HeaderName::from_static("x-panel-explain");

/// To whom it is explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    role: Role,
    is_key: bool,
}

/// Who has asked for it, if they may.
pub(super) fn asked(parts: &request::Parts, principal: &Principal) -> Option<Asked> {
    let Principal::User(user) = principal else { return None };
    let is_asked = parts.headers.get(NAME).is_some_and(|value| value == "1");
    (is_asked && user.role >= Role::Admin)
        .then_some(Asked { role: user.role, is_key: user.scopes.is_some() })
}

/// How it was decided.
pub(super) async fn explained(
    edge: &EdgeParts,
    method: &Method,
    exchange: &Exchange,
    asked: Asked,
) -> Option<HeaderValue> {
    let mut said = Dictionary::default();
    said.text("service", exchange.service.unwrap_or("gateway"));
    let route = exchange.route.as_deref();
    said.text("route", route.unwrap_or("none"));
    if let Some(member) = &exchange.member {
        said.text("member", member);
        let service = exchange.service.unwrap_or_default();
        if let Some((release, by)) = edge.dispatcher.chosen(service, member, exchange.is_canary) {
            said.text("release", &release);
            said.text("chosen", by.name());
        }
        said.number("attempts", exchange.attempts);
    }
    // Who shows credentials is never answered from what is kept.
    said.text("cache", exchange.cache.unwrap_or("not asked"));
    said.text("limit", &edge.limits.explained(&exchange.standings));
    let need = match route {
        Some(route) => edge.own.need(method, route).await,
        None => None,
    };
    said.text("permission", need.as_deref().unwrap_or("unknown"));
    said.text("role", &asked.role.to_string());
    said.text("credential", if asked.is_key { "api key" } else { "session" });
    let took = u64::try_from(exchange.started.elapsed().as_micros()).unwrap_or(u64::MAX);
    said.number("took_us", took);
    HeaderValue::try_from(said.0).ok()
}

/// A dictionary that is being written.
#[derive(Debug, Default)]
struct Dictionary(String);

impl Dictionary {
    fn key(&mut self, key: &str) {
        let comma = if self.0.is_empty() { "" } else { ", " };
        // Writing to a text can't fail.
        let _ = write!(self.0, "{comma}{key}=");
    }

    /// Only what can stand in a string of this kind.
    fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        self.0.push('"');
        for one in value.chars().filter(|one| matches!(one, ' '..='~')) {
            if matches!(one, '"' | '\\') {
                self.0.push('\\');
            }
            self.0.push(one);
        }
        self.0.push('"');
    }

    fn number(&mut self, key: &str, value: impl std::fmt::Display) {
        self.key(key);
        let _ = write!(self.0, "{value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_can_be_read() {
        let mut said = Dictionary::default();
        said.text("route", "/a/{id}");
        said.text("odd", "a\"b\\c\r\nd\u{e9}");
        said.number("attempts", 2);
        assert_eq!(said.0, r#"route="/a/{id}", odd="a\"b\\cd", attempts=2"#);
    }
}
