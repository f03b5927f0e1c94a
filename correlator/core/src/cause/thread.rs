//! Processes whose goroutines are not known. Where one thread reads and writes everything, and has one request open, what it
//! sends is caused by that; with more threads or more requests nobody can tell.
use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::{ExchangeId, wire::Moved};

/// Processes that are known; the one that came first gives way.
const LIMIT: usize = 8192;
/// Requests that one has read; with more of them open it tells nothing.
const MAX_READ: usize = 64;

/// One process.
struct Loop {
    tid: u32,
    /// Other threads read or write, too.
    several: bool,
    /// What it read lately.
    read: VecDeque<ExchangeId>,
}

/// All of them.
#[derive(Default)]
pub(super) struct Loops {
    known: HashMap<u32, Loop>,
    order: VecDeque<u32>,
}

impl Loops {
    /// A thread moved bytes.
    pub(super) fn see(&mut self, moved: &Moved) {
        let known = self.known.entry(moved.pid).or_insert_with(|| {
            self.order.push_back(moved.pid);
            Loop { tid: moved.tid, several: false, read: VecDeque::new() }
        });
        known.several |= known.tid != moved.tid;
        if self.order.len() > LIMIT
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// It read a request.
    pub(super) fn read(&mut self, pid: u32, request: ExchangeId) {
        let Some(known) = self.known.get_mut(&pid) else { return };
        if known.read.len() >= MAX_READ {
            known.read.pop_front();
        }
        known.read.push_back(request);
    }

    /// The one request that is open, where there is no doubt.
    pub(super) fn cause(&mut self, pid: u32, is_open: impl Fn(ExchangeId) -> bool) -> Option<ExchangeId> {
        let known = self.known.get_mut(&pid).filter(|known| !known.several)?;
        known.read.retain(|request| is_open(*request));
        match (known.read.front(), known.read.len()) {
            (Some(only), 1) => Some(*only),
            _ => None,
        }
    }
}
