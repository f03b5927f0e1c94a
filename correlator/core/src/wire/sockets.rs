//! Which socket is whose: cookies of connections, calls of sockets that no connection is known of yet, and when
//! connections were begun.
use std::collections::VecDeque;

use hashbrown::HashMap;
use weft_abi::SockIo;

use super::TableSize;
use crate::Ktime;

/// Sockets without a connection whose last calls are kept; the one that called first gives way.
const MAX_ORPHANS: usize = 4096;
/// Calls kept of one such socket; the oldest gives way.
const MAX_CALLS: usize = 4;
/// connect(2) calls that have not led to a connection; the oldest gives way.
const MAX_CONNECTING: usize = 16_384;

/// Calls of sockets whose connection is not known: on a connection that was joined in its middle the pod's first
/// receive comes before its first segment, which has the cookie.
#[derive(Default)]
pub(super) struct Orphans {
    calls: HashMap<u64, Vec<SockIo>>,
    order: VecDeque<u64>,
    /// Calls that no connection was found for.
    pub(super) lost: u64,
}

impl Orphans {
    pub(super) fn keep(&mut self, io: SockIo) {
        let calls = self.calls.entry(io.cookie).or_default();
        if calls.is_empty() {
            self.order.push_back(io.cookie);
        }
        if calls.len() >= MAX_CALLS {
            calls.remove(0);
            self.lost += 1;
        }
        calls.push(io);
        if self.order.len() > MAX_ORPHANS {
            self.evict();
        }
    }

    fn evict(&mut self) {
        let calls = self.order.pop_front().and_then(|cookie| self.calls.remove(&cookie));
        self.lost += calls.map_or(0, |calls| calls.len() as u64);
    }

    /// The calls of a socket whose connection became known.
    pub(super) fn take(&mut self, cookie: u64) -> Vec<SockIo> {
        let Some(calls) = self.calls.remove(&cookie) else { return Vec::new() };
        self.order.retain(|other| *other != cookie);
        calls
    }

    pub(super) fn size(&self) -> TableSize {
        TableSize {
            name: "orphan_sockets",
            entries: self.calls.len() as u64,
            limit: MAX_ORPHANS as u64,
            evicted: self.lost,
        }
    }
}

/// When sockets began to connect.
#[derive(Default)]
pub(super) struct Connecting {
    since: HashMap<u64, Ktime>,
    order: VecDeque<(u64, Ktime)>,
    evicted: u64,
}

impl Connecting {
    pub(super) fn begin(&mut self, cookie: u64, time: Ktime) {
        self.since.insert(cookie, time);
        self.order.push_back((cookie, time));
        if self.order.len() > MAX_CONNECTING
            && let Some((cookie, time)) = self.order.pop_front()
            && self.since.get(&cookie) == Some(&time)
        {
            self.since.remove(&cookie);
            self.evicted += 1;
        }
    }

    /// When the socket began, if it did; forgets it.
    pub(super) fn end(&mut self, cookie: u64) -> Option<Ktime> {
        let since = self.since.remove(&cookie);
        while self.order.front().is_some_and(|(cookie, time)| self.since.get(cookie) != Some(time)) {
            self.order.pop_front();
        }
        since
    }

    pub(super) fn size(&self) -> TableSize {
        TableSize {
            name: "connecting_sockets",
            entries: self.since.len() as u64,
            limit: MAX_CONNECTING as u64,
            evicted: self.evicted,
        }
    }
}
