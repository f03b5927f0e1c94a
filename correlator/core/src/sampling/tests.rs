use super::*;
use crate::testing::{attributed, joined};

const SECOND: u64 = 1_000_000_000;

/// A sampler under test. Traces are numbered: their ids are spread as random ones are.
struct Bench {
    sampler: Sampler,
    now: Ktime,
}

/// 1000 traces whose ids are evenly spread, in no order.
fn traces() -> impl Iterator<Item = TraceId> {
    (0..1000_u128).map(|number| TraceId((number * 389 % 1000 * 2 + 1) * (1 << RANDOM_BITS) / 2000))
}

impl Bench {
    fn new(config: SamplingConfig) -> Self {
        Self { sampler: Sampler::new(config), now: Ktime(SECOND) }
    }

    fn decide(&mut self, trace: TraceId, change: impl FnOnce(&mut AttributedExchange)) -> Decision {
        let mut exchange = attributed(joined(1, 2, 3));
        exchange.link.trace_id = trace;
        change(&mut exchange);
        self.sampler.decide(&exchange, self.now)
    }

    fn kept(&mut self, change: impl Fn(&mut AttributedExchange)) -> usize {
        traces()
            .filter(|trace| matches!(self.decide(*trace, &change), Decision::Keep | Decision::KeepTrace))
            .count()
    }
}

fn share(default: f64) -> SamplingConfig {
    SamplingConfig { default, ..SamplingConfig::default() }
}

fn failed(exchange: &mut AttributedExchange) {
    exchange.joined.exchange.status = Some(503);
}

fn took(ns: u64) -> impl Fn(&mut AttributedExchange) {
    move |exchange| {
        let request = exchange.joined.exchange.request;
        let response = exchange.joined.exchange.response.as_mut().unwrap();
        response.last_byte = request.first_byte.after(ns);
    }
}

#[test]
fn a_share_is_kept_by_the_trace_id() {
    for (default, kept) in [(0.0, 0), (0.1, 100), (0.5, 500), (1.0, 1000)] {
        assert_eq!(Bench::new(share(default)).kept(|_| ()), kept, "{default}");
    }
    let mut bench = Bench::new(share(0.3));
    for trace in traces() {
        let first = bench.decide(trace, |_| ());
        assert_eq!(bench.decide(trace, |exchange| exchange.pod = Some("a/b".into())), first, "a whole trace");
    }
}

#[test]
fn a_larger_share_keeps_what_a_smaller_one_does() {
    let (mut small, mut large) = (Bench::new(share(0.2)), Bench::new(share(0.6)));
    for trace in traces() {
        let kept = small.decide(trace, |_| ()) == Decision::Keep;
        assert!(!kept || large.decide(trace, |_| ()) == Decision::Keep);
    }
}

#[test]
fn what_failed_is_kept_and_what_was_slow() {
    let none = || Bench::new(share(0.0));
    assert_eq!(none().kept(failed), 1000);
    assert_eq!(none().kept(took(499_999_999)), 0);
    assert_eq!(none().kept(took(500_000_000)), 1000);
    let some = SamplingConfig { errors: 0.25, slower_than: vec![(1000, 0.5), (9000, 0.75)], ..share(0.0) };
    assert_eq!(Bench::new(some.clone()).kept(failed), 500, "it took 1000 ns, too");
    assert_eq!(Bench::new(some.clone()).kept(took(9000)), 750);
    assert_eq!(Bench::new(some).kept(took(999)), 0);
}

#[test]
fn a_pod_may_have_a_share_of_its_own() {
    let of = |name: &'static str| move |exchange: &mut AttributedExchange| exchange.pod = Some(name.into());
    let config = SamplingConfig { per_pod: [("shop/orders".into(), 0.9)].into(), ..share(0.1) };
    assert_eq!(Bench::new(config.clone()).kept(of("shop/orders")), 900);
    assert_eq!(Bench::new(config).kept(of("shop/other")), 100);
}

#[test]
fn one_failure_brings_its_trace() {
    let mut bench = Bench::new(share(0.0));
    let trace = TraceId(5);
    assert_eq!(bench.decide(TraceId(1 << 55 | 1), |_| ()), Decision::Drop);
    assert_eq!(bench.decide(trace, |_| ()), Decision::Drop);
    assert_eq!(bench.decide(trace, failed), Decision::KeepTrace);
    assert_eq!(bench.decide(trace, failed), Decision::Keep, "it was said");
    assert_eq!(bench.decide(trace, |_| ()), Decision::Keep, "what ends later: its parents");
}

#[test]
fn traces_that_are_kept_are_remembered_up_to_a_bound() {
    let mut bench = Bench::new(share(0.0));
    let trace = |number: u64| TraceId(u128::from(number) << 64 | 1);
    for number in 0..KEPT_TRACES as u64 + 1 {
        assert_eq!(bench.decide(trace(number), failed), Decision::KeepTrace);
    }
    assert_eq!(bench.sampler.kept.known.len(), KEPT_TRACES);
    assert_eq!(bench.decide(trace(1), |_| ()), Decision::Keep);
    assert_eq!(bench.decide(trace(0), |_| ()), Decision::Drop, "the oldest");
}

#[test]
fn the_share_is_fitted_to_the_budget() {
    let config = SamplingConfig { spans_per_second: Some(100), ..share(1.0) };
    let mut bench = Bench::new(config);
    for second in 1..5 {
        bench.now = Ktime(second * SECOND);
        assert_eq!(bench.kept(|_| ()), 100, "of 1000 in second {second}");
    }
    // From the second one on by the trace id, not by who came first.
    bench.now = Ktime(5 * SECOND);
    let last: Vec<_> = traces().filter(|trace| bench.decide(*trace, |_| ()) == Decision::Keep).collect();
    assert!(last.iter().all(|trace| place(*trace) < 0.1));
}

#[test]
fn what_failed_goes_before_the_rest() {
    let config = SamplingConfig { spans_per_second: Some(100), ..share(1.0) };
    let mut bench = Bench::new(config);
    let mut kept = (0, 0);
    for second in 1..4 {
        bench.now = Ktime(second * SECOND);
        kept = (0, 0);
        for (number, trace) in traces().enumerate() {
            let fails = number % 20 == 0;
            let decision = bench.decide(trace, |exchange| {
                if fails {
                    failed(exchange);
                }
            });
            let one = usize::from(matches!(decision, Decision::Keep | Decision::KeepTrace));
            if fails { kept.0 += one } else { kept.1 += one }
        }
    }
    assert_eq!(kept.0, 50, "every failure");
    assert!(kept.0 + kept.1 <= 100 && kept.1 >= 40, "{kept:?}");
}

#[test]
fn another_configuration_holds_from_then_on() {
    let mut bench = Bench::new(share(0.0));
    let (failing, other) = (TraceId(1 << 64 | 5), TraceId(2 << 64 | 5));
    assert_eq!(bench.decide(failing, failed), Decision::KeepTrace);
    bench.sampler.configure(SamplingConfig { errors: 0.0, ..share(0.0) });
    assert_eq!(bench.decide(failing, |_| ()), Decision::Keep);
    assert_eq!(bench.decide(other, failed), Decision::Drop);
    bench.sampler.configure(SamplingConfig { spans_per_second: Some(10), ..share(1.0) });
    assert_eq!(bench.kept(|_| ()), 10);
}

#[test]
fn where_there_is_no_time_the_ordinary_ones_give_way() {
    let mut bench = Bench::new(share(0.5));
    bench.sampler.shrink(0.5);
    assert_eq!((bench.kept(|_| ()), bench.decide(TraceId(1 << 55), |_| ())), (250, Decision::Drop));
    assert_eq!(bench.decide(TraceId(3 << 53), |_| ()), Decision::OverBudget, "it would be kept");
    assert_eq!(bench.kept(failed), 1000);
    bench.sampler.shrink(1.0);
    assert_eq!(Bench::new(share(0.5)).kept(|_| ()), 500);
}

#[test]
fn without_a_budget_nothing_is_too_many() {
    let mut bench = Bench::new(share(1.0));
    assert_eq!((bench.kept(|_| ()), bench.kept(failed)), (1000, 1000));
}
