//! What is on its way in.
use weft_core::{AttributedExchange, Block, Packer, Position, TraceId};

/// Bytes at which a batch is full: so much more at most stays of a block of which one exchange is still there.
const FULL: usize = 64 << 10;

/// Exchanges that come into the store together, and share a block.
#[derive(Debug, Default)]
pub struct Batch {
    packer: Packer,
    exchanges: Vec<Kept>,
}

/// An exchange of a block.
#[derive(Debug)]
pub(super) struct Kept {
    pub position: Position,
    /// Its trace.
    pub trace: TraceId,
    /// When its last byte passed, ns since the epoch.
    pub ended: u64,
    /// Its span leaves the node.
    pub sampled: bool,
}

impl Batch {
    /// Adds one, and whether its span leaves the node.
    pub fn add(&mut self, exchange: &AttributedExchange, sampled: bool) {
        self.exchanges.push(Kept {
            position: self.packer.pack(exchange),
            trace: exchange.link.trace_id,
            ended: exchange.end(),
            sampled,
        });
    }

    /// No more should be added.
    pub fn is_full(&self) -> bool {
        self.packer.size() >= FULL
    }

    pub(super) fn is_empty(&self) -> bool {
        self.exchanges.is_empty()
    }

    /// What was added; nothing is left.
    pub(super) fn take(&mut self) -> (Block, impl ExactSizeIterator<Item = Kept>) {
        (self.packer.finish(), self.exchanges.drain(..))
    }
}
