//! The wire half of the pipeline: from the kernel's records to joined exchanges, and the account of every byte.
use std::sync::Arc;

use weft_abi::{FlowKey, FlowWant, Header};

use crate::{Anomaly, Config, JoinedExchange, Ktime, StreamPlace};

mod account;
mod conversation;
mod decode;
mod dialogue;
mod direction;
mod flow;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod gaps;
mod http1;
mod http2;
mod incarnation;
mod join;
mod late;
mod moments;
mod out_of_order;
mod pair;
mod protocol;
mod reassembly;
mod redaction;
mod sockets;
mod stream;
mod stretch;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod tls;
mod track;
mod work;

use account::Accounts;
pub(crate) use account::{ByteAccount, VantageAccount};
use decode::{ProbeEvent, decode};
use direction::Direction;
use gaps::Gaps;
use join::Join;
pub(crate) use moments::{Began, Moved, Over, RequestKey};
use sockets::{Connecting, Orphans};
use table::Table;
use work::{HEAD_BYTES, HEADER_TABLE_BYTES, OPEN_BYTES, Outbox, Tally};

/// What the wire half hands on.
pub(crate) trait Downstream {
    /// An exchange with what the sockets said of it.
    fn exchange(&mut self, joined: JoinedExchange);
    /// A request began.
    fn began(&mut self, _began: Began) {}
    /// A thread moved bytes of the connection with this socket.
    fn moved(&mut self, _cookie: u64, _moved: &Moved) {}
    /// An exchange is over on the wire; what the sockets say of it may be still to come.
    fn over(&mut self, _over: Over) {}
    /// A client's exchange waits on for its response to be read; of everything else no more is to come.
    fn reads_late(&mut self, _joined: &JoinedExchange) {}
    /// How much payload of a flow is wanted from now on.
    fn want(&mut self, flow: FlowKey, want: Option<FlowWant>);
    /// These bytes may be seen at this place.
    fn safe(&mut self, _place: StreamPlace, _bytes: &[u8]) {}
    /// The payload of the segment in hand begins here.
    fn placed(&mut self, _place: StreamPlace) {}
    /// Something happened to a pod's connection.
    fn connection(&mut self, event: ConnectionEvent);
}

/// A change in the life of a pod's connection, as far as metrics need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectionEvent {
    /// The pod's connect(2) led to an established connection.
    Connected {
        /// Netns cookie of the pod.
        netns: u64,
        /// From the call to the established connection, in ns.
        latency_ns: u64,
    },
    /// The socket is closed.
    Closed {
        /// Netns cookie of the pod.
        netns: u64,
        /// The last smoothed round-trip time in microseconds; 0 where no sample was taken.
        srtt_us: u32,
        /// Segments sent again over the connection's life.
        retransmitted_segments: u32,
    },
    /// Segments were sent again.
    Retransmitted {
        /// Netns cookie of the pod.
        netns: u64,
        /// How many.
        segments: u32,
    },
}

/// One of the wire half's tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TableSize {
    /// Which.
    pub(crate) name: &'static str,
    /// Entries (or bytes, where the name says so) that it holds.
    pub(crate) entries: u64,
    /// The most that it may hold.
    pub(crate) limit: u64,
    /// Entries that gave way to others, or found no room.
    pub(crate) evicted: u64,
}

/// Counts of what the wire half saw, since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WireStats {
    /// Segment records.
    pub(crate) segments: u64,
    /// Records of runs of segments.
    pub(crate) runs: u64,
    /// Socket event records.
    pub(crate) sock_events: u64,
    /// Socket I/O records.
    pub(crate) sock_ios: u64,
    /// Records that are none.
    pub(crate) malformed: u64,
    /// Connections recognised as HTTP/1.
    pub(crate) flows_http1: u64,
    /// Connections recognised as HTTP/2.
    pub(crate) flows_http2: u64,
    /// Connections recognised as TLS.
    pub(crate) flows_tls: u64,
    /// Other connections with payload.
    pub(crate) flows_tcp: u64,
    /// Exchanges that left without a socket I/O that they waited for.
    pub(crate) unjoined_exchanges: u64,
    /// Socket I/O records of sockets whose connection is unknown.
    pub(crate) unjoined_ios: u64,
}

/// Stages 1 to 5 of the pipeline.
pub(crate) struct Wire {
    config: Arc<Config>,
    /// The bank of the kernel's counters in force, once it is known.
    bank: Option<u8>,
    /// The latest time of any record or tick.
    now: Ktime,
    next_check: Ktime,
    table: Table,
    /// Connections made so far.
    serial: u64,
    gaps: Gaps,
    orphans: Orphans,
    connecting: Connecting,
    join: Join,
    accounts: Accounts,
    tally: Tally,
    out: Outbox,
}

impl Wire {
    pub(crate) fn new(config: Arc<Config>) -> Self {
        Self {
            bank: None,
            now: Ktime::default(),
            next_check: Ktime::default(),
            table: Table::new(),
            serial: 0,
            gaps: Gaps::default(),
            orphans: Orphans::default(),
            connecting: Connecting::default(),
            join: Join::default(),
            accounts: Accounts::new(config.limits.vantages),
            tally: Tally::default(),
            out: Outbox::default(),
            config,
        }
    }

    /// From now on tells what of its inputs may be seen.
    pub(crate) fn redact(&mut self) {
        self.out.findings = Some(Box::default());
    }

    /// Another configuration is in force. Tables shrink to smaller limits as they are used. Connections that are not wanted any
    /// more end here: what passes until they are wanted again is no gap.
    pub(crate) fn configure(&mut self, config: Arc<Config>, down: &mut impl Downstream) {
        self.accounts.set_limit(config.limits.vantages);
        let before = std::mem::replace(&mut self.config, config);
        if before.ports == self.config.ports {
            return;
        }
        for key in self.table.keys() {
            let ports = self.table.peek(key).map(|flow| [flow.id.local.port, flow.id.peer.port]);
            if ports.is_some_and(|ports| !self.config.ports.wants(ports)) {
                self.end_flow(key, None, down);
            }
        }
    }

    /// The bank of the kernel's counters that is in force (`KernelCounters::bank`).
    pub(crate) fn set_bank(&mut self, bank: u8) {
        self.bank = Some(bank);
    }

    /// A pod is gone. What is still under way of its connections ends by itself.
    pub(crate) fn gone(&mut self, netns: u64) {
        self.accounts.gone(netns);
    }

    /// One record of the ring. Its time moves "now" forward.
    pub(crate) fn record(&mut self, record: &[u8], down: &mut impl Downstream) {
        match decode(record) {
            None => self.tally.stats.malformed += 1,
            Some(ProbeEvent::Segment(segment)) => {
                self.now = self.now.max(segment.time);
                self.tally.stats.segments += 1;
                self.segment(&segment, down);
            }
            Some(ProbeEvent::Run(run)) => {
                self.now = self.now.max(run.time);
                self.tally.stats.runs += 1;
                self.segment(&run, down);
            }
            Some(ProbeEvent::Border(id, direction, seqs)) => self.border(&id, direction, seqs, down),
            Some(ProbeEvent::Elsewhere(header, bytes)) => {
                self.now = self.now.max(Ktime(header.time));
                self.elsewhere(&header, u64::from(bytes));
            }
            Some(ProbeEvent::Connection(event)) => {
                self.now = self.now.max(Ktime(event.header.time));
                self.tally.stats.sock_events += 1;
                self.connection(&event, down);
            }
            Some(ProbeEvent::Io(io)) => {
                self.now = self.now.max(Ktime(io.header.time));
                self.tally.stats.sock_ios += 1;
                self.io(&io, down);
            }
        }
        self.maybe_expire(down);
    }

    /// A segment at a device that is no veth.
    fn elsewhere(&mut self, header: &Header, bytes: u64) {
        self.tally.stats.segments += 1;
        let inherited = self.is_inherited(header.bank);
        let Some(direction) = Direction::from_detail(header.detail) else { return };
        let index = self.accounts.index(header.netns, header.ifindex);
        let account = direction.of_mut(&mut self.accounts.get_mut(index).directions);
        account.record(bytes, inherited);
        account.opaque += bytes;
    }

    /// Time passed: what waits for a deadline is looked at.
    pub(crate) fn tick(&mut self, now: Ktime, down: &mut impl Downstream) {
        self.now = self.now.max(now);
        self.expire(down);
    }

    /// When the next tick is useful.
    pub(crate) fn next_deadline(&self) -> Option<Ktime> {
        self.deadlines().min()
    }

    /// The end of a recording: all that waits goes on, and open connections end.
    pub(crate) fn finish(&mut self, down: &mut impl Downstream) {
        for key in self.table.keys() {
            self.end_flow(key, None, down);
        }
        self.gaps = Gaps::default();
        self.join.finish(down);
    }

    /// The byte accounts, by (netns, ifindex).
    pub(crate) fn accounts(&self) -> Vec<VantageAccount> {
        self.accounts.sorted()
    }

    /// Occurrences by `Anomaly`, also those of connections without an exchange.
    pub(crate) fn anomalies(&self) -> [u64; Anomaly::ALL.len()] {
        self.tally.anomalies
    }

    /// How full the tables are.
    pub(crate) fn tables(&self) -> Vec<TableSize> {
        let limits = &self.config.limits;
        let tally = &self.tally;
        let size = |name, entries, limit, evicted| TableSize { name, entries, limit, evicted };
        let [join, late] = self.join.sizes(limits.waiting_exchanges);
        vec![
            size("flows", self.table.len() as u64, limits.flows as u64, self.table.evicted),
            self.gaps.size(limits.flows),
            join,
            late,
            self.orphans.size(),
            self.connecting.size(),
            self.accounts.size(),
            size(
                "out_of_order_bytes",
                tally.held,
                limits.out_of_order_bytes_total as u64,
                tally.held_overflows,
            ),
            size("partial_head_bytes", tally.heads, HEAD_BYTES, tally.head_overflows),
            size("open_request_bytes", tally.open, OPEN_BYTES, tally.open_overflows),
            size("header_table_bytes", tally.header_tables, HEADER_TABLE_BYTES, tally.header_table_overflows),
        ]
    }

    /// Counts since the start.
    pub(crate) fn stats(&self) -> WireStats {
        WireStats {
            unjoined_exchanges: self.join.unjoined(),
            unjoined_ios: self.orphans.lost,
            ..self.tally.stats
        }
    }
}
