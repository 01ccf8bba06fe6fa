//! Which answers are being asked for anew, behind those who were shown them: each once, and not too many.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;

/// As many at a time; who comes to one more is shown what there is, and the next one asks.
const MOST: usize = 32;

/// Those under way.
#[derive(Clone, Default)]
pub(super) struct Refreshing(Arc<Mutex<HashSet<Arc<str>>>>);

/// One that is under way, until this is dropped.
pub(crate) struct Turn {
    refreshing: Refreshing,
    key: Arc<str>,
}

impl Refreshing {
    /// Begins with what lies under a key, unless somebody has, or there are too many.
    pub(super) fn begin(&self, key: &Arc<str>) -> Option<Turn> {
        let mut under_way = self.0.lock();
        if under_way.len() >= MOST || !under_way.insert(Arc::clone(key)) {
            return None;
        }
        Some(Turn { refreshing: self.clone(), key: Arc::clone(key) })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.refreshing.0.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_asked_for_once_and_not_too_many_at_a_time() {
        let refreshing = Refreshing::default();
        let mut turns: Vec<Turn> = Vec::new();
        for n in 0..MOST {
            let key: Arc<str> = n.to_string().into();
            turns.push(refreshing.begin(&key).unwrap());
            assert!(refreshing.begin(&key).is_none());
        }
        let more: Arc<str> = "more".into();
        assert!(refreshing.begin(&more).is_none());
        turns.pop();
        assert!(refreshing.begin(&more).is_some());
    }
}
