//! Segments that came before an earlier one. What passed first counts: a later copy fills only what is missing.
use std::collections::BTreeMap;

use super::{reassembly::MAX_GAP, stream::Chunk, stretch::Stretch};
use crate::{Anomalies, Anomaly, Ktime};

/// What an entry costs beside its bytes, so that many small segments are bounded too.
const ENTRY_COST: u64 = 96;

/// The pieces of one direction behind its first gap, without overlap, by stream offset.
#[derive(Default)]
pub(super) struct OutOfOrder {
    pieces: BTreeMap<u64, Piece>,
    cost: u64,
    late: u64,
}

/// A chunk that owns its bytes.
pub(super) struct Piece {
    offset: u64,
    len: u64,
    hole: u64,
    data: Box<[u8]>,
    stretch: Option<Stretch>,
    time: Ktime,
    first_time: Ktime,
    ack: Option<u64>,
    reverse_end: u64,
    segment_start: bool,
    odd: Anomalies,
}

impl Piece {
    pub(super) fn chunk(&self) -> Chunk<'_> {
        Chunk {
            offset: self.offset,
            len: self.len,
            hole: self.hole,
            data: &self.data,
            stretch: self.stretch,
            time: self.time,
            first_time: self.first_time,
            ack: self.ack,
            reverse_end: self.reverse_end,
            segment_start: self.segment_start,
            odd: self.odd,
        }
    }

    fn own(chunk: &Chunk<'_>) -> Self {
        Self {
            offset: chunk.offset,
            len: chunk.len,
            hole: chunk.hole,
            data: chunk.data.into(),
            stretch: chunk.stretch,
            time: chunk.time,
            first_time: chunk.first_time,
            ack: chunk.ack,
            reverse_end: chunk.reverse_end,
            segment_start: chunk.segment_start,
            odd: chunk.odd,
        }
    }

    fn end(&self) -> u64 {
        self.offset + self.len
    }

    fn cost(&self) -> u64 {
        ENTRY_COST + self.data.len() as u64
    }
}

impl OutOfOrder {
    /// Puts in what of the chunk is not there yet; says how many bytes were.
    pub(super) fn insert(&mut self, mut chunk: Chunk<'_>) -> u64 {
        let mut duplicate = 0;
        while chunk.len > 0 {
            let covered = self.covered(&mut chunk);
            duplicate += covered;
            chunk.advance(covered);
            let free = self.free(&chunk);
            let part = chunk.take(free);
            self.keep(&part);
        }
        duplicate
    }

    /// How many bytes at the chunk's beginning are there already.
    fn covered(&mut self, chunk: &mut Chunk<'_>) -> u64 {
        let Some((_, piece)) = self.pieces.range_mut(..=chunk.offset).next_back() else { return 0 };
        let covered = piece.end().saturating_sub(chunk.offset).min(chunk.len);
        if covered > 0 {
            piece.odd.insert(Anomaly::Retransmit);
        }
        covered
    }

    /// How many bytes at the chunk's beginning are missing.
    fn free(&self, chunk: &Chunk<'_>) -> u64 {
        let next = self.pieces.range(chunk.offset..).next();
        next.map_or(chunk.len, |(offset, _)| (offset - chunk.offset).min(chunk.len))
    }

    fn keep(&mut self, part: &Chunk<'_>) {
        if part.len == 0 {
            return;
        }
        let mut piece = Piece::own(part);
        if self.is_late(part) {
            piece.odd.insert(Anomaly::OutOfOrder);
            self.late += 1;
        }
        self.cost += piece.cost();
        self.pieces.insert(piece.offset, piece);
    }

    /// Whether it passed after what comes behind it. By its time: records of two CPUs may come in the other order.
    fn is_late(&self, part: &Chunk<'_>) -> bool {
        let later = self.pieces.range(part.offset..=part.offset.saturating_add(MAX_GAP)).next();
        later.is_some_and(|(_, later)| later.time < part.time)
    }

    /// How many pieces were late since it was asked last.
    pub(super) fn take_late(&mut self) -> u64 {
        std::mem::take(&mut self.late)
    }

    /// Where the first piece begins.
    pub(super) fn first(&self) -> Option<u64> {
        self.pieces.first_key_value().map(|(offset, _)| *offset)
    }

    /// Takes the first piece.
    pub(super) fn pop(&mut self) -> Option<Piece> {
        let (_, piece) = self.pieces.pop_first()?;
        self.cost = self.cost.saturating_sub(piece.cost());
        Some(piece)
    }

    /// What it costs to hold these, in bytes.
    pub(super) fn cost(&self) -> u64 {
        self.cost
    }

    /// Payload bytes in it, captured or not.
    pub(super) fn bytes(&self) -> u64 {
        self.pieces.values().map(|piece| piece.len).sum()
    }
}
