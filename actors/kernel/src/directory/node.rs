//! The nodes of the cluster, as they are shown.

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use super::{MemberStatus, Standing};

/// One node, as this one knows it.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name.
    pub name: Arc<str>,
    /// Which of its lives.
    pub boot: Arc<str>,
    /// What it does.
    pub roles: Arc<[String]>,
    /// Its release.
    pub version: Arc<str>,
    /// Whether it is this node.
    pub is_here: bool,
    /// How it is.
    pub standing: Arc<Standing>,
}

/// What is told of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct NodeReport {
    /// Its name.
    pub name: String,
    /// Which of its lives: random per start.
    pub boot: String,
    /// `up`, `suspect`, `draining`, `down`.
    #[schema(value_type = String)]
    pub status: MemberStatus,
    /// What it does.
    pub roles: Vec<String>,
    /// Its release.
    pub version: String,
    /// Whether it is the node that answers.
    pub here: bool,
    /// The last measured round trip of the link, in microseconds; null here and while there is
    /// no link.
    pub round_trip_micros: Option<u64>,
}

impl Node {
    /// How it is now.
    #[must_use]
    pub fn report(&self) -> NodeReport {
        let status = self.standing.status();
        let trip = self.standing.round_trip().filter(|_| status != MemberStatus::Down);
        NodeReport {
            name: self.name.to_string(),
            boot: self.boot.to_string(),
            status,
            roles: self.roles.to_vec(),
            version: self.version.to_string(),
            here: self.is_here,
            round_trip_micros: trip.and_then(|trip| u64::try_from(trip.as_micros()).ok()),
        }
    }
}
