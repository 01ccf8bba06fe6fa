//! The frozen message: one shape for every service and every release of a major.
//!
//! `Call(Envelope, RpcReplyPort<Reply>)` is all a front door understands. Locally an
//! [`Envelope`] moves by value and nothing is serialised; between nodes it is bincode, behind
//! [`wire`] alone. What later releases need travels in the open list of extensions, so that
//! the structs themselves never change; a change that can't be made that way is a new major
//! and a new process group (`forum.v2`).

mod envelope;
mod guard;
mod principal;
mod reply;
mod trace;
pub mod wire;

pub use envelope::{BlobRef, Envelope, Extensions, IdempotencyKey, KeyOrigin, Payload};
pub use guard::ReplyGuard;
pub use principal::{Principal, User};
pub use reply::{Body, Refusal, Reply};
pub use trace::TraceContext;

use ractor::{BytesConvertable, RpcReplyPort};
use ractor_cluster::RactorClusterMessage;

/// The major of the message format; part of the process group's name.
pub const MAJOR: u8 = 1;

/// What a front door's mailbox takes.
#[derive(RactorClusterMessage)]
pub enum FrontDoorMessage {
    /// A request that wants a reply.
    #[rpc]
    Call(Parcel<Envelope>, RpcReplyPort<Parcel<Reply>>),
}

/// A message as it lies in a mailbox: as itself if it came from this node, still as bytes if
/// it came from another.
///
/// Bytes are decoded by the receiver, never by the transport: a transport can't answer a
/// message that it can't decode, a front door can.
#[derive(Debug)]
pub enum Parcel<T> {
    /// From this node.
    Here(Box<T>),
    /// From another node, not looked at yet.
    Packed(Vec<u8>),
}

impl<T: wire::Wire> Parcel<T> {
    /// For the mailbox.
    #[must_use]
    pub fn new(content: T) -> Self {
        Self::Here(Box::new(content))
    }

    /// What is inside.
    ///
    /// # Errors
    /// [`wire::Undecodable`] if it came as bytes that are not of this major.
    pub fn open(self) -> Result<Box<T>, wire::Undecodable> {
        match self {
            Self::Here(content) => Ok(content),
            Self::Packed(bytes) => T::decode(&bytes).map(Box::new),
        }
    }
}

impl<T: wire::Wire> BytesConvertable for Parcel<T> {
    fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Here(content) => content.encode(),
            Self::Packed(bytes) => bytes,
        }
    }

    fn from_bytes(bytes: Vec<u8>) -> Self {
        Self::Packed(bytes)
    }
}
