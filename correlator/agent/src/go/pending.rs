//! Processes that wait to be looked at: each once, a moment after it was heard of. What only lives for that moment, as most
//! of what a shell script starts, is never looked at.
use std::{
    collections::{BTreeSet, VecDeque},
    time::{Duration, Instant},
};

/// How long. A container's runtime executes the program as its last step; its sockets come later still.
const MOMENT: Duration = Duration::from_millis(10);

/// Who waits. When there is no room the newcomer is refused: a look at all processes has to find it.
pub struct Pending {
    limit: usize,
    waiting: BTreeSet<u32>,
    /// In the order of their times; of those that are no longer waiting, too.
    queue: VecDeque<(Instant, u32)>,
}

impl Pending {
    /// At most `limit` wait.
    pub fn new(limit: usize) -> Self {
        Self { limit, waiting: BTreeSet::new(), queue: VecDeque::new() }
    }

    /// A process was heard of; says whether it waits now. One that waits already is looked at no later for it.
    #[must_use]
    pub fn add(&mut self, pid: u32, now: Instant) -> bool {
        if self.waiting.contains(&pid) {
            return true;
        }
        if self.queue.len() >= self.limit {
            return false;
        }
        self.waiting.insert(pid);
        self.queue.push_back((now + MOMENT, pid));
        true
    }

    /// It is gone.
    pub fn remove(&mut self, pid: u32) {
        self.waiting.remove(&pid);
    }

    /// The next one whose time has come.
    pub fn due(&mut self, now: Instant) -> Option<u32> {
        while let Some((_, pid)) = self.queue.front().copied().filter(|(due, _)| *due <= now) {
            self.queue.pop_front();
            // One that went and came again waits twice; the first of its times is early, and does no harm.
            if self.waiting.remove(&pid) {
                return Some(pid);
            }
        }
        None
    }

    /// When it comes.
    pub fn next(&self) -> Option<Instant> {
        self.queue.front().map(|(due, _)| *due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_looked_at_once_and_not_before_its_time() {
        let start = Instant::now();
        let mut pending = Pending::new(8);
        assert!(pending.add(1, start) && pending.add(2, start) && pending.add(1, start + MOMENT / 2));
        assert_eq!(pending.due(start), None);
        assert_eq!(pending.next(), Some(start + MOMENT));
        assert_eq!(pending.due(start + MOMENT), Some(1));
        assert_eq!(pending.due(start + MOMENT), Some(2));
        assert_eq!((pending.due(start + 9 * MOMENT), pending.next()), (None, None));
    }

    #[test]
    fn who_is_gone_before_its_time_is_not_looked_at() {
        let start = Instant::now();
        let mut pending = Pending::new(8);
        assert!(pending.add(1, start));
        pending.remove(1);
        assert_eq!(pending.due(start + MOMENT), None);
    }

    #[test]
    fn a_storm_finds_no_room() {
        let start = Instant::now();
        let mut pending = Pending::new(100);
        let taken = (0..5000).filter(|pid| pending.add(*pid, start)).count();
        assert_eq!(taken, 100);
        // Processes that end at once make no room before their time: the queue is what is bounded.
        (0..5000).for_each(|pid| pending.remove(pid));
        assert!(!pending.add(7, start));
        assert_eq!(pending.due(start + MOMENT), None);
        assert!(pending.add(7, start + MOMENT));
    }
}
