//! The links there are, for all who look one up.

use std::sync::Arc;

use parking_lot::RwLock;

use super::Link;

/// The links there are. Cheap to clone; clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Links(Arc<RwLock<Vec<Arc<Link>>>>);

impl Links {
    /// The link under a session's label.
    pub(crate) fn labelled(&self, label: &str) -> Option<Arc<Link>> {
        self.find(|link| link.label == label)
    }

    /// The link whose beats carry this token.
    pub(crate) fn with_token(&self, token: &str) -> Option<Arc<Link>> {
        self.find(|link| link.token == token)
    }

    /// The link whose actors carry this number.
    pub(crate) fn numbered(&self, node_id: u64) -> Option<Arc<Link>> {
        self.find(|link| link.session().is_some_and(|session| session.node_id == node_id))
    }

    /// The link to a node.
    pub(crate) fn to(&self, name: &str) -> Option<Arc<Link>> {
        self.find(|link| link.peer.name == name)
    }

    pub(crate) fn all(&self) -> Vec<Arc<Link>> {
        self.0.read().clone()
    }

    pub(crate) fn add(&self, link: Arc<Link>) {
        self.0.write().push(link);
    }

    pub(crate) fn remove(&self, label: &str) {
        self.0.write().retain(|link| link.label != label);
    }

    fn find(&self, is: impl Fn(&Link) -> bool) -> Option<Arc<Link>> {
        self.0.read().iter().find(|link| is(link)).cloned()
    }
}
