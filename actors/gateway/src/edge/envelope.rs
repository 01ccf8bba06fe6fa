//! The request as a message.

use http::{HeaderMap, HeaderName, Method, header, request};
use panel_kernel::identity::{Found, SiteCookie};
use panel_kernel::ids::random_hex;
use panel_kernel::message::{Envelope, Extensions, IdempotencyKey, KeyOrigin, Payload, Principal};
use panel_kernel::problem::{Kind, Problem};
use panel_kernel::time::Timestamp;

use super::Exchange;
use crate::compression::plain;

/// The request headers that services see. Everything else ends at the edge.
const FORWARDED: [HeaderName; 8] = [
    header::ACCEPT,
    header::ACCEPT_LANGUAGE,
    header::CONTENT_TYPE,
    header::IF_MATCH,
    header::IF_RANGE,
    HeaderName::from_static("last-event-id"),
    header::RANGE,
    header::USER_AGENT,
];

pub(super) fn build(
    parts: &request::Parts,
    body: Payload,
    principal: Principal,
    deadline: Timestamp,
    (exchange, sign_in): (&Exchange, SiteCookie),
) -> Result<Envelope, Problem> {
    let mut headers = HeaderMap::with_capacity(FORWARDED.len());
    for name in &FORWARDED {
        for value in parts.headers.get_all(name) {
            let value =
                if *name == header::IF_MATCH { plain(value).into_owned() } else { value.clone() };
            headers.append(name.clone(), value);
        }
    }
    let mut extensions = Extensions::default();
    extensions.set(Extensions::CLIENT_IP, exchange.client.to_string());
    if !parts.method.is_safe() {
        extensions.set(Extensions::EXCHANGE, format!("{:x}", exchange.number));
    }
    // The one cookie that is of use to a service: it made it, and can tell.
    if let Found::One(carried) = sign_in.find(&parts.headers) {
        extensions.set(Extensions::SIGN_IN, carried.to_owned());
    }
    // HEAD is GET without the body; the edge leaves it out at the end.
    if parts.method == Method::HEAD {
        extensions.set(Extensions::HEAD, "1");
    }
    let method = if parts.method == Method::HEAD { Method::GET } else { parts.method.clone() };
    let origin_form = parts.uri.path_and_query().cloned();
    Ok(Envelope {
        uri: origin_form.map(http::Uri::from).unwrap_or_default(),
        headers,
        body,
        principal,
        deadline,
        idempotency_key: if method.is_safe() {
            None
        } else {
            Some(idempotency_key(&parts.headers)?)
        },
        trace: exchange.trace,
        request_id: exchange.request_id.clone(),
        extensions,
        method,
    })
}

/// The client's key, or one of ours so that we may send the request again.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<IdempotencyKey, Problem> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(IdempotencyKey { value: random_hex(), origin: KeyOrigin::Gateway });
    };
    let key = value.to_str().ok().filter(|key| {
        (1..=128).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
    });
    match key {
        Some(key) => Ok(IdempotencyKey { value: key.to_owned(), origin: KeyOrigin::Client }),
        None => Err(Problem::new(
            Kind::BadRequest,
            "Idempotency-Key must be 1 to 128 visible ASCII characters",
        )),
    }
}
