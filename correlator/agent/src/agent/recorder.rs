//! What becomes of exchanges that leave the pipeline: all are counted and stored, and of some the span leaves the node.
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use weft_core::{AttributedExchange, Decision, Packed, Sampler, SamplingConfig, TraceId, span::Span};
use weft_metrics::Registry;
use weft_otlp::Spans;

use super::store::{Batch, TraceStore};

/// Takes exchanges one by one, and hands them on many at a time.
pub struct Recorder {
    registry: Arc<Registry>,
    store: Arc<TraceStore>,
    sampler: Sampler,
    counts: Arc<SpanCounts>,
    /// What the store does not have yet.
    waiting: Batch,
    /// Traces of which what was dropped is wanted after all.
    wanted: Vec<TraceId>,
    /// Where spans leave the node, where they do.
    export: Option<Spans>,
}

/// What became of spans.
#[derive(Debug, Default)]
pub struct SpanCounts {
    kept: AtomicU64,
    /// Counted as dropped or over budget before: brought by something in their trace that failed or was slow.
    brought: AtomicU64,
    dropped: AtomicU64,
    over_budget: AtomicU64,
}

impl Recorder {
    /// One that decides by this configuration.
    pub fn new(
        registry: Arc<Registry>,
        store: Arc<TraceStore>,
        sampling: SamplingConfig,
        export: Option<Spans>,
    ) -> Self {
        Self {
            registry,
            store,
            sampler: Sampler::new(sampling),
            counts: Arc::default(),
            waiting: Batch::default(),
            wanted: Vec::new(),
            export,
        }
    }

    /// Decides by this from now on.
    pub fn configure(&mut self, sampling: SamplingConfig) {
        self.sampler.configure(sampling);
    }

    /// There is time for this share of ordinary spans, see [`Sampler::shrink`].
    pub fn shrink(&mut self, factor: f64) {
        self.sampler.shrink(factor);
    }

    /// What it has counted so far, now and later.
    pub fn counts(&self) -> Arc<SpanCounts> {
        Arc::clone(&self.counts)
    }

    /// Takes an exchange.
    pub fn take(&mut self, exchange: &AttributedExchange) {
        self.registry.record(exchange);
        let wire = &exchange.joined.exchange;
        // A row that is a connection is no span.
        let sampled = !wire.protocol.is_connection() && self.sample(exchange);
        if sampled {
            self.export(exchange);
        }
        self.waiting.add(exchange, sampled);
        if self.waiting.is_full() {
            self.store.extend(&mut self.waiting);
        }
    }

    /// Hands on what was taken.
    pub fn flush(&mut self) {
        self.store.extend(&mut self.waiting);
        for trace in std::mem::take(&mut self.wanted) {
            let brought = self.store.bring(trace);
            self.counts.brought.fetch_add(brought.len() as u64, Ordering::Relaxed);
            if self.export.is_some() {
                brought.iter().filter_map(Packed::unpack).for_each(|exchange| self.export(&exchange));
            }
        }
    }

    fn export(&self, exchange: &AttributedExchange) {
        if let Some(export) = &self.export
            && let Some(span) = Span::of(exchange)
        {
            export.push(Arc::new(span));
        }
    }

    fn sample(&mut self, exchange: &AttributedExchange) -> bool {
        let decision = self.sampler.decide(exchange, exchange.joined.exchange.last_byte());
        let count = match decision {
            Decision::Keep | Decision::KeepTrace => &self.counts.kept,
            Decision::Drop => &self.counts.dropped,
            Decision::OverBudget => &self.counts.over_budget,
        };
        count.fetch_add(1, Ordering::Relaxed);
        if decision == Decision::KeepTrace {
            self.wanted.push(exchange.link.trace_id);
        }
        matches!(decision, Decision::Keep | Decision::KeepTrace)
    }
}

impl SpanCounts {
    /// By the decision's name.
    pub fn by_decision(&self) -> [(&'static str, u64); 4] {
        let Self { kept, brought, dropped, over_budget } = self;
        [("kept", kept), ("brought", brought), ("dropped", dropped), ("over_budget", over_budget)]
            .map(|(name, count)| (name, count.load(Ordering::Relaxed)))
    }
}
