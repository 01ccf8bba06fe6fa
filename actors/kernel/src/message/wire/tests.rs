//! The bytes stand still. If one of the golden tests fails, the format has changed and nodes
//! of two releases no longer understand each other: that takes a new major.

use super::*;
use crate::ids::hex;

fn full_envelope() -> Envelope {
    let mut headers = HeaderMap::new();
    headers.append("accept", HeaderValue::from_static("application/json"));
    headers.append("x-twice", HeaderValue::from_static("1"));
    headers.append("x-twice", HeaderValue::from_bytes(b"\xff2").unwrap());
    let mut extensions = Extensions::default();
    extensions.set(Extensions::CLIENT_IP, "192.0.2.1");
    Envelope {
        method: Method::POST,
        uri: "/api/v2/forum/threads?limit=2".parse().unwrap(),
        headers,
        body: Payload::Inline(Bytes::from_static(b"{}")),
        principal: Principal::User(User {
            id: Id::from_raw(1),
            session: Id::from_raw(300),
            name: "Zoë".to_owned(),
            role: Role::Moderator,
            scopes: Some(vec!["forum:write".to_owned()]),
        }),
        deadline: Timestamp::from_micros(1_790_000_000_000_000),
        idempotency_key: Some(IdempotencyKey { value: "k".to_owned(), origin: KeyOrigin::Gateway }),
        trace: TraceContext { trace_id: [1; 16], span_id: [2; 8], flags: 1 },
        request_id: "r-1".to_owned(),
        extensions,
    }
}

fn plain_envelope() -> Envelope {
    Envelope {
        method: Method::GET,
        uri: "/".parse().unwrap(),
        headers: HeaderMap::new(),
        body: Payload::Blob(BlobRef { key: "b".to_owned(), bytes: 131_073, sha256: [3; 32] }),
        principal: Principal::Anonymous,
        deadline: Timestamp::from_micros(0),
        idempotency_key: None,
        trace: TraceContext { trace_id: [0; 16], span_id: [0; 8], flags: 0 },
        request_id: String::new(),
        extensions: Extensions::default(),
    }
}

fn replies() -> Vec<Reply> {
    let mut extensions = Extensions::default();
    extensions.set(Extensions::ROUTE, "/api/v2/forum/threads");
    let mut first = Reply::json(StatusCode::CREATED, "{}");
    first.extensions = extensions;
    let mut stream = Reply::refuse(Refusal::Busy);
    stream.body = Body::Stream { topics: vec!["t".to_owned()], after_id: Some("9".to_owned()) };
    let mut blob = Reply::json(StatusCode::OK, "");
    blob.body = Body::Blob(BlobRef { key: "b".to_owned(), bytes: 1, sha256: [4; 32] });
    vec![first, stream, blob]
}

#[test]
fn what_is_packed_unpacks_to_the_same() {
    for envelope in [full_envelope(), plain_envelope()] {
        assert_eq!(Envelope::decode(&envelope.clone().encode()), Ok(envelope));
    }
    for reply in replies() {
        assert_eq!(Reply::decode(&reply.clone().encode()), Ok(reply));
    }
    for refusal in [
        Refusal::Busy,
        Refusal::DeadlinePassed,
        Refusal::Draining,
        Refusal::Unsupported,
        Refusal::Aborted,
    ] {
        let reply = Reply::refuse(refusal);
        assert_eq!(Reply::decode(&reply.clone().encode()).unwrap().refusal, Some(refusal));
    }
}

#[test]
fn golden_envelopes() {
    assert_eq!(hex(&full_envelope().encode()), include_str!("golden/envelope_full.hex").trim());
    assert_eq!(hex(&plain_envelope().encode()), include_str!("golden/envelope_plain.hex").trim());
}

#[test]
fn golden_replies() {
    let all: Vec<String> = replies().into_iter().map(|reply| hex(&reply.encode())).collect();
    let golden: Vec<&str> = include_str!("golden/replies.hex").lines().collect();
    assert_eq!(all, golden);
}

#[test]
fn an_unknown_refusal_or_origin_is_read_as_the_careful_one() {
    let mut wire = WireReply::from(Reply::refuse(Refusal::Busy));
    wire.refusal = Some(200);
    assert_eq!(Reply::decode(&pack(&wire)).unwrap().refusal, Some(Refusal::Aborted));
    let mut wire = WireEnvelope::from(full_envelope());
    wire.idempotency_key = Some(("k".to_owned(), 200));
    let key = Envelope::decode(&pack(&wire)).unwrap().idempotency_key.unwrap();
    assert_eq!(key.origin, KeyOrigin::Client);
}

#[test]
fn an_unknown_role_is_refused_not_guessed() {
    let mut wire = WireEnvelope::from(full_envelope());
    wire.principal =
        WirePrincipal::User { id: 1, session: 1, name: String::new(), role: 9, scopes: None };
    assert_eq!(Envelope::decode(&pack(&wire)), Err(Undecodable::Unknown));
}

#[test]
fn other_majors_and_garbage_are_told_apart_and_never_panic() {
    let mut bytes = full_envelope().encode();
    assert_eq!(Envelope::decode(&[]), Err(Undecodable::OtherMajor));
    for cut in 1..bytes.len() {
        assert_eq!(Envelope::decode(&bytes[..cut]), Err(Undecodable::Malformed), "cut at {cut}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert_eq!(Envelope::decode(&longer), Err(Undecodable::Malformed));
    bytes[0] = 2;
    assert_eq!(Envelope::decode(&bytes), Err(Undecodable::OtherMajor));
}

#[test]
fn a_length_prefix_without_the_bytes_allocates_nothing_large() {
    // Major 1, then a method of 2^62 bytes.
    let mut bytes = vec![1, 253];
    bytes.extend_from_slice(&(1_u64 << 62).to_le_bytes());
    assert_eq!(Envelope::decode(&bytes), Err(Undecodable::Malformed));
}

#[test]
fn an_answer_that_is_too_large_becomes_one_that_says_so() {
    let reply = |bytes: usize| Reply {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: Body::Inline(vec![b'x'; bytes].into()),
        refusal: None,
        extensions: Extensions::default(),
    };
    let fits = reply(MAX_BYTES - 100).encode();
    assert_eq!(Reply::decode(&fits).unwrap().status, 200);
    for bytes in [MAX_BYTES, 2 * MAX_BYTES] {
        let encoded = reply(bytes).encode();
        assert!(encoded.len() < 1_000);
        assert_eq!(Reply::decode(&encoded).unwrap().status, 500);
    }
}

proptest::proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..512)) {
        let mut bytes = bytes;
        drop(Envelope::decode(&bytes));
        drop(Reply::decode(&bytes));
        bytes.insert(0, MAJOR);
        drop(Envelope::decode(&bytes));
        drop(Reply::decode(&bytes));
    }

    #[test]
    fn flipped_bytes_never_panic(at in 0_usize..200, bit in 0_u8..8) {
        let mut bytes = full_envelope().encode();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        drop(Envelope::decode(&bytes));
    }
}
