//! Stage 5: what the pod's sockets say of an exchange. Joined by sequence numbers alone: a call covers a range of
//! bytes, and a message has a last byte.
use std::collections::VecDeque;

use super::{Downstream, Moved, TableSize, direction::Direction, late::Late};
use crate::{App, Exchange, JoinedExchange, Ktime, Side};

/// Ranges that are kept of one direction of a connection, beside two for each stream that is open; the oldest gives way.
const MAX_RANGES: usize = 64;

/// An exchange that is over, and where its messages' last bytes are in their streams.
pub(super) struct Finished {
    pub(super) exchange: Exchange,
    pub(super) request_last: Option<u64>,
    pub(super) response_last: Option<u64>,
}

/// Until when an exchange waits.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// For calls that are about to return.
    pub(super) soon: Ktime,
    /// For a client to read its response.
    pub(super) read: Ktime,
}

/// The bytes that one call moved, as stream offsets, and who called.
#[derive(Clone, Copy)]
pub(super) struct IoRange {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) time: Ktime,
    pub(super) goid: u64,
    pub(super) parent_goid: u64,
    pub(super) pid: u32,
    pub(super) tid: u32,
}

impl IoRange {
    pub(super) fn moved(&self, direction: Direction) -> Moved {
        let Self { start, end, time, goid, parent_goid, pid, tid } = *self;
        Moved { wrote: direction == Direction::FromPod, start, end, time, goid, parent_goid, pid, tid }
    }

    fn covers(&self, byte: u64) -> bool {
        self.start <= byte && byte < self.end
    }
}

/// What one connection keeps for the join.
#[derive(Default)]
pub(super) struct Sockets {
    ranges: [VecDeque<IoRange>; 2],
    /// Its exchanges in the queue.
    waiting: Vec<u64>,
    /// How many of them there were when those who are gone were last forgotten.
    kept: usize,
}

impl Sockets {
    /// Keeps a range that may yet be needed, with so many streams open.
    fn keep(&mut self, direction: Direction, range: IoRange, streams: usize) {
        let ranges = direction.of_mut(&mut self.ranges);
        while ranges.len() >= MAX_RANGES + 2 * streams {
            ranges.pop_front();
        }
        if ranges.capacity() == 0 {
            ranges.reserve_exact(1);
        }
        ranges.push_back(range);
    }

    /// Drops ranges that end at or before this offset.
    pub(super) fn prune(&mut self, direction: Direction, floor: u64) {
        let ranges = direction.of_mut(&mut self.ranges);
        while ranges.front().is_some_and(|range| range.end <= floor) {
            ranges.pop_front();
        }
        if ranges.is_empty() {
            *ranges = VecDeque::new();
        }
    }

    /// Nothing is kept.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.ranges.iter().all(VecDeque::is_empty)
    }

    #[cfg(test)]
    pub(super) fn ranges(&self) -> usize {
        self.ranges.iter().map(VecDeque::len).sum()
    }

    /// How many exchanges it believes to be in the queue.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// An exchange is in the queue with this number. Those that are not there any more are dropped here, too, because calls may
    /// never come.
    fn wait(&mut self, number: u64, is_there: impl Fn(u64) -> bool) {
        // As much work as there were exchanges since the last time.
        if self.waiting.len() >= 2 * self.kept {
            self.waiting.retain(|number| is_there(*number));
            self.kept = self.waiting.len();
        }
        self.waiting.push(number);
    }

    pub(super) fn find(&self, direction: Direction, byte: u64) -> Option<IoRange> {
        direction.of(&self.ranges).iter().find(|range| range.covers(byte)).copied()
    }
}

/// An exchange that waits for calls to return.
pub(super) struct Waiting {
    pub(super) joined: JoinedExchange,
    /// Last byte of what the pod reads, until its read is known.
    read: Option<u64>,
    /// Last byte of what the pod writes, until its write is known.
    write: Option<u64>,
    deadline: Ktime,
    pub(super) read_deadline: Ktime,
}

impl Waiting {
    fn new(finished: Finished, patience: Patience) -> Self {
        let Patience { soon: deadline, read: read_deadline } = patience;
        let Finished { exchange, request_last, response_last } = finished;
        let (read, write) = match exchange.side {
            Side::Server => (request_last, response_last),
            Side::Client => (response_last, request_last),
        };
        Self {
            joined: JoinedExchange { exchange, app: App::default() },
            read,
            write,
            deadline,
            read_deadline,
        }
    }

    fn is_done(&self) -> bool {
        self.read.is_none() && self.write.is_none()
    }

    /// Its response alone is not read yet, by a process whose calls are told.
    fn may_be_read_late(&self) -> bool {
        let JoinedExchange { exchange, app } = &self.joined;
        exchange.side == Side::Client && self.write.is_none() && app.write_returned.is_some()
    }

    /// A call returned; says whether nothing is waited for any more.
    pub(super) fn offer(&mut self, direction: Direction, range: &IoRange) -> bool {
        let needed = match direction {
            Direction::FromPod => &mut self.write,
            Direction::ToPod => &mut self.read,
        };
        if needed.is_some_and(|byte| range.covers(byte)) {
            *needed = None;
            self.fill(direction, range);
        }
        self.is_done()
    }

    fn fill(&mut self, direction: Direction, range: &IoRange) {
        let app = &mut self.joined.app;
        match direction {
            Direction::FromPod => app.write_returned = Some(range.time),
            Direction::ToPod => app.read = Some(range.time),
        }
        let of_request = (direction == Direction::ToPod) == (self.joined.exchange.side == Side::Server);
        if of_request {
            app.goid = (range.goid != 0).then_some(range.goid);
            app.tid = Some(range.tid);
            app.pid = Some(range.pid);
        }
    }

    fn look_up(&mut self, sockets: &Sockets) {
        for (direction, byte) in [(Direction::FromPod, self.write), (Direction::ToPod, self.read)] {
            if let Some(range) = byte.and_then(|byte| sockets.find(direction, byte)) {
                self.offer(direction, &range);
            }
        }
    }
}

/// Exchanges that wait for what the sockets say, oldest first. At the limit the oldest goes on without.
#[derive(Default)]
pub(super) struct Join {
    queue: VecDeque<Option<Waiting>>,
    /// Number of the queue's first place.
    first: u64,
    /// Those in the queue that still wait.
    waiting: u64,
    late: Late,
    evicted: u64,
    unjoined: u64,
}

impl Join {
    /// An exchange is over: it goes on when all is known of it.
    pub(super) fn take(
        &mut self,
        finished: Finished,
        sockets: &mut Sockets,
        patience: Option<Patience>,
        limit: usize,
        down: &mut impl Downstream,
    ) {
        let now = Patience { soon: Ktime::default(), read: Ktime::default() };
        let mut waiting = Waiting::new(finished, patience.unwrap_or(now));
        waiting.look_up(sockets);
        if waiting.is_done() || patience.is_none() {
            return down.exchange(waiting.joined);
        }
        while self.queue.len() >= limit.max(1) {
            self.evicted += u64::from(self.pop(down));
        }
        let Self { first, late, .. } = self;
        sockets.wait(*first + self.queue.len() as u64, |number| number >= *first || late.has(number));
        self.queue.push_back(Some(waiting));
        self.waiting += 1;
    }

    /// A call returned. `floor`: what ends there is of no open exchange. `streams`: how many are open.
    pub(super) fn offer(
        &mut self,
        direction: Direction,
        range: IoRange,
        sockets: &mut Sockets,
        floor: u64,
        streams: usize,
        down: &mut impl Downstream,
    ) {
        let mut numbers = std::mem::take(&mut sockets.waiting);
        numbers.retain(|number| self.offer_to(*number, direction, &range, down));
        if !numbers.is_empty() {
            sockets.waiting = numbers;
        }
        if range.end > floor {
            sockets.keep(direction, range, streams);
        }
    }

    /// Says whether that one waits on.
    fn offer_to(
        &mut self,
        number: u64,
        direction: Direction,
        range: &IoRange,
        down: &mut impl Downstream,
    ) -> bool {
        let Some(index) = number.checked_sub(self.first) else {
            return self.late.offer(number, direction, range, down);
        };
        let Some(place) = self.queue.get_mut(index as usize) else { return false };
        let Some(waiting) = place else { return false };
        if !waiting.offer(direction, range) {
            return true;
        }
        if let Some(waiting) = place.take() {
            self.waiting -= 1;
            down.exchange(waiting.joined);
        }
        self.trim();
        false
    }

    /// Frees places at the front that nobody waits in.
    fn trim(&mut self) {
        while let Some(None) = self.queue.front() {
            self.queue.pop_front();
            self.first += 1;
        }
    }

    /// Lets the oldest go; says whether there was one.
    fn pop(&mut self, down: &mut impl Downstream) -> bool {
        let Some((_, waiting)) = self.oldest() else { return false };
        self.go_on_without(waiting, down);
        true
    }

    fn go_on_without(&mut self, waiting: Waiting, down: &mut impl Downstream) {
        self.unjoined += 1;
        down.exchange(waiting.joined);
    }

    /// Takes the oldest out of the queue, with its number.
    fn oldest(&mut self) -> Option<(u64, Waiting)> {
        // The queue begins with one that waits.
        let waiting = self.queue.pop_front()??;
        let number = self.first;
        self.first += 1;
        self.waiting -= 1;
        self.trim();
        Some((number, waiting))
    }

    /// Lets those go that waited for long enough; those that a client may read late wait on.
    pub(super) fn expire(&mut self, now: Ktime, limit: usize, down: &mut impl Downstream) {
        while self.first_deadline().is_some_and(|deadline| deadline <= now) {
            let Some((number, waiting)) = self.oldest() else { break };
            if waiting.may_be_read_late() && waiting.read_deadline > now {
                down.reads_late(&waiting.joined);
                self.late.take(number, waiting, limit, down);
            } else {
                self.go_on_without(waiting, down);
            }
        }
        self.late.expire(now, down);
    }

    /// Lets all go.
    pub(super) fn finish(&mut self, down: &mut impl Downstream) {
        self.late.finish(down);
        while self.pop(down) {}
    }

    pub(super) fn next_deadline(&self) -> Option<Ktime> {
        self.first_deadline().into_iter().chain(self.late.next_deadline()).min()
    }

    fn first_deadline(&self) -> Option<Ktime> {
        self.queue.front()?.as_ref().map(|waiting| waiting.deadline)
    }

    /// Exchanges that went on without a socket I/O that they waited for.
    pub(super) fn unjoined(&self) -> u64 {
        self.unjoined + self.late.unjoined
    }

    pub(super) fn sizes(&self, limit: usize) -> [TableSize; 2] {
        let (entries, evicted) = (self.waiting, self.evicted);
        [TableSize { name: "join_queue", entries, limit: limit as u64, evicted }, self.late.size(limit)]
    }
}
