//! What was met lately: a set of a bounded size, in which the oldest gives way.
use std::collections::{BTreeSet, VecDeque};

/// The set.
pub struct Recent<T> {
    limit: usize,
    known: BTreeSet<T>,
    order: VecDeque<T>,
}

impl<T: Copy + Ord> Recent<T> {
    /// At most `limit` of them.
    pub fn new(limit: usize) -> Self {
        Self { limit, known: BTreeSet::new(), order: VecDeque::new() }
    }

    /// Remembers it; says whether it is new.
    pub fn insert(&mut self, value: T) -> bool {
        if !self.known.insert(value) {
            return false;
        }
        self.order.push_back(value);
        if self.order.len() > self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }

    /// Whether it is remembered.
    pub fn contains(&self, value: T) -> bool {
        self.known.contains(&value)
    }

    /// Forgets it.
    pub fn remove(&mut self, value: T) {
        if self.known.remove(&value) {
            self.order.retain(|known| *known != value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_gives_way() {
        let mut recent = Recent::new(3);
        assert_eq!([1, 2, 1, 3, 4].map(|value| recent.insert(value)), [true, true, false, true, true]);
        assert_eq!([1, 2, 3, 4].map(|value| recent.contains(value)), [false, true, true, true]);
        recent.remove(3);
        assert!(recent.insert(3) && recent.order.len() == 3);
    }
}
