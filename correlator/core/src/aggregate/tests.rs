use super::*;
use crate::{
    Grpc, HistogramSnapshot, JoinedExchange, Ktime, WorkloadUpdate,
    phase::Windows,
    testing::{joined, link, pod},
};

fn count(aggregate: &mut Aggregate, joined: JoinedExchange, pod: Option<&str>) {
    aggregate.exchange(&AttributedExchange {
        phases: joined.phases(&Windows::default()),
        link: link(&joined.exchange),
        joined,
        pod: pod.map(str::to_owned),
        netns_inode: 0,
        identity: None,
        peer_pod: None,
        peer_service: None,
        peer_network: None,
        route: None,
        clock_offset: 0,
    });
}

fn phase<'a>(side: &'a SideSnapshot, name: &str) -> &'a HistogramSnapshot {
    &side.phases.iter().find(|phase| phase.phase == name).unwrap().time
}

fn pods(updates: &[WorkloadUpdate]) -> Pods {
    let mut pods = Pods::new(100);
    for update in updates {
        let WorkloadUpdate::Pod(pod) = update else { continue };
        pods.insert(pod.clone());
    }
    pods
}

/// Exchanges of (pods, other, retired).
fn totals(aggregate: &Aggregate) -> (u64, u64, u64) {
    let count = |series: &PodSeries| series.server.count + series.client.count;
    let pods = aggregate.pods(&pods(&[])).iter().map(|pod| count(&pod.series)).sum();
    (pods, count(&aggregate.other()), count(&aggregate.retired()))
}

#[test]
fn each_side_has_series_of_its_own() {
    let mut aggregate = Aggregate::new(10);
    count(&mut aggregate, joined(1, 2, 1), Some("shop/orders"));
    let mut client = joined(1, 2, 2);
    client.exchange.side = Side::Client;
    client.exchange.response.as_mut().unwrap().last_byte = Ktime(5000 + 3_000_000);
    count(&mut aggregate, client, Some("shop/orders"));

    let pods = aggregate.pods(&pods(&[pod(1, "orders"), pod(2, "idle")]));
    let [idle, orders] = &pods[..] else { panic!("{pods:?}") };
    assert_eq!((idle.name.as_str(), idle.series.server.count), ("idle", 0));
    assert_eq!((orders.name.as_str(), orders.netns_inode), ("orders", 4001));
    assert_eq!(
        (orders.series.server.latency.max_ns, orders.series.server.response_body_bytes),
        (Some(1000), 20)
    );
    assert_eq!(orders.series.client.latency.max_ns, Some(3_000_000));
    assert_eq!((aggregate.counts().server, aggregate.counts().client), (1, 1));
}

#[test]
fn a_connection_is_no_request() {
    let mut aggregate = Aggregate::new(10);
    for protocol in [Protocol::Tls, Protocol::Tcp, Protocol::Tcp] {
        let mut row = joined(1, 2, 1);
        row.exchange.protocol = protocol;
        count(&mut aggregate, row, Some("shop/orders"));
    }
    let pods = aggregate.pods(&pods(&[pod(1, "orders")]));
    let series = &pods[0].series;
    assert_eq!((series.connections.tls, series.connections.tcp), (1, 2));
    assert_eq!(
        (series.server.count, series.server.latency.count, phase(&series.server, "network").count),
        (0, 0, 0)
    );
    let counts = aggregate.counts();
    assert_eq!((counts.server, counts.client, counts.connections), (0, 0, 3));
}

#[test]
fn a_grpc_call_failed_when_its_status_says_so() {
    let mut aggregate = Aggregate::new(10);
    for status in [None, Some(0), Some(5)] {
        let mut call = joined(1, 2, 1);
        call.exchange.grpc = Some(Box::new(Grpc { status, ..Grpc::default() }));
        count(&mut aggregate, call, Some("shop/orders"));
    }
    let server = &aggregate.pods(&pods(&[]))[0].series.server;
    assert_eq!((server.count, server.errors), (3, 1));
}

#[test]
fn errors_are_the_servers_faults_and_what_never_ended() {
    let mut aggregate = Aggregate::new(10);
    for (status, complete) in [(200, true), (404, true), (499, true), (500, true), (503, true), (200, false)]
    {
        let mut exchange = joined(1, 2, 1);
        exchange.exchange.status = Some(status);
        exchange.exchange.complete = complete;
        count(&mut aggregate, exchange, Some("shop/orders"));
    }
    let mut unanswered = joined(1, 2, 1);
    (unanswered.exchange.response, unanswered.exchange.status, unanswered.exchange.complete) =
        (None, None, false);
    count(&mut aggregate, unanswered, None);
    let server = &aggregate.pods(&pods(&[]))[0].series.server;
    assert_eq!((server.count, server.errors, server.incomplete, server.latency.count), (7, 4, 2, 5));
    assert_eq!((aggregate.counts().incomplete, aggregate.counts().without_pod), (2, 1));
}

#[test]
fn past_the_limit_pods_share_a_series() {
    let mut aggregate = Aggregate::new(2);
    for netns in [1, 2, 3, 4, 1] {
        count(&mut aggregate, joined(netns, 9, 1), None);
    }
    assert_eq!(totals(&aggregate), (3, 2, 0));
    assert_eq!((aggregate.overflow(), aggregate.table().entries), (2, 2));
}

#[test]
fn a_forgotten_pod_makes_room_and_stays_in_the_sum() {
    let mut aggregate = Aggregate::new(1);
    count(&mut aggregate, joined(1, 9, 1), None);
    aggregate.retire(1);
    aggregate.retire(1);
    count(&mut aggregate, joined(2, 9, 1), None);
    assert_eq!(totals(&aggregate), (1, 0, 1));
}

#[test]
fn a_phase_counts_the_exchanges_in_which_it_was_measured() {
    let mut aggregate = Aggregate::new(10);
    let mut read = joined(1, 2, 1);
    read.app.read = Some(Ktime(5700));
    count(&mut aggregate, read, None);
    count(&mut aggregate, joined(1, 2, 2), None);
    let side = &aggregate.pods(&pods(&[]))[0].series.server;
    let of = |name| (phase(side, name).count, phase(side, name).sum_ns);
    assert_eq!((of("socket_wait"), of("network")), ((1, 700), (2, 0)));
    assert_eq!((of("handler"), of("downstream"), of("gc")), ((1, 300), (0, 0), (0, 0)));
}

#[test]
fn connections() {
    let mut aggregate = Aggregate::new(10);
    aggregate.connection(ConnectionEvent::Connected { netns: 1, latency_ns: 70_000 });
    aggregate.connection(ConnectionEvent::Retransmitted { netns: 1, segments: 3 });
    aggregate.connection(ConnectionEvent::Closed { netns: 1, srtt_us: 250, retransmitted_segments: 3 });
    aggregate.connection(ConnectionEvent::Closed { netns: 1, srtt_us: 0, retransmitted_segments: 0 });
    let connections = &aggregate.pods(&pods(&[]))[0].series.connections;
    assert_eq!((connections.connect.count, connections.connect.sum_ns), (1, 70_000));
    assert_eq!((connections.rtt.count, connections.rtt.sum_ns), (1, 250_000));
    assert_eq!((connections.closed, connections.retransmitted_segments), (2, 3));
}
