//! How much of a processor the agent may take before the ordinary spans give way (`sampling.adaptive.cpu`).
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use weft_core::Ktime;

/// How often what it took is looked at, in ns: long enough that one page of metrics is no alarm.
const WINDOW: u64 = 2_000_000_000;
/// From one look to the next the share falls to no less than this, and rises by no more than that: what a span costs shows only
/// once there are fewer.
const STEP: std::ops::RangeInclusive<f64> = 0.5..=1.25;
/// What the share rises from when it was next to nothing.
const LEAST: f64 = 0.01;

/// What the agent took so far, against what it may take.
#[derive(Debug)]
pub struct CpuBudget {
    /// Of one processor: 0.05 is 5 %. None: any.
    limit: Option<f64>,
    share: f64,
    /// When it was looked at last, and what had been taken by then.
    last: Option<(Ktime, Duration)>,
}

impl CpuBudget {
    /// One of which nothing was taken.
    pub fn new(limit: Option<f64>) -> Self {
        Self { limit, share: 1.0, last: None }
    }

    /// Another limit; what was learnt stays where there is one.
    pub fn set_limit(&mut self, limit: Option<f64>) {
        let share = if limit.is_some() { self.share } else { 1.0 };
        *self = Self { limit, share, last: None };
    }

    /// The share of ordinary spans that there is time for.
    pub fn share(&mut self, now: Ktime) -> f64 {
        self.look(now, taken);
        self.share
    }

    /// Looks what was taken since the last time, [`WINDOW`] or more before.
    fn look(&mut self, now: Ktime, taken: impl FnOnce() -> Duration) {
        let Some(limit) = self.limit else { return };
        if self.last.is_some_and(|(since, _)| now.since(since) < WINDOW) {
            return;
        }
        let taken = taken();
        let Some((since, before)) = self.last.replace((now, taken)) else { return };
        let passed = Duration::from_nanos(now.since(since));
        let used = taken.saturating_sub(before).as_secs_f64() / passed.as_secs_f64();
        let step = (limit / used.max(f64::MIN_POSITIVE)).clamp(*STEP.start(), *STEP.end());
        let from = if step > 1.0 { self.share.max(LEAST) } else { self.share };
        self.share = (from * step).min(1.0);
    }
}

/// By all threads of the process.
fn taken() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let (seconds, ns) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or(0), ns.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks every two seconds at an agent that takes `fixed` of a processor, and `spans` for the ordinary ones if all are kept.
    fn settled(limit: f64, fixed: f64, spans: f64) -> (f64, f64) {
        let (mut budget, mut taken) = (CpuBudget::new(Some(limit)), Duration::ZERO);
        for look in 1..100 {
            taken += Duration::from_secs_f64(2.0 * (fixed + spans * budget.share));
            budget.look(Ktime(look * WINDOW), || taken);
        }
        (budget.share, fixed + spans * budget.share)
    }

    #[test]
    fn the_share_shrinks_until_what_is_taken_fits() {
        assert_eq!(settled(0.10, 0.02, 0.05).0, 1.0, "there is time for all");
        let (share, used) = settled(0.10, 0.05, 0.25);
        assert!((0.08..0.11).contains(&used) && share < 0.3, "{share} {used}");
    }

    #[test]
    fn what_is_no_span_leaves_none() {
        assert!(settled(0.10, 0.30, 0.01).0 < 1e-6);
    }

    #[test]
    fn what_was_next_to_nothing_rises_again() {
        let mut budget = CpuBudget::new(Some(0.1));
        budget.share = 1e-9;
        (1..30).for_each(|look| budget.look(Ktime(look * WINDOW), || Duration::ZERO));
        assert_eq!(budget.share, 1.0);
    }

    #[test]
    fn without_a_limit_nobody_looks() {
        let mut budget = CpuBudget::new(None);
        let never = || -> Duration { panic!("it looks") };
        budget.look(Ktime(WINDOW), never);
        budget.set_limit(Some(0.1));
        budget.look(Ktime(3 * WINDOW), || Duration::ZERO);
        budget.look(Ktime(3 * WINDOW + 1), never);
        assert_eq!(budget.share, 1.0, "nothing to compare with");
        budget.look(Ktime(4 * WINDOW), || Duration::from_secs(2));
        assert_eq!(budget.share, 0.5);
        budget.set_limit(None);
        assert_eq!(budget.share(Ktime(5 * WINDOW)), 1.0);
    }
}
