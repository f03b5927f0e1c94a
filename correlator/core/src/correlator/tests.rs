use super::*;
use crate::{
    PodSeries,
    testing::{joined, pod},
};

#[derive(Default)]
struct Paths(Vec<String>);

impl Sink for Paths {
    fn exchange(&mut self, exchange: &AttributedExchange) {
        self.0.push(exchange.joined.exchange.path.clone());
    }

    fn want(&mut self, _flow: FlowKey, _want: Option<FlowWant>) {}
}

/// As if the wire had handed it on.
fn hand_on(correlator: &mut Correlator, joined: JoinedExchange, sink: &mut Paths) {
    Downstage { meaning: &mut correlator.meaning, sink }.exchange(joined);
}

fn gone(netns: u64) -> Input<'static> {
    Input::Workload(WorkloadUpdate::Gone { netns })
}

#[test]
fn a_forgotten_pod_leaves_its_counts_behind() {
    let (mut correlator, mut sink) = (Correlator::new(Arc::default()), Paths::default());
    for (netns, name) in [(1, "orders"), (2, "gateway")] {
        correlator.handle(Input::Workload(pod(netns, name)), &mut sink);
        hand_on(&mut correlator, joined(netns.into(), 3, 1), &mut sink);
    }
    correlator.handle(gone(1), &mut sink);
    assert_eq!(correlator.snapshot().pods.len(), 2);
    let deadline = correlator.next_deadline().unwrap();
    correlator.handle(Input::Tick(deadline), &mut sink);

    let snapshot = correlator.snapshot();
    let count = |series: &PodSeries| series.server.count + series.client.count;
    assert_eq!(snapshot.pods.iter().map(|pod| pod.name.as_str()).collect::<Vec<_>>(), ["gateway"]);
    assert_eq!(
        (count(&snapshot.pods[0].series), count(&snapshot.other), count(&snapshot.retired)),
        (1, 0, 1)
    );
    assert_eq!((snapshot.exchanges.server, snapshot.time), (2, deadline));
}

#[test]
fn room_for_a_pod_is_made_in_every_table() {
    let config = Config { limits: crate::Limits { pods: 1, ..Default::default() }, ..Config::default() };
    let (mut correlator, mut sink) = (Correlator::new(Arc::new(config)), Paths::default());
    for netns in 1..=3 {
        correlator.handle(Input::Workload(pod(netns, "x")), &mut sink);
        hand_on(&mut correlator, joined(netns.into(), 9, 1), &mut sink);
        correlator.handle(gone(netns.into()), &mut sink);
    }
    let snapshot = correlator.snapshot();
    assert_eq!((snapshot.pods.len(), snapshot.pods[0].netns), (1, 3));
    assert_eq!((snapshot.retired.server.count, snapshot.series_overflow), (2, 0));
}

#[test]
fn at_the_end_nothing_waits_any_more() {
    let (mut correlator, mut sink) = (Correlator::new(Arc::default()), Paths::default());
    (1..=3).for_each(|number| hand_on(&mut correlator, joined(1, 9, number), &mut sink));
    assert_eq!(sink.0.len(), 0);
    correlator.finish(&mut sink);
    assert_eq!(sink.0, ["/1", "/2", "/3"]);
    assert_eq!(correlator.snapshot().exchanges.without_pod, 3);
}

#[test]
fn another_configuration_is_in_force_at_once() {
    let (mut correlator, mut sink) = (Correlator::new(Arc::default()), Paths::default());
    (1..=3).for_each(|number| hand_on(&mut correlator, joined(1, 9, number), &mut sink));
    let limits = crate::Limits { waiting_exchanges: 1, ..Default::default() };
    correlator.handle(Input::Config(Arc::new(Config { limits, ..Config::default() })), &mut sink);
    hand_on(&mut correlator, joined(1, 9, 4), &mut sink);
    assert_eq!(sink.0, ["/1", "/2", "/3"]);
}
