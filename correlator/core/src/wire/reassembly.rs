//! Stage 2: from segments in any order to a stream of [`Chunk`]s in order, each byte once.
use super::{
    direction::Direction,
    out_of_order::OutOfOrder,
    stream::{Chunk, Delivery, FIRST, Origin, Stream},
    work::Work,
};
use crate::{Anomaly, Ktime};

/// A gap wider than this is believed only when the receiver acknowledged what is behind it: without that it is
/// more likely a sequence number that no receiver would accept. Far above any window in use.
pub(super) const MAX_GAP: u64 = 64 << 20;

/// The part of its room that a direction keeps when half of all room is in use.
const SHARE: u64 = 32;

/// One direction's stream with all that it needs to deliver.
pub(super) struct Reassembly<'s, 'w, 'c, F> {
    pub(super) stream: &'s mut Stream,
    pub(super) direction: Direction,
    /// Of bytes before this offset nothing but their number is of use.
    pub(super) unread_until: u64,
    /// The kernel may have bytes before this offset that passed, and give their record later.
    pub(super) gathered_until: u64,
    pub(super) work: &'w mut Work<'c>,
    pub(super) deliver: F,
}

impl<F: FnMut(Delivery<'_>, &mut Work<'_>)> Reassembly<'_, '_, '_, F> {
    /// A segment's payload.
    pub(super) fn receive(&mut self, mut chunk: Chunk<'_>) {
        self.cut_front(&mut chunk);
        self.cut_tail(&mut chunk);
        if chunk.len == 0 {
            return;
        }
        self.stream.highest = self.stream.highest.max(chunk.end());
        if chunk.offset == self.stream.next && self.stream.held.is_none() {
            self.pass(chunk);
        } else {
            self.hold(chunk);
        }
        self.settle();
    }

    /// Bytes before the next one were there before, unless they are older than the connection's first record.
    fn cut_front(&mut self, chunk: &mut Chunk<'_>) {
        if chunk.offset >= self.stream.next {
            return;
        }
        let before = FIRST.saturating_sub(chunk.offset).min(chunk.len);
        match self.stream.origin {
            Origin::Midway => self.work.opaque(self.direction, before),
            _ => self.work.account(self.direction).duplicate += before,
        }
        chunk.advance(before);
        let again = chunk.take(self.stream.next.saturating_sub(chunk.offset));
        self.work.account(self.direction).duplicate += again.len;
        let alone = chunk.len == 0;
        if again.len > 0 && !(alone && self.is_keep_alive(&again)) {
            (self.deliver)(Delivery::Again(again.offset, again.end(), again.time), self.work);
        }
    }

    /// The last byte once more, alone, though it came with others: a keep-alive that some systems send with a byte of
    /// garbage (RFC 9293, 3.8.4). It delays nothing.
    fn is_keep_alive(&self, again: &Chunk<'_>) -> bool {
        let tail = again.len == 1 && again.end() == self.stream.highest;
        tail && !self.stream.tail_is_byte
    }

    /// Nothing comes behind a FIN.
    fn cut_tail(&mut self, chunk: &mut Chunk<'_>) {
        let Some(fin) = self.stream.fin else { return };
        let kept = chunk.take(fin.get().saturating_sub(chunk.offset));
        self.work.opaque(self.direction, chunk.len);
        *chunk = kept;
    }

    fn pass(&mut self, chunk: Chunk<'_>) {
        self.stream.next = chunk.end();
        self.stream.tail_is_byte = chunk.len == 1;
        (self.deliver)(Delivery::Chunk(chunk), self.work);
    }

    fn hold(&mut self, mut chunk: Chunk<'_>) {
        chunk.forget(self.unread_until.saturating_sub(chunk.offset));
        let (len, time, next_came) = (chunk.len, chunk.time, chunk.offset == self.stream.next);
        let held = self.stream.held.get_or_insert_default();
        let before = held.cost();
        let duplicate = held.insert(chunk);
        let late = held.take_late();
        self.work.tally.held += held.cost().saturating_sub(before);
        let account = self.work.account(self.direction);
        account.duplicate += duplicate;
        account.pending += len - duplicate;
        if duplicate > 0 {
            self.work.tally.count(Anomaly::Retransmit);
        }
        (0..late).for_each(|_| self.work.tally.count(Anomaly::OutOfOrder));
        if next_came || self.stream.gap_since.is_none() {
            self.stream.gap_since = Some(time);
        }
        self.drain();
    }

    /// Delivers what is in order now.
    fn drain(&mut self) {
        while let Some(held) = self.stream.held.as_deref_mut() {
            match held.first() {
                Some(first) if first > self.stream.next => return,
                Some(_) => self.pop(),
                None => self.stream.held = None,
            }
        }
        if self.stream.behind_gap().is_none() {
            self.stream.gap_since = None;
        }
    }

    fn pop(&mut self) {
        let Some(held) = self.stream.held.as_deref_mut() else { return };
        let before = held.cost();
        let piece = held.pop();
        self.work.tally.held = self.work.tally.held.saturating_sub(before - held.cost());
        if let Some(piece) = piece {
            let chunk = piece.chunk();
            let account = self.work.account(self.direction);
            account.pending = account.pending.saturating_sub(chunk.len);
            self.pass(chunk);
        }
    }

    /// Gives up gaps that nothing will fill any more, or that cost too much; tells the end when it is reached.
    pub(super) fn settle(&mut self) {
        while self.hopeless() {
            self.give_up();
        }
        self.end();
    }

    /// What is acknowledged has passed: its record would be here. The programs write a segment's record before
    /// the segment goes on, so no acknowledgement of it overtakes it. But the record of a run is written when it ends.
    fn hopeless(&mut self) -> bool {
        let Some(first) = self.stream.behind_gap() else { return false };
        let cost = self.stream.held.as_deref().map_or(0, OutOfOrder::cost);
        let too_much = cost > self.room();
        self.work.tally.held_overflows += u64::from(too_much);
        too_much || first <= self.stream.acked && self.stream.next >= self.gathered_until
    }

    /// What may wait behind this direction's gap. With half of all room in use it is a share only: who holds much gives
    /// way before the many that hold little.
    fn room(&self) -> u64 {
        let limits = &self.work.config.limits;
        let (own, total) = (limits.out_of_order_bytes as u64, limits.out_of_order_bytes_total as u64);
        match self.work.tally.held {
            held if held > total => 0,
            held if held > total / 2 => own / SHARE,
            _ => own,
        }
    }

    /// Goes on behind the first gap.
    fn give_up(&mut self) {
        let Some(first) = self.stream.behind_gap() else { return };
        if first - self.stream.next > MAX_GAP && first > self.stream.acked {
            return self.discard();
        }
        self.skip_to(first);
        self.drain();
    }

    /// The bytes before this offset are missing for good. Those that their receiver has are lost to us; the others may
    /// never have passed: the kernel did not count them, either, and what of them comes yet will be duplicate.
    fn skip_to(&mut self, offset: u64) {
        let missing = offset.saturating_sub(self.stream.next);
        let received = offset.min(self.stream.acked).saturating_sub(self.stream.next);
        let gap = Delivery::Gap(self.stream.next, missing);
        self.stream.next = offset;
        self.work.account(self.direction).gap += received;
        self.work.tally.count(Anomaly::Gap);
        (self.deliver)(gap, self.work);
    }

    /// Forgets what lies behind a gap that nobody can believe.
    fn discard(&mut self) {
        self.stream.gap_since = None;
        self.stream.fin = None;
        self.stream.highest = self.stream.next;
        self.work.tally.count(Anomaly::Garbage);
        let Some(held) = self.stream.held.take() else { return };
        self.work.tally.held = self.work.tally.held.saturating_sub(held.cost());
        self.work.account(self.direction).abandon_pending(held.bytes());
    }

    fn end(&mut self) {
        if self.stream.fin.is_some_and(|fin| fin.get() == self.stream.next) && !self.stream.ended {
            self.stream.ended = true;
            (self.deliver)(Delivery::End, self.work);
        }
    }

    /// The first gap stayed open for too long.
    pub(super) fn expire(&mut self, now: Ktime) {
        self.give_up();
        self.stream.gap_since = self.stream.behind_gap().map(|_| now);
        self.end();
    }

    /// The connection is over: no gap will be filled any more. `end` is the offset behind the last byte that reached its
    /// receiver, where the socket told.
    pub(super) fn finish(&mut self, end: Option<u64>) {
        self.stream.acked = self.stream.acked.max(end.unwrap_or(0));
        while self.stream.behind_gap().is_some() {
            self.give_up();
        }
        let missing = end.unwrap_or(0).saturating_sub(self.stream.next);
        if missing > 0 && missing <= MAX_GAP && !self.stream.ended {
            self.skip_to(self.stream.next + missing);
        }
        self.end();
    }
}
