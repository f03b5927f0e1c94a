//! Scripted conversations, as records of the ring, and what the wire half makes of them.
mod bounds;
mod chunked;
mod hostile;
mod http1;
mod http2;
mod join;
mod long_heads;
mod program;
mod random;
mod random_http1;
mod reassembly;
mod redaction;
mod rest;
mod resync;
mod reuse;
mod runs;
mod talk;
mod tcp;
mod waiting;

use std::sync::Arc;

use weft_abi::{FlowKey, FlowWant};

use super::{ByteAccount, ConnectionEvent, Downstream, Wire};
use crate::{Anomaly, Config, JoinedExchange, Ktime};

pub(super) use talk::{Talk, response};

/// Takes down what comes out.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) exchanges: Vec<JoinedExchange>,
    pub(super) wants: Vec<(FlowKey, Option<FlowWant>)>,
    pub(super) connections: Vec<ConnectionEvent>,
}

impl Downstream for Notes {
    fn exchange(&mut self, joined: JoinedExchange) {
        self.exchanges.push(joined);
    }

    fn want(&mut self, flow: FlowKey, want: Option<FlowWant>) {
        self.wants.push((flow, want));
    }

    fn connection(&mut self, event: ConnectionEvent) {
        self.connections.push(event);
    }
}

/// A wire half and its results, which checks its accounts all the time.
pub(super) struct Bench {
    pub(super) wire: Wire,
    pub(super) notes: Notes,
}

impl Bench {
    pub(super) fn new(config: Config) -> Self {
        Self { wire: Wire::new(Arc::new(config)), notes: Notes::default() }
    }

    pub(super) fn records<'a>(&mut self, records: impl IntoIterator<Item = &'a Vec<u8>>) {
        for record in records {
            self.wire.record(record, &mut self.notes);
            self.check_accounts();
        }
    }

    pub(super) fn tick(&mut self, now: u64) {
        self.wire.tick(Ktime(now), &mut self.notes);
        self.check_accounts();
    }

    /// The end: nothing waits any more.
    pub(super) fn finish(&mut self) {
        self.wire.finish(&mut self.notes);
        self.check_accounts();
        for table in self
            .wire
            .tables()
            .iter()
            .filter(|table| table.name != "vantages" && !table.name.ends_with("sockets"))
        {
            assert_eq!(table.entries, 0, "{} is not empty at the end", table.name);
        }
        assert_eq!(self.total().pending, 0);
    }

    pub(super) fn check_accounts(&self) {
        for account in self.wire.accounts() {
            for bytes in account.directions {
                let ByteAccount { recorded, inherited: _, decoded, opaque, duplicate, pending, gap: _ } =
                    bytes;
                assert_eq!(recorded, decoded + opaque + duplicate + pending, "{account:?}");
            }
        }
    }

    /// The accounts of both directions of all vantages together.
    pub(super) fn total(&self) -> ByteAccount {
        let directions = self.wire.accounts().into_iter().flat_map(|account| account.directions);
        directions.fold(ByteAccount::default(), |sum, bytes| ByteAccount {
            recorded: sum.recorded + bytes.recorded,
            inherited: sum.inherited + bytes.inherited,
            decoded: sum.decoded + bytes.decoded,
            opaque: sum.opaque + bytes.opaque,
            duplicate: sum.duplicate + bytes.duplicate,
            pending: sum.pending + bytes.pending,
            gap: sum.gap + bytes.gap,
        })
    }

    pub(super) fn counted(&self, anomaly: Anomaly) -> u64 {
        self.wire.anomalies()[anomaly as usize]
    }

    /// The exchanges in a line each: method, path, status, body sizes, whether complete, anomalies.
    pub(super) fn lines(&self) -> Vec<String> {
        self.notes.exchanges.iter().map(line).collect()
    }
}

/// Longer ones take their time as it is.
const MOST_REDACTED: usize = 10_000;

/// What all records give, with defaults, up to the end. Redacted they must give the same.
pub(super) fn run<'a>(records: impl IntoIterator<Item = &'a Vec<u8>>) -> Bench {
    let mut bench = Bench::new(Config::default());
    let records: Vec<_> = records.into_iter().cloned().collect();
    if records.len() < MOST_REDACTED {
        redaction::assert_same(&records);
    }
    bench.records(&records);
    bench.finish();
    bench
}

fn line(joined: &JoinedExchange) -> String {
    let exchange = &joined.exchange;
    if exchange.protocol.is_connection() {
        let bytes = exchange.response.map_or(0, |span| span.bytes);
        return format!("{} {}/{bytes}", exchange.protocol.name(), exchange.request.bytes);
    }
    let status = exchange.status.map_or("-".into(), |status| status.to_string());
    let response_body = exchange.response.map_or("-".into(), |span| span.body_bytes.to_string());
    let anomalies: Vec<_> = exchange.anomalies.iter().map(Anomaly::name).collect();
    format!(
        "{} {} {status} {}/{response_body}{}{}",
        exchange.method,
        exchange.path,
        exchange.request.body_bytes,
        if exchange.complete { "" } else { " incomplete" },
        if anomalies.is_empty() { String::new() } else { format!(" [{}]", anomalies.join(",")) },
    )
}
