//! Spans of time that are over, the last ones.
use std::collections::VecDeque;

use crate::Ktime;

/// How many are kept; the oldest gives way.
const MOST: usize = 64;

/// In the order in which they ended.
#[derive(Default)]
pub(super) struct Lately(VecDeque<(Ktime, Ktime)>);

impl Lately {
    pub(super) fn push(&mut self, from: Ktime, to: Ktime) {
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back((from, to));
    }

    /// Those that ended behind this time, the last one first.
    pub(super) fn since(&self, time: Ktime) -> impl Iterator<Item = (Ktime, Ktime)> {
        self.0.iter().rev().copied().take_while(move |(_, ended)| *ended > time)
    }
}
