use weft_core::{AttributedExchange, Histogram, Ktime, Side, SpanId, TraceId};

use crate::{Bodies, seconds};

/// What is counted under one set of labels.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// How long: first byte of the request to last byte of the response.
    pub duration: Histogram,
    /// When the first one that it counted ended, in ns since the epoch.
    pub since_ns: u64,
    /// How large the bodies were, where somebody asks for that by series.
    pub bodies: Option<Box<Bodies>>,
    /// The exchange that was counted last.
    pub exemplar: Option<Exemplar>,
    /// When that was.
    pub(crate) last: Ktime,
}

/// An exchange that stands for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exemplar {
    /// Its trace.
    pub trace_id: TraceId,
    /// Its side's span.
    pub span_id: SpanId,
    /// How long it took, in ns.
    pub duration_ns: u64,
    /// When it ended, in ns since the epoch.
    pub time_ns: u64,
}

impl Exemplar {
    /// What leads to it.
    pub(crate) fn ids(&self) -> [(&'static str, String); 2] {
        [("trace_id", self.trace_id.to_string()), ("span_id", self.span_id.to_string())]
    }

    /// Whether it is in the bucket with these bounds in seconds.
    pub(crate) fn is_within(&self, lower: f64, upper: f64) -> bool {
        let seconds = seconds(self.duration_ns);
        seconds > lower && seconds <= upper
    }
}

impl Series {
    /// Counts a complete exchange, with its `bodies` or without; `last` is when it ended.
    pub(crate) fn record(
        &mut self,
        attributed: &AttributedExchange,
        (duration_ns, last): (u64, Ktime),
        bodies: bool,
    ) {
        let exchange = &attributed.joined.exchange;
        let time_ns = last.0.saturating_add_signed(attributed.clock_offset);
        if self.duration.count() == 0 {
            self.since_ns = time_ns;
        }
        self.duration.record(duration_ns);
        self.last = self.last.max(last);
        if bodies {
            self.bodies.get_or_insert_default().record(exchange, time_ns);
        }
        let id = exchange.id();
        let span_id = match exchange.side {
            Side::Server => id.server_span_id(),
            Side::Client => id.client_span_id(),
        };
        self.exemplar = Some(Exemplar { trace_id: attributed.link.trace_id, span_id, duration_ns, time_ns });
    }
}
