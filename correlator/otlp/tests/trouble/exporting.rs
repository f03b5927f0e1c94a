//! An exporter at work, with spans of nothing.
use std::{sync::Arc, time::Duration};

use ::http::HeaderMap;
use tokio::time::timeout;
use weft_core::{Side, SpanId, TraceId, span::Span};
use weft_metrics::exposition::Page;
use weft_otlp::{
    Compression, Counts, Endpoint, Exporter, Handle, Histograms, Identity, Limits, Outcome, Protocol,
    Resources, Settings, Signal, Signals, Source, Spans, Temporality,
};

/// More than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

struct NoMetrics;

impl Source for NoMetrics {
    fn identify(&mut self, _resources: &mut Resources) {}
    fn write(&mut self, _page: &mut Page<'_>) {}
}

/// Over HTTP, with times that fit a test.
pub fn settings(endpoint: &str) -> Settings {
    Settings {
        endpoint: Endpoint::parse(endpoint).unwrap(),
        protocol: Protocol::Http,
        signals: Signals::default(),
        interval: Duration::from_secs(3600),
        temporality: Temporality::Cumulative,
        histograms: Histograms::Exponential,
        headers: HeaderMap::new(),
        compression: Compression::Gzip,
        ca_file: None,
        timeout: Duration::from_secs(1),
        limits: Limits { flush: Duration::from_secs(1), ..Limits::default() },
    }
}

/// An exporter at work.
pub struct Exporting {
    pub spans: Spans,
    pub counts: Arc<Counts>,
    pub handle: Handle,
}

impl Exporting {
    pub fn start(settings: Settings) -> Self {
        let counts = Arc::new(Counts::default());
        let (exporter, spans) = Exporter::new(settings, Arc::clone(&counts)).unwrap();
        let identity = Identity { began: 1, own: Vec::new(), node: None };
        Self { spans, counts, handle: exporter.start(identity, NoMetrics) }
    }

    pub fn push(&self, spans: u64) {
        (0..spans).for_each(|number| self.spans.push(Arc::new(span(number))));
    }

    /// Sent, rejected, no room, given up.
    pub fn outcomes(&self) -> [u64; 4] {
        [Outcome::Sent, Outcome::Rejected, Outcome::QueueFull, Outcome::GivenUp]
            .map(|outcome| self.counts.of(Signal::Spans, outcome))
    }

    /// Once so many are settled.
    pub async fn settled(&self, spans: u64) -> [u64; 4] {
        let settled = async {
            while self.outcomes().iter().sum::<u64>() < spans {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let _ = timeout(PATIENCE, settled).await;
        self.outcomes()
    }
}

fn span(number: u64) -> Span {
    Span {
        trace_id: TraceId(u128::from(number) + 1),
        span_id: SpanId(number + 1),
        parent_span_id: None,
        kind: Side::Server,
        name: "GET /".into(),
        start: 1,
        end: 2,
        failure: None,
        attributes: Vec::new(),
        events: Vec::new(),
        likely: None,
        cut: 0,
        netns: number % 3,
        pod: None,
        identity: None,
    }
}
