//! How many values the labels of one pod's metric may have.
use std::sync::Arc;

use hashbrown::HashSet;

/// The values that one label has.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    values: HashSet<Arc<str>>,
}

impl Guard {
    /// The value, if it may be one: it is known, or there is room for another.
    pub(crate) fn admit(&mut self, value: &Arc<str>, limit: usize) -> bool {
        if self.values.contains(value) {
            return true;
        }
        let room = self.values.len() < limit;
        if room {
            self.values.insert(Arc::clone(value));
        }
        room
    }

    /// Forgets values that no series has.
    pub(crate) fn forget(&mut self) {
        self.values.clear();
    }
}
