//! Children that are made when they are needed, one for each key, and are gone when they end.
//!
//! They are no part of the table of a supervisor: nothing depends on any of them, and who needs one that has
//! ended makes another. The actor that has them handles their ends by [`OnDemand::ended`].

use std::collections::HashMap;
use std::hash::Hash;

use ractor::{Actor, ActorId, ActorRef, Message, SpawnErr};

use crate::faults::Breakable;

/// The children of one actor, by what they are for.
pub struct OnDemand<K, M> {
    children: HashMap<K, ActorRef<M>>,
    keys: HashMap<ActorId, K>,
    most: usize,
}

impl<K: std::fmt::Debug, M> std::fmt::Debug for OnDemand<K, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OnDemand({:?})", self.children.keys())
    }
}

impl<K: Clone + Eq + Hash, M: Message> OnDemand<K, M> {
    /// None yet, and never more than so many.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { children: HashMap::new(), keys: HashMap::new(), most }
    }

    /// The one for this key, if there is one.
    #[must_use]
    pub fn get<Q>(&self, key: &Q) -> Option<&ActorRef<M>>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.children.get(key)
    }

    /// The one for this key, which `make` makes as a child of `parent` where there is none; `None` if there
    /// are as many as there may be.
    ///
    /// # Errors
    /// [`SpawnErr`], if it can't begin.
    pub async fn ensure<A, P, F>(
        &mut self,
        key: K,
        parent: &ActorRef<P>,
        make: F,
    ) -> Result<Option<&ActorRef<M>>, SpawnErr>
    where
        A: Actor<Msg = M>,
        F: FnOnce() -> (A, A::Arguments) + Send,
        K: Send,
    {
        if !self.children.contains_key(&key) {
            if self.children.len() >= self.most {
                return Ok(None);
            }
            let (actor, arguments) = make();
            #[allow(clippy::disallowed_methods, reason = "its parent hears of its end")]
            let (child, _) =
                Actor::spawn_linked(None, Breakable(actor), arguments, parent.get_cell()).await?;
            self.keys.insert(child.get_id(), key.clone());
            self.children.insert(key.clone(), child);
        }
        Ok(self.children.get(&key))
    }

    /// One has ended, for whatever reason: which.
    pub fn ended(&mut self, actor: ActorId) -> Option<K> {
        let key = self.keys.remove(&actor)?;
        self.children.remove(&key);
        Some(key)
    }
}
