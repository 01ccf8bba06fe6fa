//! The wire form of the frozen message: bincode 2, and the only file that knows it.
//!
//! The first byte is the major. The rest is positional (bincode's standard configuration:
//! little endian, variable-length integers), which is why the structs below never change
//! within a major: what is new goes into `extensions`. Strings and numbers that a later
//! release may know more of (methods, statuses, refusals, roles) are sent in their open form
//! and read with a defined meaning for the unknown. The golden tests at the end hold the bytes
//! still. See `docs/adr/0002-wire-format.md`.

use std::borrow::Cow;

use bincode::config::{Configuration, LittleEndian, Varint};
use bincode::{Decode, Encode};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::{
    BlobRef, Body, Envelope, Extensions, IdempotencyKey, KeyOrigin, MAJOR, Payload, Principal,
    Refusal, Reply, TraceContext, User,
};
use crate::faults;
use crate::ids::Id;
use crate::problem::Problem;
use crate::role::Role;
use crate::time::Timestamp;

/// The largest message that is decoded. The transport's frame cap is the same.
pub const MAX_BYTES: usize = 1024 * 1024;

const CONFIG: Configuration<LittleEndian, Varint, bincode::config::Limit<MAX_BYTES>> =
    bincode::config::standard().with_limit::<MAX_BYTES>();

/// Bytes that are not a message of this major.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    /// Another major, or nothing at all.
    #[error("not a message of major {MAJOR}")]
    OtherMajor,
    /// This major, but not its shape.
    #[error("malformed message")]
    Malformed,
    /// This major and its shape, but a value this release has no meaning for.
    #[error("a value this release does not know")]
    Unknown,
}

/// What can travel between nodes.
pub trait Wire: Sized + Send + 'static {
    /// To bytes.
    fn encode(self) -> Vec<u8>;

    /// From bytes.
    ///
    /// # Errors
    /// [`Undecodable`]; it never panics, whatever the bytes.
    fn decode(bytes: &[u8]) -> Result<Self, Undecodable>;
}

impl Wire for Envelope {
    fn encode(self) -> Vec<u8> {
        pack(&WireEnvelope::from(self))
    }

    fn decode(bytes: &[u8]) -> Result<Self, Undecodable> {
        unpack::<WireEnvelope>(bytes)?.try_into()
    }
}

impl Wire for Reply {
    fn encode(self) -> Vec<u8> {
        let packed = pack(&WireReply::from(self));
        if packed.len() <= MAX_BYTES {
            return packed;
        }
        // Sent as it is, it would end the link, and everything else that is in flight there.
        tracing::error!(bytes = packed.len(), "an answer is too large for another node");
        pack(&WireReply::from(Self::problem(&Problem::internal())))
    }

    fn decode(bytes: &[u8]) -> Result<Self, Undecodable> {
        unpack::<WireReply>(bytes)?.try_into()
    }
}

/// The limit is one of decoding alone: requests stay below it (the edge bounds their parts),
/// answers are looked at when they are packed.
fn pack<T: Encode>(value: &T) -> Vec<u8> {
    // Encoding plain data into a growing vector does not fail. An empty message would be refused
    // as malformed.
    bincode::encode_to_vec((MAJOR, value), CONFIG).unwrap_or_else(|_| vec![MAJOR])
}

fn unpack<T: Decode<()>>(bytes: &[u8]) -> Result<T, Undecodable> {
    match bytes.split_first() {
        Some((&MAJOR, rest)) => match bincode::decode_from_slice(rest, CONFIG) {
            Ok((value, read)) if read == rest.len() => Ok(value),
            _ => Err(Undecodable::Malformed),
        },
        _ => Err(Undecodable::OtherMajor),
    }
}

#[derive(Encode, Decode)]
struct WireEnvelope {
    method: String,
    uri: String,
    headers: Vec<(String, Vec<u8>)>,
    body: WirePayload,
    principal: WirePrincipal,
    deadline_micros: i64,
    idempotency_key: Option<(String, u8)>,
    trace: ([u8; 16], [u8; 8], u8),
    request_id: String,
    extensions: Vec<(String, Vec<u8>)>,
}

#[derive(Encode, Decode)]
enum WirePayload {
    Inline(Vec<u8>),
    Blob(WireBlob),
}

#[derive(Encode, Decode)]
struct WireBlob {
    key: String,
    bytes: u64,
    sha256: [u8; 32],
}

#[derive(Encode, Decode)]
enum WirePrincipal {
    Anonymous,
    User { id: i64, session: i64, name: String, role: u8, scopes: Option<Vec<String>> },
    Service(String),
}

#[derive(Encode, Decode)]
struct WireReply {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: WireBody,
    refusal: Option<u8>,
    extensions: Vec<(String, Vec<u8>)>,
}

#[derive(Encode, Decode)]
enum WireBody {
    Inline(Vec<u8>),
    Blob(WireBlob),
    Stream { topics: Vec<String>, after_id: Option<String> },
}

impl From<Envelope> for WireEnvelope {
    fn from(mut envelope: Envelope) -> Self {
        disguise(&mut envelope.headers, &mut envelope.extensions);
        Self {
            method: envelope.method.as_str().to_owned(),
            uri: envelope.uri.to_string(),
            headers: headers_out(&envelope.headers),
            body: match envelope.body {
                Payload::Inline(bytes) => WirePayload::Inline(bytes.into()),
                Payload::Blob(blob) => WirePayload::Blob(blob.into()),
            },
            principal: match envelope.principal {
                Principal::Anonymous => WirePrincipal::Anonymous,
                Principal::User(user) => WirePrincipal::User {
                    id: user.id.raw(),
                    session: user.session.raw(),
                    name: user.name,
                    role: u8::try_from(user.role.level()).unwrap_or(0),
                    scopes: user.scopes,
                },
                Principal::Service(name) => WirePrincipal::Service(name),
            },
            deadline_micros: envelope.deadline.as_micros(),
            idempotency_key: envelope.idempotency_key.map(|key| {
                (
                    key.value,
                    match key.origin {
                        KeyOrigin::Client => 0,
                        KeyOrigin::Gateway => 1,
                    },
                )
            }),
            trace: (envelope.trace.trace_id, envelope.trace.span_id, envelope.trace.flags),
            request_id: envelope.request_id,
            extensions: extensions_out(envelope.extensions),
        }
    }
}

impl TryFrom<WireEnvelope> for Envelope {
    type Error = Undecodable;

    fn try_from(wire: WireEnvelope) -> Result<Self, Undecodable> {
        Ok(Self {
            method: Method::from_bytes(wire.method.as_bytes())
                .map_err(|_| Undecodable::Malformed)?,
            uri: wire.uri.parse().map_err(|_| Undecodable::Malformed)?,
            headers: headers_in(wire.headers)?,
            body: match wire.body {
                WirePayload::Inline(bytes) => Payload::Inline(bytes.into()),
                WirePayload::Blob(blob) => Payload::Blob(blob.into()),
            },
            principal: match wire.principal {
                WirePrincipal::Anonymous => Principal::Anonymous,
                WirePrincipal::User { id, session, name, role, scopes } => Principal::User(User {
                    id: Id::from_raw(id),
                    session: Id::from_raw(session),
                    name,
                    // A rank this release does not know must not be guessed.
                    role: Role::from_level(i64::from(role)).ok_or(Undecodable::Unknown)?,
                    scopes,
                }),
                WirePrincipal::Service(name) => Principal::Service(name),
            },
            deadline: Timestamp::from_micros(wire.deadline_micros),
            idempotency_key: wire.idempotency_key.map(|(value, origin)| IdempotencyKey {
                value,
                // Unknown origins are kept as long as a client's.
                origin: if origin == 1 { KeyOrigin::Gateway } else { KeyOrigin::Client },
            }),
            trace: TraceContext {
                trace_id: wire.trace.0,
                span_id: wire.trace.1,
                flags: wire.trace.2,
            },
            request_id: wire.request_id,
            extensions: extensions_in(wire.extensions),
        })
    }
}

impl From<Reply> for WireReply {
    fn from(mut reply: Reply) -> Self {
        disguise(&mut reply.headers, &mut reply.extensions);
        Self {
            status: reply.status.as_u16(),
            headers: headers_out(&reply.headers),
            body: match reply.body {
                Body::Inline(bytes) => WireBody::Inline(bytes.into()),
                Body::Blob(blob) => WireBody::Blob(blob.into()),
                Body::Stream { topics, after_id } => WireBody::Stream { topics, after_id },
            },
            refusal: reply.refusal.map(|refusal| match refusal {
                Refusal::Busy => 0,
                Refusal::DeadlinePassed => 1,
                Refusal::Draining => 2,
                Refusal::Unsupported => 3,
                Refusal::Aborted => 4,
            }),
            extensions: extensions_out(reply.extensions),
        }
    }
}

impl TryFrom<WireReply> for Reply {
    type Error = Undecodable;

    fn try_from(wire: WireReply) -> Result<Self, Undecodable> {
        Ok(Self {
            status: StatusCode::from_u16(wire.status).map_err(|_| Undecodable::Malformed)?,
            headers: headers_in(wire.headers)?,
            body: match wire.body {
                WireBody::Inline(bytes) => Body::Inline(bytes.into()),
                WireBody::Blob(blob) => Body::Blob(blob.into()),
                WireBody::Stream { topics, after_id } => Body::Stream { topics, after_id },
            },
            refusal: wire.refusal.map(|refusal| match refusal {
                0 => Refusal::Busy,
                1 => Refusal::DeadlinePassed,
                2 => Refusal::Draining,
                3 => Refusal::Unsupported,
                // A reason this release does not know: assume the least, that anything may
                // have been done.
                _ => Refusal::Aborted,
            }),
            extensions: extensions_in(wire.extensions),
        })
    }
}

impl From<BlobRef> for WireBlob {
    fn from(blob: BlobRef) -> Self {
        Self { key: blob.key, bytes: blob.bytes, sha256: blob.sha256 }
    }
}

impl From<WireBlob> for BlobRef {
    fn from(wire: WireBlob) -> Self {
        Self { key: wire.key, bytes: wire.bytes, sha256: wire.sha256 }
    }
}

/// Puts in what no release knows yet, if this process passes for a later one (tests).
fn disguise(headers: &mut HeaderMap, extensions: &mut Extensions) {
    if let Some(release) = faults::pretended() {
        headers.insert("x-panel-another-release", HeaderValue::from_static("1"));
        extensions.set("another-release", release.as_bytes());
    }
}

fn headers_out(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect()
}

fn headers_in(wire: Vec<(String, Vec<u8>)>) -> Result<HeaderMap, Undecodable> {
    let mut headers = HeaderMap::with_capacity(wire.len());
    for (name, value) in wire {
        let name = HeaderName::try_from(name).map_err(|_| Undecodable::Malformed)?;
        let value = HeaderValue::try_from(value).map_err(|_| Undecodable::Malformed)?;
        headers.append(name, value);
    }
    Ok(headers)
}

fn extensions_out(extensions: Extensions) -> Vec<(String, Vec<u8>)> {
    extensions.0.into_iter().map(|(name, value)| (name.into_owned(), value.into())).collect()
}

fn extensions_in(wire: Vec<(String, Vec<u8>)>) -> Extensions {
    Extensions(
        wire.into_iter().map(|(name, value)| (Cow::Owned(name), Bytes::from(value))).collect(),
    )
}

#[cfg(test)]
mod tests;
