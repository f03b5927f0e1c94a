use std::hash::Hash;

use hashbrown::HashMap;

/// A table that forgets what was not asked for in a long time: when the young half is full it becomes the old one, and
/// what was in the old one is gone. At most twice the limit.
#[derive(Debug)]
pub(crate) struct Generations<K, V> {
    limit: usize,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    evicted: u64,
}

impl<K: Eq + Hash + Copy, V: Copy> Generations<K, V> {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, young: HashMap::new(), old: HashMap::new(), evicted: 0 }
    }

    pub(crate) fn get(&mut self, key: &K) -> Option<&mut V> {
        if !self.young.contains_key(key) {
            let value = self.old.remove(key)?;
            self.insert(*key, value);
        }
        self.young.get_mut(key)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.limit {
            let old = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
            self.evicted += old.len() as u64;
        }
        self.young.insert(key, value);
    }

    /// How many were forgotten.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays() {
        let mut table = Generations::new(10);
        for key in 0..100 {
            table.insert(key, key);
            assert_eq!(table.get(&0).copied(), Some(0), "{key}");
        }
        assert!(table.young.len() + table.old.len() <= 20);
        assert!(table.get(&1).is_none());
        assert!(table.evicted() >= 70);
    }
}
