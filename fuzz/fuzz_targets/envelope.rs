//! Messages between nodes. The first byte says what follows: `e` the bytes of an envelope, `r` those of
//! a reply, `m` a text that one of each is made of. Its lines: method, URI, how many headers, one of
//! them (`name: value`), how many extensions, one of them, a name, the rest.
//!
//! Bytes are read or refused; what is read can be sent on, and is the same there.

#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use libfuzzer_sys::fuzz_target;
use panel_fuzz::{number, text_lines};
use panel_kernel::ids::Id;
use panel_kernel::message::wire::{MAX_BYTES, Undecodable, Wire};
use panel_kernel::message::{
    BlobRef, Body, Envelope, Extensions, IdempotencyKey, KeyOrigin, MAJOR, Payload, Principal,
    Refusal, Reply, TraceContext, User,
};
use panel_kernel::role::Role;
use panel_kernel::time::Timestamp;

fuzz_target!(|data: &[u8]| match data.split_first() {
    Some((b'e', bytes)) => read::<Envelope>(bytes),
    Some((b'r', bytes)) => read::<Reply>(bytes),
    Some((b'm', text)) => made(text),
    _ => {}
});

fn read<T: Wire + Clone + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    match T::decode(bytes) {
        Ok(message) => {
            assert_eq!(bytes[0], MAJOR);
            // All of it, and no more.
            assert!(T::decode(&bytes[..bytes.len() - 1]).is_err(), "{message:?} is cut off");
            assert!(T::decode(&[bytes, b"x"].concat()).is_err(), "{message:?} goes on");
            travels(&message);
        }
        Err(Undecodable::OtherMajor) => assert_ne!(bytes.first(), Some(&MAJOR)),
        Err(Undecodable::Malformed | Undecodable::Unknown) => assert_eq!(bytes[0], MAJOR),
    }
}

/// Over one link, and another.
fn travels<T: Wire + Clone + PartialEq + std::fmt::Debug>(message: &T) {
    let bytes = message.clone().encode();
    let there = T::decode(&bytes);
    assert_eq!(there.as_ref(), Ok(message));
    let again = there.unwrap().encode();
    assert_eq!(T::decode(&again).as_ref(), Ok(message));
    assert_eq!(again.len(), bytes.len());
}

fn made(text: &[u8]) {
    let Some([method, uri, headers, header, extensions, extension, name, rest]) = text_lines(text)
    else {
        return;
    };
    let (Ok(method), Ok(uri)) = (method.parse::<Method>(), uri.parse::<Uri>()) else { return };
    let mut fields = HeaderMap::new();
    if let Some((name, value)) = header.split_once(": ")
        && let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>())
    {
        for at in 0..number::<u16>(headers) % 500 {
            let numbered: HeaderName = format!("{name}-{}", at / 2).parse().unwrap();
            fields.append(numbered, value.clone());
        }
    }
    let mut open = Extensions::default();
    if number::<u8>(extensions) > 0 {
        open.set(Extensions::CLIENT_IP, extension.to_owned());
        open.set(Extensions::ROUTE, rest.to_owned());
    }
    let body = rest.to_owned().into_bytes();
    let sha256 = [body.len() as u8; 32];
    let blob = BlobRef { key: name.to_owned(), bytes: body.len() as u64, sha256 };
    // What varies besides, varies with the length.
    let number = body.len();
    let user = User {
        id: Id::from_raw(number as i64),
        session: Id::from_raw(-1),
        name: name.to_owned(),
        role: Role::ALL[number % Role::ALL.len()],
        scopes: (number % 2 == 1).then(|| rest.split(' ').map(str::to_owned).collect()),
    };
    let envelope = Envelope {
        method,
        uri,
        headers: fields.clone(),
        body: if number % 3 == 0 {
            Payload::Blob(blob.clone())
        } else {
            Payload::Inline(body.clone().into())
        },
        principal: match number % 4 {
            0 => Principal::Anonymous,
            1 => Principal::Service(name.to_owned()),
            _ => Principal::User(user),
        },
        deadline: Timestamp::from_micros(number as i64),
        idempotency_key: (number % 5 > 0).then(|| IdempotencyKey {
            value: name.to_owned(),
            origin: if number % 5 > 2 { KeyOrigin::Gateway } else { KeyOrigin::Client },
        }),
        trace: TraceContext { trace_id: [1; 16], span_id: [2; 8], flags: 3 },
        request_id: rest.to_owned(),
        extensions: open.clone(),
    };
    let refusals = [
        None,
        Some(Refusal::Busy),
        Some(Refusal::DeadlinePassed),
        Some(Refusal::Draining),
        Some(Refusal::Unsupported),
        Some(Refusal::Aborted),
    ];
    let reply = Reply {
        status: StatusCode::from_u16(100 + (number % 900) as u16).unwrap(),
        headers: fields,
        body: match number % 3 {
            0 => Body::Inline(body.into()),
            1 => Body::Blob(blob),
            _ => Body::Stream { topics: vec![name.to_owned()], after_id: Some(rest.to_owned()) },
        },
        refusal: refusals[number % refusals.len()],
        extensions: open,
    };
    if envelope.clone().encode().len() < MAX_BYTES && reply.clone().encode().len() < MAX_BYTES {
        travels(&envelope);
        travels(&reply);
    }
}
