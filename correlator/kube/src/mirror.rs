//! What is known of each object of a resource, and what of it is news.
use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

/// Objects of one resource by `namespace/name`, at most `limit`: further ones are left out until the next listing, and counted.
#[derive(Debug)]
pub struct Mirror<T> {
    known: BTreeMap<String, T>,
    /// While everything is listed anew: who was not listed by its end is gone.
    unlisted: Option<BTreeSet<String>>,
    limit: usize,
    pub left_out: u64,
}

/// A change of one object.
#[derive(Debug, PartialEq, Eq)]
pub struct Change<T> {
    /// `namespace/name`.
    pub key: String,
    /// What was known of it.
    pub before: Option<T>,
    /// What is known of it.
    pub now: Option<T>,
}

impl<T: Clone + PartialEq> Mirror<T> {
    pub fn new(limit: usize) -> Self {
        Self { known: BTreeMap::new(), unlisted: None, limit, left_out: 0 }
    }

    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Everything is listed anew.
    pub fn begin(&mut self) {
        self.unlisted = Some(self.known.keys().cloned().collect());
    }

    /// Everything was listed: those that were not are gone.
    pub fn end(&mut self) -> Vec<Change<T>> {
        let gone = self.unlisted.take().unwrap_or_default();
        gone.into_iter().filter_map(|key| self.remove(key)).collect()
    }

    /// An object is there; nothing where it says what is known.
    pub fn apply(&mut self, key: String, now: T) -> Option<Change<T>> {
        if let Some(unlisted) = &mut self.unlisted {
            unlisted.remove(&key);
        }
        let full = self.known.len() >= self.limit;
        let before = match self.known.entry(key.clone()) {
            Entry::Occupied(entry) if *entry.get() == now => return None,
            Entry::Occupied(mut entry) => Some(entry.insert(now.clone())),
            Entry::Vacant(_) if full => {
                self.left_out += 1;
                return None;
            }
            Entry::Vacant(entry) => {
                entry.insert(now.clone());
                None
            }
        };
        Some(Change { key, before, now: Some(now) })
    }

    /// An object is gone.
    pub fn remove(&mut self, key: String) -> Option<Change<T>> {
        let before = self.known.remove(&key)?;
        Some(Change { key, before: Some(before), now: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(changes: Vec<Change<u32>>) -> Vec<(String, Option<u32>)> {
        changes.into_iter().map(|change| (change.key, change.now)).collect()
    }

    #[test]
    fn only_what_differs_is_news() {
        let mut mirror = Mirror::new(9);
        assert!(mirror.apply("a".into(), 1).is_some_and(|change| change.before.is_none()));
        assert_eq!(mirror.apply("a".into(), 1), None);
        assert_eq!(mirror.apply("a".into(), 2).and_then(|change| change.before), Some(1));
        assert_eq!(mirror.remove("a".into()).map(|change| change.now), Some(None));
        assert_eq!(mirror.remove("a".into()), None);
    }

    #[test]
    fn who_is_not_listed_any_more_is_gone() {
        let mut mirror = Mirror::new(9);
        ["a", "b", "c"].into_iter().for_each(|key| drop(mirror.apply(key.into(), 1)));
        mirror.begin();
        assert_eq!(mirror.apply("b".into(), 1), None);
        assert!(mirror.apply("d".into(), 1).is_some());
        assert_eq!(keys(mirror.end()), [("a".into(), None), ("c".into(), None)]);
        assert_eq!(keys(mirror.end()), []);
    }

    #[test]
    fn there_is_room_for_so_many_and_no_more() {
        let mut mirror = Mirror::new(2);
        ["a", "b", "c"].into_iter().for_each(|key| drop(mirror.apply(key.into(), 1)));
        assert_eq!((mirror.len(), mirror.left_out), (2, 1));
        assert!(mirror.apply("a".into(), 2).is_some());
    }
}
