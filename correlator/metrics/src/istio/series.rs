//! What is counted under one set of labels: by itself, so that no series ever counts less than it did.
use weft_core::{Exchange, Ktime};

/// Envoy's default bounds (source/common/stats/histogram_impl.cc), which Istio leaves as they are, for ms and bytes alike. In
/// halves: the first is 0.5.
const BOUNDS: [u64; 19] = [
    1, 2, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 60_000, 120_000, 600_000,
    1_200_000, 3_600_000, 7_200_000,
];
const NS_IN_HALF_MS: u64 = 500_000;

/// A series.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) counted: Counted,
    /// When the first one that it counted ended, in ns since the epoch.
    pub(super) since_ns: u64,
    pub(super) last: Ktime,
}

#[derive(Debug)]
pub(super) enum Counted {
    Requests(Box<Requests>),
    Connections(Connections),
}

/// Of HTTP and gRPC.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// In ns.
    pub(super) duration: Buckets,
    pub(super) request_bytes: Buckets,
    pub(super) response_bytes: Buckets,
    /// Of gRPC: messages of calls of which all were seen.
    pub(super) request_messages: u64,
    pub(super) response_messages: u64,
}

/// Of anything else. Istio's words: `received` is what the client sent, whoever reports.
#[derive(Debug, Default)]
pub(super) struct Connections {
    pub(super) closed: u64,
    pub(super) received: u64,
    pub(super) sent: u64,
}

/// A classic histogram.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    /// Saturating.
    pub(super) sum: u64,
    /// Not cumulative; the last one is above all bounds.
    counts: [u64; BOUNDS.len() + 1],
}

impl Requests {
    pub(super) fn record(&mut self, exchange: &Exchange, duration_ns: u64) {
        self.duration.record(duration_ns, duration_ns.div_ceil(NS_IN_HALF_MS));
        let request = exchange.request.body_bytes;
        let response = exchange.response.map_or(0, |response| response.body_bytes);
        self.request_bytes.record(request, request.saturating_mul(2));
        self.response_bytes.record(response, response.saturating_mul(2));
        if let Some(grpc) = exchange.grpc.as_deref() {
            self.request_messages += grpc.request.map_or(0, |messages| messages.count);
            self.response_messages += grpc.response.map_or(0, |messages| messages.count);
        }
    }
}

impl Connections {
    pub(super) fn record(&mut self, exchange: &Exchange) {
        self.closed += 1;
        self.received = self.received.saturating_add(exchange.request.bytes);
        let sent = exchange.response.map_or(0, |response| response.bytes);
        self.sent = self.sent.saturating_add(sent);
    }
}

impl Buckets {
    fn record(&mut self, value: u64, halves: u64) {
        self.sum = self.sum.saturating_add(value);
        if let Some(count) = self.counts.get_mut(BOUNDS.partition_point(|bound| *bound < halves)) {
            *count += 1;
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Upper bounds, in ms or bytes, with how many are at most so large.
    #[expect(clippy::cast_precision_loss, reason = "all bounds are below 2^53")]
    pub(super) fn cumulative(&self) -> [(f64, u64); BOUNDS.len()] {
        let mut buckets = BOUNDS.map(|halves| (halves as f64 / 2.0, 0));
        let mut up_to = 0;
        for ((_, cumulative), count) in buckets.iter_mut().zip(&self.counts) {
            up_to += count;
            *cumulative = up_to;
        }
        buckets
    }
}
