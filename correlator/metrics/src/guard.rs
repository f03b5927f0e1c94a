//! How many values the labels of one pod's metric may have, and which series are over.
use std::{hash::Hash, sync::Arc};

use hashbrown::{HashMap, HashSet};

use crate::labels::{OTHER, Status};

/// What a label can be; one of too many is `other`.
pub(crate) trait Value: Clone + Eq + Hash {
    fn other() -> Self;
    fn is_other(&self) -> bool;
}

impl Value for Arc<str> {
    fn other() -> Self {
        OTHER.into()
    }

    fn is_other(&self) -> bool {
        **self == *OTHER
    }
}

impl Value for Status {
    fn other() -> Self {
        Self::Other
    }

    fn is_other(&self) -> bool {
        *self == Self::Other
    }
}

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

impl<T: Value> Guard<T> {
    /// Leaves a value that is known, or for which there is room: all series share it then. Another one becomes `other`; says
    /// whether it did.
    pub(crate) fn bound(&mut self, value: &mut T, limit: usize) -> bool {
        let known = self.values.get(value).cloned();
        let cut = known.is_none() && self.values.len() >= limit;
        match known {
            Some(known) => *value = known,
            None if cut => *value = T::other(),
            None => drop(self.values.insert(value.clone())),
        }
        cut
    }

    /// A series has this value. That of the series of too many takes no place.
    pub(crate) fn note(&mut self, value: &T) {
        if !value.is_other() {
            self.values.insert(value.clone());
        }
    }

    /// Forgets values that no series has.
    pub(crate) fn forget(&mut self) {
        self.values.clear();
    }
}

/// Forgets series that are idle; says how many.
pub(crate) fn forget_idle<K, S>(series: &mut HashMap<K, S>, is_idle: impl Fn(&S) -> bool) -> usize {
    let before = series.len();
    series.retain(|_, series| !is_idle(series));
    before - series.len()
}
