//! One direction of a connection: its sequence numbers as offsets of a stream, and the pieces of that stream.
use std::num::NonZeroU64;

use super::{out_of_order::OutOfOrder, stretch::Stretch};
use crate::{Anomalies, Ktime};

/// The stream offset of the first byte. Not 0, so that what came before the first byte has an offset too.
pub(super) const FIRST: u64 = 1 << 32;

/// Bytes in a row, as they first passed the vantage: `hole` bytes that were not captured, then `data`, then
/// what is left of `len` not captured either.
#[derive(Clone, Copy)]
pub(super) struct Chunk<'a> {
    /// Stream offset of the first byte.
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) hole: u64,
    pub(super) data: &'a [u8],
    /// What was in the hole, where a program read it.
    pub(super) stretch: Option<Stretch>,
    pub(super) time: Ktime,
    /// When its first byte passed: of a run that is before `time`.
    pub(super) first_time: Ktime,
    /// The acknowledgement number of its segment, as an offset in the reverse stream.
    pub(super) ack: Option<u64>,
    /// How far the reverse stream had been seen when the segment passed.
    pub(super) reverse_end: u64,
    /// Its first byte is the first of a segment.
    pub(super) segment_start: bool,
    /// What was odd about its way here: bytes sent again while it waited, or passed after later ones.
    pub(super) odd: Anomalies,
}

impl<'a> Chunk<'a> {
    /// Drops bytes from the front.
    pub(super) fn advance(&mut self, bytes: u64) {
        let bytes = bytes.min(self.len);
        if bytes == 0 {
            return;
        }
        let from_data = bytes.saturating_sub(self.hole).min(self.data.len() as u64);
        self.stretch = None;
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
        if bytes < self.hole {
            self.stretch = None;
        }
        self.len = self.len.min(bytes);
        self.hole = self.hole.min(self.len);
        let data = ((self.len - self.hole) as usize).min(self.data.len());
        self.data = self.data.get(..data).unwrap_or_default();
    }

    /// Splits off the bytes that a program read, with what it says of them.
    pub(super) fn take_stretch(&mut self) -> Option<(Self, Stretch)> {
        let stretch = self.stretch?;
        Some((self.take(self.hole), stretch))
    }

    /// Forgets what is in this many bytes at the front: they are a hole from now on.
    pub(super) fn forget(&mut self, bytes: u64) {
        let bytes = bytes.min(self.len);
        let from_data = bytes.saturating_sub(self.hole);
        self.data = self.data.get(from_data as usize..).unwrap_or_default();
        self.hole = self.hole.max(bytes);
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
    /// Bytes in this range, delivered before, passed again at this time.
    Again(u64, u64, Ktime),
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
    pub(super) first_seq: u32,
    /// All before it was delivered or given up.
    pub(super) next: u64,
    /// Behind the last byte seen.
    pub(super) highest: u64,
    /// What the receiver acknowledged, as far as records told.
    pub(super) acked: u64,
    /// The last bytes in order were one byte.
    pub(super) tail_is_byte: bool,
    /// Where it ends, once its FIN passed.
    pub(super) fin: Option<NonZeroU64>,
    pub(super) ended: bool,
    /// Since when nothing fills the first gap.
    pub(super) gap_since: Option<Ktime>,
    pub(super) held: Option<Box<OutOfOrder>>,
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

    pub(super) fn acked(&self) -> u64 {
        self.acked
    }

    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// What comes behind the first gap: bytes that wait, or the FIN.
    pub(super) fn behind_gap(&self) -> Option<u64> {
        let held = self.held.as_deref().and_then(OutOfOrder::first);
        held.or(self.fin.map(NonZeroU64::get).filter(|fin| *fin > self.next))
    }

    #[cfg(test)]
    pub(super) fn holds(&self) -> bool {
        self.held.is_some()
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
        self.fin = NonZeroU64::new(offset);
        if offset > self.next && self.gap_since.is_none() {
            self.gap_since = Some(time);
        }
    }
}
