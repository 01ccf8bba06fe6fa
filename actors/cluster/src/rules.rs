//! Who may be linked with whom. Pure: no clock, no sockets.

use std::collections::BTreeSet;

use panel_kernel::time::Timestamp;

use crate::hello::{Hello, PROTOCOL};

/// What a certificate says of its node; nothing where links have no TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certified {
    /// The node's name.
    pub(crate) name: String,
    /// What it may do.
    pub(crate) roles: BTreeSet<String>,
    /// Until when it says so.
    pub(crate) not_after: Timestamp,
}

/// Why a peer is refused. The text is for both operators.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// It is this node.
    #[error("this is the same node")]
    Myself,
    /// Another node has this node's name.
    #[error("two nodes are named {0:?}: give one of them another name")]
    SameName(String),
    /// It is of another cluster.
    #[error("it belongs to the cluster {0:?}")]
    Cluster(String),
    /// It speaks an unknown version of the protocol.
    #[error("it speaks version {0} of the link protocol, this release speaks {PROTOCOL}")]
    Protocol(u32),
    /// Its certificate is another node's.
    #[error("it calls itself {says:?}, its certificate is that of {is:?}")]
    Name {
        /// What it says.
        says: String,
        /// What its certificate says.
        is: String,
    },
    /// Its certificate does not allow what it does.
    #[error("its certificate does not allow the role {0:?}")]
    Role(String),
    /// Another life of it is linked and well.
    #[error("another node named {0:?} is linked and alive")]
    Twin(String),
    /// There are too many nodes.
    #[error("there are {0} nodes already")]
    TooMany(usize),
    /// No node says so much of itself.
    #[error("its {0} is too long")]
    TooLong(&'static str),
}

impl Refused {
    /// The label of the metric.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::Myself => "myself",
            Self::SameName(_) => "same_name",
            Self::Cluster(_) => "wrong_cluster",
            Self::Protocol(_) => "protocol",
            Self::Name { .. } => "wrong_name",
            Self::Role(_) => "wrong_role",
            Self::Twin(_) => "twin",
            Self::TooMany(_) => "too_many",
            Self::TooLong(_) => "malformed",
        }
    }
}

/// Bytes of a text, and roles, at most.
const LONGEST: usize = 256;

/// Whether the other side of a connection is who it says, and one of us.
pub(crate) fn check(
    me: &Hello,
    peer: &Hello,
    certified: Option<&Certified>,
) -> Result<(), Refused> {
    let Hello { cluster, name, boot, version, address, token, roles, .. } = peer;
    let texts = [cluster, name, boot, version, address, token];
    if let Some(at) = texts.iter().position(|text| text.len() > LONGEST) {
        let names = ["cluster", "name", "boot", "version", "address", "token"];
        return Err(Refused::TooLong(names[at]));
    }
    if roles.len() > LONGEST || roles.iter().any(|role| role.len() > LONGEST) {
        return Err(Refused::TooLong("list of roles"));
    }
    if let Some(certified) = certified {
        if certified.name != peer.name {
            let (says, is) = (peer.name.clone(), certified.name.clone());
            return Err(Refused::Name { says, is });
        }
        if let Some(role) = peer.roles.iter().find(|role| !certified.roles.contains(*role)) {
            return Err(Refused::Role(role.clone()));
        }
    }
    if peer.boot == me.boot {
        return Err(Refused::Myself);
    }
    if peer.cluster != me.cluster {
        return Err(Refused::Cluster(peer.cluster.clone()));
    }
    if peer.protocol != PROTOCOL {
        return Err(Refused::Protocol(peer.protocol));
    }
    if peer.name == me.name {
        return Err(Refused::SameName(me.name.clone()));
    }
    Ok(())
}

/// Whether `dialer` is the one of the two who dials.
pub(crate) fn may_dial(dialer: &str, listener: &str) -> bool {
    dialer < listener
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(name: &str) -> Hello {
        Hello {
            protocol: PROTOCOL,
            cluster: "panel".to_owned(),
            name: name.to_owned(),
            boot: format!("boot of {name}"),
            version: "0.1.0".to_owned(),
            roles: vec!["forum".to_owned()],
            address: "127.0.0.1:5700".to_owned(),
            token: "t".to_owned(),
        }
    }

    fn certified(name: &str, roles: &[&str]) -> Certified {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        Certified { name: name.to_owned(), roles, not_after: Timestamp::from_seconds(0) }
    }

    fn refused(change: impl FnOnce(&mut Hello), certified: &Certified) -> Refused {
        let mut peer = hello("n2");
        change(&mut peer);
        check(&hello("n1"), &peer, Some(certified)).unwrap_err()
    }

    #[test]
    fn a_peer_is_who_its_certificate_says() {
        let good = certified("n2", &["forum", "auth"]);
        assert_eq!(check(&hello("n1"), &hello("n2"), Some(&good)), Ok(()));
        assert_eq!(check(&hello("n1"), &hello("n2"), None), Ok(()));
        let named = refused(|_| {}, &certified("n3", &["forum"]));
        assert_eq!(named.label(), "wrong_name");
        assert_eq!(refused(|_| {}, &certified("n2", &["auth"])).label(), "wrong_role");
        assert_eq!(refused(|peer| peer.cluster.clear(), &good).label(), "wrong_cluster");
        assert_eq!(refused(|peer| peer.protocol += 1, &good).label(), "protocol");
        assert_eq!(refused(|peer| peer.boot = "boot of n1".to_owned(), &good).label(), "myself");
        let same = certified("n1", &["forum"]);
        assert_eq!(refused(|peer| peer.name = "n1".to_owned(), &same).label(), "same_name");
    }

    #[test]
    fn every_refusal_is_explained_to_operators() {
        let text = include_str!("../../../docs/cluster.md");
        let name = String::new;
        let all = [
            Refused::Myself,
            Refused::SameName(name()),
            Refused::Cluster(name()),
            Refused::Protocol(0),
            Refused::Name { says: name(), is: name() },
            Refused::Role(name()),
            Refused::Twin(name()),
            Refused::TooMany(0),
        ];
        for label in all.iter().map(Refused::label) {
            assert!(text.contains(&format!("| `{label}` |")), "{label} is not explained");
        }
        // Said by who shakes hands.
        for label in ["refused_there", "malformed", "not_ready", "timeout", "unreachable"] {
            assert!(text.contains(&format!("| `{label}` |")), "{label} is not explained");
        }
    }

    #[test]
    fn exactly_one_of_two_dials() {
        assert!(may_dial("n1", "n2") && !may_dial("n2", "n1") && !may_dial("n1", "n1"));
    }
}
