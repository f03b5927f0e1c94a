//! What of a connection's bytes may be seen by others, where somebody asked: everything else is masked (see `redact`).
mod blocks;
mod head;

use std::collections::BTreeMap;

use super::{
    direction::Direction,
    http2::{FrameHeader, Literals},
    stream::Chunk,
    work::Work,
};
use crate::StreamPlace;

use blocks::{BlockPart, masked_frames};
pub(super) use head::MASK;
use head::{masked_field, masked_head, masked_line};

/// What one input told. Only there where redaction was asked for.
#[derive(Default)]
pub(super) struct Findings {
    /// The connection that is worked on.
    pub(super) connection: u64,
    /// What may be seen: where it is, and what shall be there.
    pub(super) safe: Vec<(StreamPlace, Vec<u8>)>,
    /// Where the segment's payload is.
    pub(super) placed: Option<StreamPlace>,
    /// Header blocks of HTTP/2 that are not whole, by connection and direction.
    blocks: BTreeMap<(u64, u8), Vec<BlockPart>>,
}

impl Work<'_> {
    fn find(&mut self, direction: Direction, offset: u64, bytes: impl FnOnce() -> Vec<u8>) {
        if let Some(findings) = &mut self.out.findings {
            let place = StreamPlace { connection: findings.connection, direction: direction as u8, offset };
            findings.safe.push((place, bytes()));
        }
    }

    /// A part of a header block's frames came.
    pub(super) fn block_part(&mut self, direction: Direction, frame: FrameHeader, part: &Chunk<'_>) {
        if let Some(findings) = &mut self.out.findings {
            let key = (findings.connection, direction as u8);
            let (offset, bytes) = (part.offset, part.front().to_vec());
            findings.blocks.entry(key).or_default().push(BlockPart { frame, offset, bytes });
        }
    }

    /// A header block will not be whole: nothing of it is shown.
    pub(super) fn forget_block(&mut self, direction: Direction) {
        if let Some(findings) = &mut self.out.findings {
            findings.blocks.remove(&(findings.connection, direction as u8));
        }
    }

    /// A header block is whole, and `kept` or not.
    pub(super) fn safe_block(
        &mut self,
        direction: Direction,
        kept: bool,
        literals: impl FnOnce() -> Literals,
    ) {
        let config = self.config;
        let Some(findings) = &mut self.out.findings else { return };
        let parts = findings.blocks.remove(&(findings.connection, direction as u8)).unwrap_or_default();
        if kept {
            for (offset, bytes) in masked_frames(parts, &literals(), config) {
                self.safe(direction, offset, &bytes);
            }
        }
    }

    /// Somebody asked what may be seen.
    pub(super) fn redacts(&self) -> bool {
        self.out.findings.is_some()
    }

    /// A segment's payload begins here.
    pub(super) fn placed(&mut self, direction: Direction, offset: u64) {
        if let Some(findings) = &mut self.out.findings {
            let connection = findings.connection;
            findings.placed = Some(StreamPlace { connection, direction: direction as u8, offset });
        }
    }

    /// Bytes that hold nothing of anyone: framing.
    pub(super) fn safe(&mut self, direction: Direction, offset: u64, bytes: &[u8]) {
        self.find(direction, offset, || bytes.to_vec());
    }

    /// The start line that a chunk begins with.
    pub(super) fn safe_line(&mut self, direction: Direction, chunk: &Chunk<'_>) {
        let line = chunk.front().split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
        self.safe_head(direction, chunk.offset, line);
    }

    /// A field's line of a head, or as much of it as came; says whether what folds onto it is masked. `sensitive`: whether what
    /// folds onto the line before is.
    pub(super) fn safe_field(
        &mut self,
        direction: Direction,
        offset: u64,
        line: &[u8],
        sensitive: bool,
    ) -> bool {
        if !self.redacts() {
            return false;
        }
        let (masked, sensitive) = masked_field(line, sensitive, self.config);
        self.find(direction, offset, || masked);
        sensitive
    }

    /// A part of a line that nobody reads, or its beginning.
    pub(super) fn safe_passed(&mut self, direction: Direction, offset: u64, part: &[u8], begins: bool) {
        self.find(direction, offset, || masked_line(part, begins));
    }

    /// A message's head, or as much of it as came.
    pub(super) fn safe_head(&mut self, direction: Direction, offset: u64, head: &[u8]) {
        let config = self.config;
        if head.is_empty() {
            return;
        }
        self.find(direction, offset, || masked_head(head, config));
    }
}
