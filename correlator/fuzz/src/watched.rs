use std::sync::Arc;

use weft_abi::{FlowKey, FlowWant};
use weft_core::{
    Anomaly, AttributedExchange, Config, Correlator, Exchange, Input, Ktime, Limits, MessageSpan, Sink,
    Snapshot,
};

/// Inputs between two looks at the whole account, which cost more than an input.
const CHECK_EVERY: u64 = 64;

/// A pipeline whose promises are checked.
pub struct Watched {
    correlator: Correlator,
    notes: Notes,
    inputs: u64,
}

/// What came out.
#[derive(Default)]
struct Notes {
    exchanges: Vec<Exchange>,
}

impl Sink for Notes {
    fn exchange(&mut self, exchange: &AttributedExchange) {
        let exchange = &exchange.joined.exchange;
        check_exchange(exchange);
        self.exchanges.push(exchange.clone());
    }

    fn want(&mut self, _flow: FlowKey, _want: Option<FlowWant>) {}
}

impl Watched {
    /// With tables so small that a short script fills them.
    pub fn tight() -> Self {
        Self::with(Limits {
            flows: 8,
            pending_requests: 8,
            out_of_order_bytes: 4096,
            out_of_order_bytes_total: 8192,
            waiting_exchanges: 16,
            vantages: 3,
            pods: 2,
            ..Limits::default()
        })
    }

    /// With tables of the usual size.
    pub fn roomy() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        let config = Config { limits, ..Config::default() };
        Self { correlator: Correlator::new(Arc::new(config)), notes: Notes::default(), inputs: 0 }
    }

    /// One record of the ring.
    pub fn record(&mut self, record: &[u8]) {
        self.input(Input::Probe(record));
    }

    /// Time passes to the next deadline, if there is one.
    pub fn wait(&mut self) -> Option<Ktime> {
        let deadline = self.correlator.next_deadline()?;
        self.input(Input::Tick(deadline));
        Some(deadline)
    }

    /// It is this time.
    pub fn tick(&mut self, now: u64) {
        self.input(Input::Tick(Ktime(now)));
    }

    /// Any input.
    pub fn input(&mut self, input: Input<'_>) {
        self.correlator.handle(input, &mut self.notes);
        self.inputs += 1;
        if self.inputs % CHECK_EVERY == 0 {
            check(&self.correlator.snapshot());
        }
    }

    /// The end: what waits goes on. Gives what the pipeline counted, and every exchange that left it.
    pub fn finish(mut self) -> (Snapshot, Vec<Exchange>) {
        check(&self.correlator.snapshot());
        self.correlator.finish(&mut self.notes);
        let snapshot = self.correlator.snapshot();
        check(&snapshot);
        assert_eq!(snapshot.loss.total.pending, 0, "bytes wait behind the end");
        let counts = snapshot.exchanges;
        let all = counts.server + counts.client + counts.connections;
        assert_eq!(self.notes.exchanges.len() as u64, all, "exchanges left uncounted");
        let bytes: u64 = self.notes.exchanges.iter().map(bytes_read).sum();
        let total = &snapshot.loss.total;
        assert!(bytes <= total.decoded, "{bytes} bytes: {total:?}, {:#?}", self.notes.exchanges);
        (snapshot, self.notes.exchanges)
    }
}

/// Bytes on the wire of an exchange of which every byte was read; of others, some may have gone without being recorded.
fn bytes_read(exchange: &Exchange) -> u64 {
    let missed = exchange.anomalies.contains(Anomaly::Gap);
    let whole = exchange.complete && !missed && !exchange.protocol.is_connection();
    if whole { spans(exchange).map(|span| span.bytes).sum() } else { 0 }
}

/// Every byte is accounted for, and every table is within its bound.
fn check(snapshot: &Snapshot) {
    let loss = &snapshot.loss;
    let vantages = loss.vantages.iter().flat_map(|vantage| [&vantage.ingress, &vantage.egress]);
    for balance in vantages.chain([&loss.total, &loss.retired]) {
        assert_eq!(balance.unexplained, 0, "{balance:?}");
    }
    for table in &snapshot.tables {
        assert!(table.entries <= table.limit, "{table:?}");
    }
}

/// What an exchange says of itself.
fn check_exchange(exchange: &Exchange) {
    for span in spans(exchange) {
        assert!(span.body_bytes <= span.bytes, "{exchange:?}");
    }
    let answered = exchange.response.is_some() || exchange.protocol.is_connection();
    assert!(!exchange.complete || answered, "{exchange:?}");
}

/// Where no segment overtook another, no message's last byte passed before its first.
pub fn check_times(exchanges: &[Exchange]) {
    for exchange in exchanges {
        assert!(spans(exchange).all(|span| span.first_byte <= span.last_byte), "{exchange:?}");
    }
}

fn spans(exchange: &Exchange) -> impl Iterator<Item = MessageSpan> {
    [Some(exchange.request), exchange.response].into_iter().flatten()
}
