//! What nodes tell each other on a link, besides requests.

use ractor_cluster::RactorClusterMessage;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// No message between agents is longer.
const MAX_BYTES: usize = 256 * 1024;

/// What agents tell each other, as JSON: a later release may say more.
#[derive(RactorClusterMessage)]
pub(crate) enum NodeAgentMessage {
    /// A [`Beat`].
    Beat(Vec<u8>),
    /// An [`Echo`] of one.
    Echo(Vec<u8>),
    /// A wish that the node drain: [`Drain`].
    Drain(Vec<u8>),
}

/// Sent four times a second on every link.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Beat {
    /// The receiver's token of the link.
    pub(crate) token: String,
    /// Counts up.
    pub(crate) number: u64,
    /// Whether the sender leaves the cluster.
    pub(crate) draining: bool,
    /// Whom the sender is linked with: name and address.
    pub(crate) peers: Vec<(String, String)>,
}

/// A beat that has arrived.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Echo {
    /// The receiver's token of the link.
    pub(crate) token: String,
    /// Of the beat.
    pub(crate) number: u64,
    /// What the clock shows where it has arrived, in microseconds since the Unix epoch.
    pub(crate) clock_micros: i64,
}

/// A wish that the receiver drain and end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Drain {
    /// The receiver's token of the link.
    pub(crate) token: String,
}

pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    if bytes.len() > MAX_BYTES {
        return None;
    }
    serde_json::from_slice(bytes).ok()
}

pub(crate) fn write<T: Serialize>(message: &T) -> Vec<u8> {
    // Of plain structs with string keys nothing can fail.
    serde_json::to_vec(message).unwrap_or_default()
}
