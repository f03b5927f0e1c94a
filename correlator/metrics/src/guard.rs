//! How many values the labels of one pod's metric may have.
use std::sync::Arc;

use hashbrown::HashSet;

/// The values that one label has.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    values: HashSet<Arc<str>>,
}

impl Guard {
    /// The value, if it may be one: it is known, and then all series share it, or there is room for another.
    pub(crate) fn admit(&mut self, value: &Arc<str>, limit: usize) -> Option<Arc<str>> {
        if let Some(known) = self.values.get(value) {
            return Some(Arc::clone(known));
        }
        let room = self.values.len() < limit;
        room.then(|| Arc::clone(self.values.get_or_insert_with(value, Arc::clone)))
    }

    /// Forgets values that no series has.
    pub(crate) fn forget(&mut self) {
        self.values.clear();
    }
}
