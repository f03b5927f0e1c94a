//! What one direction of an HTTP/2 connection is in the middle of.
use std::num::NonZeroU64;

use super::{
    super::{
        direction::Direction,
        stream::Chunk,
        work::{HEAD_BYTES, HEADER_TABLE_BYTES, Work},
    },
    frame::{DEFAULT_MAX_FRAME, FrameHeader, HEADER},
    hpack::Decoder,
    search::Search,
    window::{InitialWindow, Window},
};
use crate::{Anomalies, Ktime};

/// Where in its frames a direction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// In the client's preface: so many bytes of it are left.
    Preface(u8),
    /// In a frame's header, or before it.
    Header,
    /// In a frame's payload: so many bytes of it are left.
    Payload(FrameHeader, u32),
    /// Somewhere: bytes are opaque until a frame's header is found again.
    Lost,
    /// What comes will never be told.
    Opaque,
}

/// When and where a frame's first byte passed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Start {
    /// In its direction's stream.
    pub(super) offset: u64,
    pub(super) time: Ktime,
    /// Acknowledgement number of the segment that first carried it, as an offset of the reverse stream.
    pub(super) ack: Option<NonZeroU64>,
    /// How far the reverse stream had been seen.
    pub(super) reverse_end: u64,
}

/// Some bytes that belong together and may come one by one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Piece {
    bytes: [u8; HEADER],
    have: u8,
}

impl Piece {
    pub(super) fn is_empty(self) -> bool {
        self.have == 0
    }

    pub(super) fn len(self) -> u64 {
        self.have.into()
    }

    pub(super) fn clear(&mut self) {
        self.have = 0;
    }

    /// Takes bytes until there are `size` of them; says how many it took, and whether that is all.
    pub(super) fn fill(&mut self, size: usize, bytes: &[u8]) -> (usize, bool) {
        let have = usize::from(self.have);
        let mut used = 0;
        for (place, byte) in self.bytes.iter_mut().take(size).skip(have).zip(bytes) {
            *place = *byte;
            used += 1;
        }
        self.have += used as u8;
        (used, usize::from(self.have) == size)
    }

    /// All of it; it is empty then.
    pub(super) fn take(&mut self) -> [u8; HEADER] {
        self.have = 0;
        self.bytes
    }
}

/// A header block that came in more than one piece (RFC 9113, 4.3).
pub(super) struct Block {
    /// The payload of its frames without padding and priority, but for the last frame's while that is coming.
    bytes: Vec<u8>,
    /// Where the last frame's payload begins in it.
    frame_at: usize,
    /// The frame that it began with.
    pub(super) frame: FrameHeader,
    pub(super) start: Start,
    /// The stream that it promises, or 0.
    pub(super) promised: u32,
    /// The bytes of its frames, with their headers.
    pub(super) wire_bytes: u64,
    /// It is not kept, because it is longer than may be.
    pub(super) too_large: bool,
    /// It is not kept, because it contradicts itself.
    pub(super) malformed: bool,
    /// Some of its bytes were sent again.
    pub(super) odd: Anomalies,
}

impl Block {
    pub(super) fn new(frame: FrameHeader, start: Start) -> Self {
        let (bytes, promised, wire_bytes, frame_at) = (Vec::new(), 0, 0, 0);
        let (too_large, malformed, odd) = (false, false, Anomalies::default());
        Self { bytes, frame_at, frame, start, promised, wire_bytes, too_large, malformed, odd }
    }

    pub(super) fn fits(&self, more: u64, limit: u64) -> bool {
        self.bytes.len() as u64 + more <= limit
    }

    pub(super) fn is_kept(&self) -> bool {
        !self.too_large && !self.malformed
    }

    /// Keeps bytes that came; says whether they fit.
    pub(super) fn append(&mut self, direction: Direction, bytes: &[u8], work: &mut Work<'_>) -> bool {
        let len = bytes.len() as u64;
        if work.tally.heads + len > HEAD_BYTES {
            work.tally.head_overflows += 1;
            return false;
        }
        work.tally.heads += len;
        work.account(direction).pending += len;
        self.bytes.extend_from_slice(bytes);
        true
    }

    /// The payload of its last frame is complete: what of it is no part of the block goes.
    pub(super) fn end_frame(&mut self, frame: FrameHeader, direction: Direction, work: &mut Work<'_>) {
        let payload = self.bytes.get(self.frame_at..).unwrap_or_default();
        let Some((promised, fragment)) = frame.fragment(payload) else { return self.malformed = true };
        let (len, before) = (fragment.len(), payload.len());
        let skip = fragment.as_ptr().addr().saturating_sub(payload.as_ptr().addr());
        if promised != 0 {
            self.promised = promised;
        }
        self.bytes.copy_within(self.frame_at + skip..self.frame_at + skip + len, self.frame_at);
        self.bytes.truncate(self.frame_at + len);
        self.frame_at += len;
        let gone = (before - len) as u64;
        work.tally.heads = work.tally.heads.saturating_sub(gone);
        work.account(direction).decode_pending(gone);
    }

    /// What is kept of it; it waits no longer.
    pub(super) fn release(&mut self, direction: Direction, work: &mut Work<'_>) -> Vec<u8> {
        let bytes = std::mem::take(&mut self.bytes);
        work.tally.heads = work.tally.heads.saturating_sub(bytes.len() as u64);
        work.account(direction).decode_pending(bytes.len() as u64);
        bytes
    }

    /// It will never be whole.
    pub(super) fn abandon(&mut self, direction: Direction, work: &mut Work<'_>) {
        let bytes = std::mem::take(&mut self.bytes).len() as u64;
        work.tally.heads = work.tally.heads.saturating_sub(bytes);
        work.account(direction).abandon_pending(bytes);
    }
}

/// One direction of a connection: its frames, and what its receiver lets its sender do.
pub(super) struct Half {
    pub(super) at: At,
    /// A frame's header, or numbers of a payload, of which not all came.
    pub(super) piece: Piece,
    pub(super) start: Start,
    /// The padding's length, once its byte came (6.1).
    pub(super) pad: Option<u8>,
    /// No frame was seen yet; the first must be SETTINGS (3.4).
    pub(super) first: bool,
    /// A frame was seen here.
    pub(super) seen: bool,
    /// Of the frame that is coming, bytes were sent again.
    pub(super) odd: Anomalies,
    pub(super) block: Option<Box<Block>>,
    pub(super) decoder: Decoder,
    /// What of the header tables' bytes is this decoder's.
    table_bytes: u32,
    /// The longest payload that this direction's receiver takes.
    pub(super) max_frame: u32,
    pub(super) window: Window,
    pub(super) initial_window: InitialWindow,
    /// For frames, where it is lost.
    pub(super) search: Option<Box<Search>>,
}

impl Half {
    /// A direction that is seen `from_start`, or is joined somewhere.
    pub(super) fn new(at: At, from_start: bool) -> Self {
        Self {
            at,
            piece: Piece::default(),
            start: Start::default(),
            pad: None,
            first: from_start,
            seen: false,
            odd: Anomalies::default(),
            block: None,
            decoder: Decoder::new(from_start),
            table_bytes: 0,
            max_frame: DEFAULT_MAX_FRAME,
            window: Window::new(),
            initial_window: InitialWindow::new(),
            search: None,
        }
    }

    /// A frame begins with the chunk.
    pub(super) fn begin_frame(&mut self, chunk: &Chunk<'_>) {
        let ack = chunk.ack.and_then(NonZeroU64::new);
        self.start = Start { offset: chunk.offset, time: chunk.time, ack, reverse_end: chunk.reverse_end };
        self.pad = None;
        self.odd = Anomalies::default();
    }

    /// The decoder's table holds more or less than before. One that grows where all together hold too much is forgotten:
    /// what is inserted from then on is known again.
    pub(super) fn weigh(&mut self, work: &mut Work<'_>) {
        let before = u64::from(self.table_bytes);
        let others = work.tally.header_tables.saturating_sub(before);
        let grown = self.decoder.heap_bytes() as u64;
        if grown > before && others + grown > HEADER_TABLE_BYTES {
            work.tally.header_table_overflows += 1;
            self.decoder.lost_block();
        }
        self.table_bytes = self.decoder.heap_bytes() as u32;
        work.tally.header_tables = others + u64::from(self.table_bytes);
    }

    /// Nothing will be decoded any more.
    pub(super) fn forget_table(&mut self, work: &mut Work<'_>) {
        self.decoder.lost_block();
        self.weigh(work);
    }

    /// The place is lost; blocks that cannot be followed change the table in unknown ways.
    pub(super) fn lose(&mut self, direction: Direction, work: &mut Work<'_>) {
        work.forget_block(direction);
        self.at = At::Lost;
        self.first = false;
        self.piece.clear();
        if let Some(mut block) = self.block.take() {
            block.abandon(direction, work);
        }
        // First the limit: the lost block may have used one that was lost, too.
        self.decoder.set_limit(u32::MAX);
        self.forget_table(work);
    }
}
