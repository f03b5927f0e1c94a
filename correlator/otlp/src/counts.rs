//! What became of everything that was to be exported.
use std::sync::atomic::{AtomicU64, Ordering};

use weft_metrics::exposition::{Kind, Metric, Page, Point, Unit};

/// What OTLP tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Data points.
    Metrics,
    /// Spans.
    Spans,
}

/// What became of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The backend has it.
    Sent,
    /// The backend does not want it: a partial success, or a refusal for good.
    Rejected,
    /// There was no room to wait in.
    QueueFull,
    /// It could not be delivered for too long.
    GivenUp,
}

const SIGNALS: [(Signal, &str); 2] = [(Signal::Metrics, "metrics"), (Signal::Spans, "spans")];
const OUTCOMES: [(Outcome, &str); 4] = [
    (Outcome::Sent, "sent"),
    (Outcome::Rejected, "rejected"),
    (Outcome::QueueFull, "queue_full"),
    (Outcome::GivenUp, "given_up"),
];

/// Since the start. Items = the sum of the outcomes and what waits.
#[derive(Debug, Default)]
pub struct Counts {
    items: [[AtomicU64; OUTCOMES.len()]; SIGNALS.len()],
    /// Attempts that failed and were made again, by signal.
    retries: [AtomicU64; SIGNALS.len()],
    /// Spans that wait or are being sent, and their bytes.
    pub(crate) waiting: Waiting,
}

/// What waits.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    pub(crate) items: AtomicU64,
    pub(crate) bytes: AtomicU64,
}

impl Signal {
    /// In the metrics.
    pub fn name(self) -> &'static str {
        SIGNALS[self as usize].1
    }
}

impl Counts {
    /// So many items.
    pub fn of(&self, signal: Signal, outcome: Outcome) -> u64 {
        self.items[signal as usize][outcome as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, signal: Signal, outcome: Outcome, items: u64) {
        self.items[signal as usize][outcome as usize].fetch_add(items, Ordering::Relaxed);
    }

    pub(crate) fn add_retry(&self, signal: Signal) {
        self.retries[signal as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Writes them under their names (docs/METRICS.md).
    pub fn write(&self, page: &mut Page<'_>) {
        let metric = |name, help, kind| Metric { name, unit: Unit::Count, help, kind };
        let help = "Data points and spans for the backend of OTLP by what became of them";
        let mut family = page.family(&metric("weft.export.items", help, Kind::Counter));
        for (signal, name) in SIGNALS {
            for (outcome, became) in OUTCOMES {
                let labels = [("signal", name), ("outcome", became)];
                family.value(&Point::own(&labels), self.of(signal, outcome));
            }
        }
        drop(family);
        let help = "Requests of OTLP that were sent again";
        let mut family = page.family(&metric("weft.export.retries", help, Kind::Counter));
        for (signal, name) in SIGNALS {
            let retries = self.retries[signal as usize].load(Ordering::Relaxed);
            family.value(&Point::own(&[("signal", name)]), retries);
        }
        drop(family);
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        page.family(&metric("weft.export.queue.spans", "Spans that wait to be sent", Kind::Gauge))
            .value(&Point::default(), load(&self.waiting.items));
        let help = "What the spans take that wait to be sent";
        let bytes = Metric { name: "weft.export.queue", unit: Unit::Bytes, help, kind: Kind::Gauge };
        page.family(&bytes).value(&Point::default(), load(&self.waiting.bytes));
    }
}
