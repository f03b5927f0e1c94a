//! Stage 2, one direction of a connection: from sequence numbers to a stream of [`Chunk`]s in order, each byte once.
use super::{direction::Direction, out_of_order::OutOfOrder, work::Work};
use crate::{Anomaly, Ktime};

/// The stream offset of the first byte. Not 0, so that what came before the first byte has an offset too.
pub(super) const FIRST: u64 = 1 << 32;

/// A gap wider than this is believed only when the receiver acknowledged what is behind it: without that it is
/// more likely a sequence number that no receiver would accept. Far above any window in use.
const MAX_GAP: u64 = 64 << 20;

/// Bytes in a row, as they first passed the vantage: `hole` bytes that were not captured, then `data`, then
/// what is left of `len` not captured either.
#[derive(Clone, Copy)]
pub(super) struct Chunk<'a> {
    /// Stream offset of the first byte.
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) hole: u64,
    pub(super) data: &'a [u8],
    pub(super) time: Ktime,
    /// The acknowledgement number of its segment, as an offset in the reverse stream.
    pub(super) ack: Option<u64>,
    /// How far the reverse stream had been seen when the segment passed.
    pub(super) reverse_end: u64,
    /// Its first byte is the first of a segment.
    pub(super) segment_start: bool,
    /// Some of its bytes were sent again while it waited.
    pub(super) again: bool,
}

impl<'a> Chunk<'a> {
    /// Drops bytes from the front.
    pub(super) fn advance(&mut self, bytes: u64) {
        let bytes = bytes.min(self.len);
        if bytes == 0 {
            return;
        }
        let from_data = bytes.saturating_sub(self.hole).min(self.data.len() as u64);
        self.hole = self.hole.saturating_sub(bytes);
        self.data = self.data.get(from_data as usize..).unwrap_or_default();
        self.offset += bytes;
        self.len -= bytes;
        self.segment_start = false;
    }

    /// Splits bytes off the front.
    pub(super) fn take(&mut self, bytes: u64) -> Self {
        let mut front = *self;
        front.truncate(bytes);
        self.advance(bytes);
        front
    }

    /// Drops what is behind this many bytes.
    fn truncate(&mut self, bytes: u64) {
        self.len = self.len.min(bytes);
        self.hole = self.hole.min(self.len);
        let data = ((self.len - self.hole) as usize).min(self.data.len());
        self.data = self.data.get(..data).unwrap_or_default();
    }

    /// The captured bytes at its very front.
    pub(super) fn front(&self) -> &'a [u8] {
        if self.hole == 0 { self.data } else { &[] }
    }

    pub(super) fn end(&self) -> u64 {
        self.offset + self.len
    }
}

/// What comes out of a stream.
pub(super) enum Delivery<'a> {
    /// The next bytes.
    Chunk(Chunk<'a>),
    /// The next bytes (offset, how many) passed without a record, or were never sent.
    Gap(u64, u64),
    /// Bytes in this range, delivered before, were sent again.
    Again(u64, u64),
    /// The sender will send no more.
    End,
}

/// How the first byte's sequence number became known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Origin {
    /// It is not.
    #[default]
    Unknown,
    /// From the handshake: nothing came before.
    Handshake,
    /// From a segment in the middle.
    Midway,
}

/// One direction of a connection.
#[derive(Default)]
pub(super) struct Stream {
    pub(super) origin: Origin,
    first_seq: u32,
    /// All before it was delivered or given up.
    next: u64,
    /// Behind the last byte seen.
    highest: u64,
    /// What the receiver acknowledged, as far as records told.
    acked: u64,
    fin: Option<u64>,
    ended: bool,
    /// Since when nothing fills the first gap.
    gap_since: Option<Ktime>,
    held: Option<Box<OutOfOrder>>,
}

impl Stream {
    /// The first byte has this sequence number. Only for a stream that has no origin yet.
    pub(super) fn start(&mut self, origin: Origin, seq: u32) {
        *self = Self { origin, first_seq: seq, next: FIRST, highest: FIRST, acked: FIRST, ..Self::default() };
    }

    pub(super) fn started(&self) -> bool {
        self.origin != Origin::Unknown
    }

    pub(super) fn first_seq(&self) -> u32 {
        self.first_seq
    }

    /// The offset of a sequence number: of all that it could stand for the one nearest to the next byte.
    pub(super) fn offset_of(&self, seq: u32) -> u64 {
        let ahead = seq.wrapping_sub(self.seq_of(self.next)) as i32;
        self.next.saturating_add_signed(i64::from(ahead))
    }

    pub(super) fn seq_of(&self, offset: u64) -> u32 {
        self.first_seq.wrapping_add(offset.wrapping_sub(FIRST) as u32)
    }

    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn highest(&self) -> u64 {
        self.highest
    }

    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// What comes behind the first gap: bytes that wait, or the FIN.
    fn behind_gap(&self) -> Option<u64> {
        let held = self.held.as_deref().and_then(OutOfOrder::first);
        held.or(self.fin.filter(|fin| *fin > self.next))
    }

    pub(super) fn gap_since(&self) -> Option<Ktime> {
        self.gap_since
    }

    /// The receiver has all before this sequence number.
    pub(super) fn acknowledge(&mut self, seq: u32) {
        self.acked = self.acked.max(self.offset_of(seq));
    }

    /// The sender's FIN has this sequence number.
    pub(super) fn fin(&mut self, seq: u32, time: Ktime) {
        let offset = self.offset_of(seq);
        if self.fin.is_some() || offset < self.highest {
            return;
        }
        self.fin = Some(offset);
        if offset > self.next && self.gap_since.is_none() {
            self.gap_since = Some(time);
        }
    }
}

/// One direction's stream with all that it needs to deliver.
pub(super) struct Reassembly<'s, 'w, 'c, F> {
    pub(super) stream: &'s mut Stream,
    pub(super) direction: Direction,
    /// Whether bytes are worth keeping, or only their number.
    pub(super) keep_data: bool,
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
        if again.len > 0 {
            (self.deliver)(Delivery::Again(again.offset, again.end()), self.work);
        }
    }

    /// Nothing comes behind a FIN.
    fn cut_tail(&mut self, chunk: &mut Chunk<'_>) {
        let Some(fin) = self.stream.fin else { return };
        let kept = chunk.take(fin.saturating_sub(chunk.offset));
        self.work.opaque(self.direction, chunk.len);
        *chunk = kept;
    }

    fn pass(&mut self, chunk: Chunk<'_>) {
        self.stream.next = chunk.end();
        (self.deliver)(Delivery::Chunk(chunk), self.work);
    }

    fn hold(&mut self, chunk: Chunk<'_>) {
        let (len, time, next_came) = (chunk.len, chunk.time, chunk.offset == self.stream.next);
        let held = self.stream.held.get_or_insert_default();
        let before = held.cost();
        let duplicate = held.insert(chunk, self.keep_data);
        self.work.tally.held += held.cost().saturating_sub(before);
        let account = self.work.account(self.direction);
        account.duplicate += duplicate;
        account.pending += len - duplicate;
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
    /// the segment goes on, so no acknowledgement of it overtakes it.
    fn hopeless(&mut self) -> bool {
        let Some(first) = self.stream.behind_gap() else { return false };
        let limits = &self.work.config.limits;
        let cost = self.stream.held.as_deref().map_or(0, OutOfOrder::cost);
        let too_much = cost > limits.out_of_order_bytes as u64
            || cost > 0 && self.work.tally.held > limits.out_of_order_bytes_total as u64;
        self.work.tally.held_overflows += u64::from(too_much);
        too_much || first <= self.stream.acked
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

    /// The bytes before this offset are missing for good.
    fn skip_to(&mut self, offset: u64) {
        let missing = offset.saturating_sub(self.stream.next);
        let gap = Delivery::Gap(self.stream.next, missing);
        self.stream.next = offset;
        self.work.account(self.direction).gap += missing;
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
        if self.stream.fin == Some(self.stream.next) && !self.stream.ended {
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

    /// The connection is over: no gap will be filled any more. `end` is the offset behind the last byte, where
    /// the socket told.
    pub(super) fn finish(&mut self, end: Option<u64>) {
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
