use weft_abi::{FlowKey, FlowWant};
use weft_core::{AttributedExchange, Sink};

/// Counts.
#[derive(Default)]
pub struct Counter {
    pub exchanges: u64,
    pub complete: u64,
}

impl Sink for Counter {
    fn exchange(&mut self, exchange: &AttributedExchange) {
        self.exchanges += 1;
        self.complete += u64::from(exchange.joined.exchange.complete);
    }

    fn want(&mut self, _flow: FlowKey, _want: Option<FlowWant>) {}
}
