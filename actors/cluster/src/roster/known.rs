//! The nodes that were ever linked with this one, and have not left.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use panel_kernel::directory::{MemberStatus, Node, Standing};

use crate::hello::Hello;
use crate::link::{Link, Links};

/// A node that has not been seen for this long is no longer shown.
const REMEMBERED: Duration = Duration::from_secs(3_600);
/// Nodes in one cluster, at most.
pub(super) const MOST: usize = 128;

#[derive(Debug)]
struct Entry {
    hello: Hello,
    /// It has said that it leaves.
    leaving: bool,
    seen: Instant,
    /// Shown while there is no link.
    gone: Arc<Standing>,
}

/// The nodes, by name.
#[derive(Debug, Default)]
pub(super) struct Known(BTreeMap<String, Entry>);

impl Known {
    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= MOST
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// It is linked.
    pub(super) fn linked(&mut self, hello: &Hello, now: Instant) {
        let gone = Standing::here();
        gone.set_status(MemberStatus::Down);
        let entry = Entry { hello: hello.clone(), leaving: false, seen: now, gone };
        self.0.insert(hello.name.clone(), entry);
    }

    /// It was heard; returns whether it has just said that it leaves.
    pub(super) fn heard(&mut self, link: &Link, draining: bool, now: Instant) -> bool {
        let Some(entry) = self.0.get_mut(&link.peer.name) else { return false };
        if entry.hello.boot != link.peer.boot {
            return false;
        }
        entry.seen = now;
        let news = draining && !entry.leaving;
        entry.leaving = draining;
        news
    }

    pub(super) fn is_leaving(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|entry| entry.leaving)
    }

    /// Its link has ended: whether it had said so before.
    pub(super) fn lost(&mut self, name: &str) -> bool {
        let left = self.is_leaving(name);
        if left {
            self.0.remove(name);
        }
        left
    }

    /// Those that have not been seen for long, who are forgotten now.
    pub(super) fn expired(&mut self, links: &Links, now: Instant) -> Vec<String> {
        let old = |(name, entry): (&String, &Entry)| {
            let long = now.duration_since(entry.seen) > REMEMBERED;
            (long && links.to(name).is_none()).then(|| name.clone())
        };
        let names: Vec<String> = self.0.iter().filter_map(old).collect();
        for name in &names {
            self.0.remove(name);
        }
        names
    }

    /// How they are shown.
    pub(super) fn nodes(&self, links: &Links) -> Vec<Node> {
        let node = |entry: &Entry| {
            let hello = &entry.hello;
            let link = links.to(&hello.name).filter(|link| link.is_ready());
            let standing =
                link.map_or_else(|| Arc::clone(&entry.gone), |link| Arc::clone(&link.standing));
            Node {
                name: hello.name.as_str().into(),
                boot: hello.boot.as_str().into(),
                roles: hello.roles.clone().into(),
                version: hello.version.as_str().into(),
                is_here: false,
                standing,
            }
        };
        self.0.values().map(node).collect()
    }
}
