//! A request as it travels from the gateway to a service.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};

use super::{Principal, TraceContext};
use crate::time::Timestamp;

/// One request, for any service. Frozen: see the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The HTTP method.
    pub method: Method,
    /// Normalised path and query, in origin form.
    pub uri: Uri,
    /// The allow-listed request headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Payload,
    /// On whose behalf.
    pub principal: Principal,
    /// The absolute moment after which nobody waits for the answer.
    pub deadline: Timestamp,
    /// Present on every write.
    pub idempotency_key: Option<IdempotencyKey>,
    /// The trace this belongs to.
    pub trace: TraceContext,
    /// The id under which logs know this request.
    pub request_id: String,
    /// What this struct has no field for.
    pub extensions: Extensions,
}

impl Envelope {
    /// About how many bytes it is on a link.
    #[must_use]
    pub fn weight(&self) -> usize {
        /// Everything whose length hardly varies, with the link's own framing.
        const REST: usize = 512;
        let body = match &self.body {
            Payload::Inline(bytes) => bytes.len(),
            Payload::Blob(blob) => blob.key.len(),
        };
        let headers = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len());
        let extensions = self.extensions.0.iter().map(|(name, value)| name.len() + value.len());
        let uri = self.uri.path_and_query().map_or(0, |uri| uri.as_str().len());
        REST + body + uri + headers.sum::<usize>() + extensions.sum::<usize>()
    }

    /// Whether it is a write that a client asked for, and not one of our own services.
    pub(crate) const fn is_clients_write(&self) -> bool {
        self.idempotency_key.is_some() && !matches!(self.principal, Principal::Service(_))
    }
}

/// A body in a message.
#[derive(Clone, PartialEq, Eq)]
pub enum Payload {
    /// Up to 128 KiB, in the message itself.
    Inline(Bytes),
    /// Larger: spooled to the blob store by the edge before the message was sent.
    Blob(BlobRef),
}

impl Payload {
    /// No body.
    pub const EMPTY: Self = Self::Inline(Bytes::new());
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Inline(bytes) => write!(f, "Inline({} bytes)", bytes.len()),
            Self::Blob(blob) => blob.fmt(f),
        }
    }
}

/// Content that lies in the blob store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobRef {
    /// Its key there.
    pub key: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: [u8; 32],
}

/// Under which a write is done once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// 1 to 128 visible ASCII characters.
    pub value: String,
    /// Who made it.
    pub origin: KeyOrigin,
}

/// Who made an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOrigin {
    /// The client; remembered for a day.
    Client,
    /// The gateway, for its own retries; remembered for minutes.
    Gateway,
}

/// An open list of named values. Unknown names are carried on, never refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions(pub(super) Vec<(Cow<'static, str>, Bytes)>);

impl Extensions {
    /// The address of the client as the edge saw it (text).
    pub const CLIENT_IP: &'static str = "client-ip";
    /// There if nobody wants the body of the answer.
    pub const HEAD: &'static str = "head";
    /// There if nobody reads the answer: the request is a copy of one that was answered elsewhere, to see how another
    /// release does.
    pub const MIRRORED: &'static str = "mirrored";
    /// What a browser carries of a sign-in that it has begun through somebody else (text).
    pub const SIGN_IN: &'static str = "sign-in";
    /// The number of the exchange at its gateway (text, hexadecimal): what it makes old is told to that one with the
    /// reply.
    pub const EXCHANGE: &'static str = "exchange";
    /// What the request has made old, on replies (JSON, [`Purge`](crate::purge::Purge)).
    pub const PURGE: &'static str = "purge";
    /// By which tags a public answer can be made old, on replies (text, with spaces between).
    pub const TAGS: &'static str = "tags";
    /// The pattern of the route that answered, on replies (text).
    pub const ROUTE: &'static str = "route";

    /// Sets a value, replacing an earlier one of that name.
    pub fn set(&mut self, name: &'static str, value: impl Into<Bytes>) {
        self.0.retain(|(existing, _)| existing != name);
        self.0.push((Cow::Borrowed(name), value.into()));
    }

    /// The value of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.0.iter().find(|(existing, _)| existing == name).map(|(_, value)| value)
    }

    /// The value of that name as text, if it is UTF-8.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }
}
