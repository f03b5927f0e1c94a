//! How many values the labels of one pod's metric may have.
use std::hash::Hash;

use hashbrown::HashSet;

/// The values that one label has.
#[derive(Debug)]
pub(crate) struct Guard<T> {
    values: HashSet<T>,
}

impl<T> Default for Guard<T> {
    fn default() -> Self {
        Self { values: HashSet::new() }
    }
}

impl<T: Clone + Eq + Hash> Guard<T> {
    /// Leaves a value that is known, or for which there is room: all series share it then. Another one becomes `other`; says
    /// whether it did.
    pub(crate) fn bound(&mut self, value: &mut T, other: impl FnOnce() -> T, limit: usize) -> bool {
        let known = self.values.get(value).cloned();
        let cut = known.is_none() && self.values.len() >= limit;
        match known {
            Some(known) => *value = known,
            None if cut => *value = other(),
            None => self.note(value.clone()),
        }
        cut
    }

    /// A series has this value.
    pub(crate) fn note(&mut self, value: T) {
        self.values.insert(value);
    }

    /// Forgets values that no series has.
    pub(crate) fn forget(&mut self) {
        self.values.clear();
    }
}
