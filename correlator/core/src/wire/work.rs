use weft_abi::{FlowKey, FlowWant};

use super::{
    RequestKey, WireStats, account::ByteAccount, direction::Direction, join::Finished, redaction::Findings,
    stream::FIRST,
};
use crate::{Anomaly, Config, Exchange, Ktime, Propagation, Side};

/// The most bytes of heads that came in pieces, of all connections together.
pub(super) const HEAD_BYTES: u64 = 64 << 20;
/// The most bytes of requests that wait for their response, of all connections together.
pub(super) const OPEN_BYTES: u64 = 128 << 20;

/// What one connection may hold of these when half of all is in use: who holds much gives way before the many that hold
/// little.
const OPEN_SHARE: u64 = OPEN_BYTES / 2048;

/// The most bytes of HTTP/2's header tables, of all connections together.
pub(super) const HEADER_TABLE_BYTES: u64 = 64 << 20;

/// What is counted over all connections.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) anomalies: [u64; Anomaly::ALL.len()],
    pub(super) stats: WireStats,
    /// Bytes that wait behind gaps, with what each piece costs.
    pub(super) held: u64,
    /// Gaps given up because too much waited.
    pub(super) held_overflows: u64,
    /// Bytes of heads that are incomplete.
    pub(super) heads: u64,
    /// Heads given up because too many were incomplete.
    pub(super) head_overflows: u64,
    /// Bytes of requests that wait for their response.
    pub(super) open: u64,
    /// Requests that found no room to wait.
    pub(super) open_overflows: u64,
    /// Bytes of HTTP/2's header tables.
    pub(super) header_tables: u64,
    /// Header tables that were forgotten because all together held too much.
    pub(super) header_table_overflows: u64,
}

impl Tally {
    /// Whether a request of this cost may wait, in a connection in which requests of `own` costs do.
    pub(super) fn has_room(&self, cost: u64, mut own: impl Iterator<Item = u64>) -> bool {
        let mut held = cost;
        let fits = |cost| {
            held += cost;
            held <= OPEN_SHARE
        };
        self.open + cost <= OPEN_BYTES && (self.open <= OPEN_BYTES / 2 || own.all(fits))
    }

    pub(super) fn count(&mut self, anomaly: Anomaly) {
        if let Some(count) = self.anomalies.get_mut(anomaly as usize) {
            *count += 1;
        }
    }
}

/// A request that began.
pub(super) struct Begun {
    pub(super) key: RequestKey,
    pub(super) stream_id: u32,
    pub(super) time: Ktime,
    /// The direction of requests, and the place of the byte in its stream (`Began::byte`).
    pub(super) direction: Direction,
    pub(super) byte: u64,
    /// The direction's first bytes that were seen.
    pub(super) first: bool,
    pub(super) propagation: Option<Propagation>,
}

impl Begun {
    /// A request whose head is at these offsets of its stream.
    pub(super) fn new(exchange: &Exchange, direction: Direction, (start, end): (u64, u64)) -> Self {
        let byte = match exchange.side {
            Side::Server => end.saturating_sub(1),
            Side::Client => start,
        };
        Self {
            key: RequestKey { id: exchange.id(), side: exchange.side },
            stream_id: exchange.stream_id,
            time: exchange.request.first_byte,
            direction,
            byte,
            first: start == FIRST,
            propagation: exchange.propagation.as_deref().copied(),
        }
    }
}

/// What the stages of one connection hand on.
#[derive(Default)]
pub(super) struct Outbox {
    /// Requests that began: their exchanges, and the byte whose mover matters.
    pub(super) begun: Vec<Begun>,
    pub(super) finished: Vec<Finished>,
    pub(super) wants: Vec<(FlowKey, Option<FlowWant>)>,
    /// For what a header block needs while it is decoded.
    pub(super) scratch: Vec<u8>,
    /// What may be seen by others, where somebody asked.
    pub(super) findings: Option<Box<Findings>>,
}

/// What the stages of one connection need of the rest while they work on one input.
pub(super) struct Work<'a> {
    pub(super) config: &'a Config,
    /// The account of the connection's vantage.
    pub(super) bytes: &'a mut [ByteAccount; 2],
    pub(super) tally: &'a mut Tally,
    pub(super) out: &'a mut Outbox,
}

impl Work<'_> {
    pub(super) fn account(&mut self, direction: Direction) -> &mut ByteAccount {
        direction.of_mut(self.bytes)
    }

    pub(super) fn opaque(&mut self, direction: Direction, bytes: u64) {
        self.account(direction).opaque += bytes;
    }

    pub(super) fn decoded(&mut self, direction: Direction, bytes: u64) {
        self.account(direction).decoded += bytes;
    }
}
