//! Which exchanges become spans that leave the node. Decided when they are over, so that what went wrong or took long is kept
//! for certain. What is counted is never sampled.
use std::collections::{BTreeMap, VecDeque};

use hashbrown::HashSet;

use crate::{AttributedExchange, Ktime, TraceId};

#[cfg(test)]
mod tests;

/// Bits of a trace id that are random (W3C Trace Context 2, 2.2.2): the lowest 56.
const RANDOM_BITS: u32 = 56;
/// Traces that are remembered because something in them was kept for its own sake; the oldest is forgotten.
const KEPT_TRACES: usize = 8192;
/// How often the share is fitted to the budget, in ns.
const WINDOW: u64 = 1_000_000_000;

/// What share of spans is kept: 0 to 1. Of what several apply to, the largest counts.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplingConfig {
    /// Of all.
    pub default: f64,
    /// Of those that failed, see [`Exchange::has_failed`](crate::Exchange::has_failed).
    pub errors: f64,
    /// Of those that took this long, in ns, or longer.
    pub slower_than: Vec<(u64, f64)>,
    /// Instead of `default`, of the pods with these names (`namespace/name`).
    pub per_pod: BTreeMap<String, f64>,
    /// The most spans a second; none: any number.
    pub spans_per_second: Option<u64>,
}

impl Default for SamplingConfig {
    fn default() -> Self {
        Self {
            default: 0.1,
            errors: 1.0,
            slower_than: vec![(500_000_000, 1.0)],
            per_pod: BTreeMap::new(),
            spans_per_second: None,
        }
    }
}

/// What becomes of an exchange's span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It stays here.
    Drop,
    /// It is kept.
    Keep,
    /// It is kept, and so is all of its trace: also what was dropped before, as far as it is still there.
    KeepTrace,
    /// It would be kept, and was one too many for this second.
    OverBudget,
}

/// Decides for one exchange after another.
#[derive(Debug)]
pub struct Sampler {
    config: SamplingConfig,
    kept: KeptTraces,
    budget: Budget,
    /// See [`Self::shrink`].
    shrunk: f64,
}

impl Sampler {
    /// With nothing seen yet.
    pub fn new(config: SamplingConfig) -> Self {
        let budget = Budget::new(config.spans_per_second);
        Self { config, kept: KeptTraces::default(), budget, shrunk: 1.0 }
    }

    /// Decides by this from now on. What was kept with all its trace still is.
    pub fn configure(&mut self, config: SamplingConfig) {
        if config.spans_per_second != self.config.spans_per_second {
            self.budget = Budget::new(config.spans_per_second);
        }
        self.config = config;
    }

    /// Shares of ordinary spans are multiplied with this from now on, 0 to 1: whoever runs the pipeline has no time for more.
    pub fn shrink(&mut self, factor: f64) {
        self.shrunk = factor.clamp(0.0, 1.0);
    }

    /// What becomes of it. `now`: any clock that goes on. Every node decides alike for the ordinary spans of a trace, and both
    /// ends of an exchange alike where it failed; that something in a trace failed or was slow is known here alone.
    pub fn decide(&mut self, exchange: &AttributedExchange, now: Ktime) -> Decision {
        let trace = exchange.link.trace_id;
        self.budget.advance(now);
        if self.kept.contains(trace) {
            return self.budget.special(Decision::Keep);
        }
        if place(trace) < self.special_share(exchange) {
            let decision = self.budget.special(Decision::KeepTrace);
            if decision == Decision::KeepTrace {
                self.kept.insert(trace);
            }
            return decision;
        }
        let share = self.share(exchange);
        if place(trace) >= share {
            return Decision::Drop;
        }
        self.budget.ordinary(place(trace) < share * self.budget.scale * self.shrunk)
    }

    /// Of spans that are like any other.
    fn share(&self, exchange: &AttributedExchange) -> f64 {
        let of_pod = exchange.pod.as_deref().and_then(|pod| self.config.per_pod.get(pod));
        of_pod.copied().unwrap_or(self.config.default)
    }

    /// Of those that failed or were slow.
    fn special_share(&self, exchange: &AttributedExchange) -> f64 {
        let SamplingConfig { errors, slower_than, .. } = &self.config;
        let errors = if exchange.joined.exchange.has_failed() { *errors } else { 0.0 };
        let took = exchange.end().saturating_sub(exchange.start());
        let slow = slower_than.iter().filter(|(ns, _)| took >= *ns).map(|(_, share)| *share);
        slow.fold(errors, f64::max)
    }
}

/// Where a trace is among all of them: 0 to below 1. A larger share keeps what a smaller one does, too, on any node.
#[expect(clippy::cast_precision_loss, reason = "a share: its last bits matter to nobody")]
fn place(trace: TraceId) -> f64 {
    let random = trace.0 & ((1 << RANDOM_BITS) - 1);
    random as f64 / (1_u64 << RANDOM_BITS) as f64
}

/// Traces whose spans are kept from now on.
#[derive(Debug, Default)]
struct KeptTraces {
    known: HashSet<TraceId>,
    oldest_first: VecDeque<TraceId>,
}

impl KeptTraces {
    fn contains(&self, trace: TraceId) -> bool {
        self.known.contains(&trace)
    }

    fn insert(&mut self, trace: TraceId) {
        if self.known.len() >= KEPT_TRACES
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.known.remove(&oldest);
        }
        if self.known.insert(trace) {
            self.oldest_first.push_back(trace);
        }
    }
}

/// So many spans a second: the share of ordinary ones shrinks until they fit beside those that failed or were slow.
#[derive(Debug)]
struct Budget {
    limit: Option<u64>,
    /// What the shares are multiplied with.
    scale: f64,
    /// For ordinary ones.
    room: u64,
    since: Ktime,
    /// In this second: ordinary spans that the shares alone would keep.
    ordinary: u64,
    /// In this second: those worth keeping for their own sake, or their trace's.
    special: u64,
    /// In this second: ordinary ones that were kept.
    kept_ordinary: u64,
    /// In this second: all that were kept.
    kept: u64,
}

impl Budget {
    fn new(limit: Option<u64>) -> Self {
        let room = limit.unwrap_or(u64::MAX);
        Self { limit, scale: 1.0, room, since: Ktime(0), ordinary: 0, special: 0, kept_ordinary: 0, kept: 0 }
    }

    fn advance(&mut self, now: Ktime) {
        let Some(limit) = self.limit else { return };
        if now.since(self.since) < WINDOW {
            return;
        }
        // What came in the last second comes in the next, as far as anybody knows.
        self.room = limit.saturating_sub(self.special);
        self.scale = fitting(self.room, self.ordinary);
        self.since = now;
        (self.ordinary, self.special, self.kept_ordinary, self.kept) = (0, 0, 0, 0);
    }

    fn ordinary(&mut self, fits: bool) -> Decision {
        self.ordinary += 1;
        if !fits || self.kept_ordinary >= self.room {
            return Decision::OverBudget;
        }
        let decision = self.take(Decision::Keep);
        self.kept_ordinary += u64::from(decision == Decision::Keep);
        decision
    }

    fn special(&mut self, decision: Decision) -> Decision {
        self.special += 1;
        self.take(decision)
    }

    fn take(&mut self, decision: Decision) -> Decision {
        if self.limit.is_some_and(|limit| self.kept >= limit) {
            return Decision::OverBudget;
        }
        self.kept += 1;
        decision
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share: its last bits matter to nobody")]
fn fitting(room: u64, wanted: u64) -> f64 {
    if wanted <= room { 1.0 } else { room as f64 / wanted as f64 }
}
