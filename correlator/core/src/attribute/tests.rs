use super::*;
use crate::{
    Limits, Peer, Workload,
    testing::{joined, pod, traced, v4},
};

/// An attribution under test, and what left it: `path pod peer`.
struct Bench {
    attribution: Attribution,
    left: Vec<String>,
}

impl Bench {
    fn new(limits: Limits) -> Self {
        let networks = [("10.0.0.0/8", "inside"), ("10.0.0.128/25", "upper half"), ("::/0", "v6")];
        let networks = networks.map(|(network, name)| (network.parse().unwrap(), name.to_owned())).into();
        let attribution = Attribution::new(&Config { networks, limits, ..Config::default() });
        Self { attribution, left: Vec::new() }
    }

    fn exchange(&mut self, netns: u64, peer: u8, number: u32, now: u64) {
        let left = &mut self.left;
        self.attribution.exchange(traced(joined(netns, peer, number)), Ktime(now), &mut |exchange| {
            left.push(shown(&exchange))
        });
    }

    fn workload(&mut self, update: WorkloadUpdate, now: u64) -> Option<u64> {
        let left = &mut self.left;
        self.attribution.workload(update, Ktime(now), &mut |exchange| left.push(shown(&exchange)))
    }

    fn expire(&mut self, now: u64) {
        let left = &mut self.left;
        self.attribution.expire(Ktime(now), &mut |exchange| left.push(shown(&exchange)));
    }

    fn left(&mut self) -> Vec<String> {
        std::mem::take(&mut self.left)
    }
}

fn shown(exchange: &AttributedExchange) -> String {
    let name = |name: &Option<Arc<str>>| name.clone().unwrap_or("-".into());
    let service = exchange.peer_service.as_ref().map(|service| format!("service {service}").into());
    let peer = exchange.peer_pod.clone().or(service).or(exchange.peer_network.clone());
    let workload = exchange.peer_identity.as_deref().and_then(|identity| identity.workload.as_ref());
    let workload = workload.map(|workload| format!(" of {}", workload.name)).unwrap_or_default();
    format!("{} {} {}{workload}", exchange.joined.exchange.path, name(&exchange.pod), name(&peer))
}

fn waiting(bench: &Bench) -> (u64, u64) {
    let [_, _, table, ..] = bench.attribution.tables();
    (table.entries, table.evicted)
}

#[test]
fn known_pods_leave_at_once_with_both_names() {
    let mut bench = Bench::new(Limits::default());
    bench.workload(pod(1, "orders"), 0);
    bench.workload(pod(2, "gateway"), 0);
    bench.exchange(1, 2, 7, 0);
    assert_eq!(bench.left(), ["/7 shop/orders shop/gateway"]);
}

#[test]
fn a_peer_that_is_no_pod_is_in_the_most_specific_network() {
    let mut bench = Bench::new(Limits::default());
    bench.workload(pod(1, "orders"), 0);
    bench.exchange(1, 200, 1, 0);
    bench.exchange(1, 100, 2, 0);
    assert_eq!(bench.left(), ["/1 shop/orders upper half", "/2 shop/orders inside"]);
}

#[test]
fn a_late_name_is_waited_for() {
    let mut bench = Bench::new(Limits::default());
    bench.workload(pod(2, "gateway"), 0);
    bench.exchange(1, 2, 1, 10);
    bench.exchange(3, 2, 2, 11);
    bench.exchange(1, 2, 3, 12);
    bench.exchange(2, 1, 4, 13);
    assert_eq!(bench.left(), ["/4 shop/gateway inside"]);
    bench.workload(pod(1, "orders"), 20);
    assert_eq!(bench.left(), ["/1 shop/orders shop/gateway", "/3 shop/orders shop/gateway"]);
    assert_eq!(waiting(&bench), (1, 0));
}

#[test]
fn a_name_that_never_comes_is_waited_for_no_longer_than_allowed() {
    let mut bench = Bench::new(Limits { identity_wait: 100, ..Limits::default() });
    bench.exchange(1, 2, 1, 10);
    bench.exchange(1, 2, 2, 60);
    assert_eq!(bench.attribution.next_deadline(), Some(Ktime(110)));
    bench.expire(109);
    assert_eq!(bench.left(), [""; 0]);
    bench.expire(110);
    assert_eq!(bench.left(), ["/1 - inside"]);
    bench.expire(160);
    assert_eq!(bench.left(), ["/2 - inside"]);
    assert_eq!(bench.attribution.next_deadline(), None);
}

#[test]
fn the_oldest_goes_on_nameless_when_too_many_wait() {
    let mut bench = Bench::new(Limits { waiting_exchanges: 2, ..Limits::default() });
    (1..=5).for_each(|number| bench.exchange(1, 2, number, 10));
    assert_eq!(bench.left(), ["/1 - inside", "/2 - inside", "/3 - inside"]);
    assert_eq!(waiting(&bench), (2, 3));
    bench.workload(pod(1, "orders"), 20);
    assert_eq!(bench.left(), ["/4 shop/orders inside", "/5 shop/orders inside"]);
}

#[test]
fn a_pod_that_is_gone_keeps_its_name_for_a_while() {
    let mut bench = Bench::new(Limits::default());
    bench.workload(pod(1, "orders"), 0);
    bench.workload(WorkloadUpdate::Gone { netns: 1 }, 1000);
    bench.exchange(1, 2, 1, 2000);
    assert_eq!(bench.left(), ["/1 shop/orders inside"]);
    assert!(bench.attribution.pods().get(1).unwrap().gone);
    let until = bench.attribution.next_deadline().unwrap();
    assert_eq!(bench.attribution.forget(Ktime(until.0 - 1)), None);
    assert_eq!(bench.attribution.forget(until), Some(1));
    assert_eq!(bench.attribution.forget(until), None);
    assert!(bench.attribution.pods().at(v4(1)).is_none());
}

#[test]
fn a_netns_that_went_unnamed_holds_nothing_up() {
    let mut bench = Bench::new(Limits::default());
    bench.exchange(1, 2, 1, 10);
    bench.workload(WorkloadUpdate::Gone { netns: 1 }, 20);
    assert_eq!(bench.left(), ["/1 - inside"]);
}

#[test]
fn a_pod_that_came_back_is_not_forgotten() {
    let mut bench = Bench::new(Limits::default());
    bench.workload(pod(1, "orders"), 0);
    for round in 0..10 {
        bench.workload(WorkloadUpdate::Gone { netns: 1 }, round * 10);
        bench.workload(WorkloadUpdate::Gone { netns: 1 }, round * 10 + 1);
        bench.workload(pod(1, "orders"), round * 10 + 2);
    }
    assert_eq!(bench.attribution.forget(Ktime(u64::MAX)), None);
    assert_eq!(bench.attribution.next_deadline(), None);
}

#[test]
fn an_address_belongs_to_the_pod_that_got_it_last() {
    let mut bench = Bench::new(Limits::default());
    bench.workload(pod(1, "old"), 0);
    bench.workload(pod(9, "server"), 0);
    bench.workload(WorkloadUpdate::Gone { netns: 1 }, 5);
    let WorkloadUpdate::Pod(mut new) = pod(3, "new") else { panic!("no pod") };
    new.addresses = vec![v4(1)];
    bench.workload(WorkloadUpdate::Pod(new), 6);
    assert_eq!(bench.attribution.forget(Ktime(u64::MAX)), Some(1));
    bench.exchange(9, 1, 1, 7);
    assert_eq!(bench.left(), ["/1 shop/server shop/new"]);
}

#[test]
fn an_address_that_a_pod_gave_up_is_nobodys() {
    let mut bench = Bench::new(Limits::default());
    bench.workload(pod(1, "orders"), 0);
    let WorkloadUpdate::Pod(mut moved) = pod(1, "orders") else { panic!("no pod") };
    moved.addresses = vec![v4(50)];
    bench.workload(WorkloadUpdate::Pod(moved), 1);
    assert!(bench.attribution.pods().at(v4(1)).is_none());
    assert!(bench.attribution.pods().at(v4(50)).is_some());
}

#[test]
fn past_the_limit_those_that_are_gone_give_way_and_then_newcomers_stay_nameless() {
    let mut bench = Bench::new(Limits { pods: 2, ..Limits::default() });
    bench.workload(pod(1, "a"), 0);
    bench.workload(pod(2, "b"), 0);
    bench.workload(WorkloadUpdate::Gone { netns: 1 }, 1);
    assert_eq!(bench.workload(pod(3, "c"), 2), Some(1));
    assert_eq!(bench.workload(pod(4, "d"), 3), None);
    assert!(bench.attribution.pods().get(4).is_none() && bench.attribution.pods().get(3).is_some());
    let [table, ..] = bench.attribution.tables();
    assert_eq!((table.entries, table.evicted), (2, 2));
}

fn told(name: &str, uid: &str, workload: &str) -> WorkloadUpdate {
    let workload = Some(Workload { kind: "Deployment".into(), name: workload.into() });
    let identity = Some(Identity { uid: uid.into(), workload, ..Identity::default() });
    WorkloadUpdate::Cluster(ClusterUpdate::Pod { namespace: "shop".into(), name: name.into(), identity })
}

fn address(last: u8, peer: Option<Peer>) -> WorkloadUpdate {
    WorkloadUpdate::Cluster(ClusterUpdate::Address { address: v4(last), peer })
}

fn workload(bench: &Bench, netns: u64) -> Option<String> {
    Some(bench.attribution.pods().get(netns)?.identity.as_ref()?.workload.as_ref()?.name.clone())
}

#[test]
fn what_the_cluster_says_of_a_pod_may_come_before_it_or_after() {
    let mut bench = Bench::new(Limits::default());
    bench.workload(told("orders", "", "orders"), 0);
    bench.workload(pod(1, "orders"), 0);
    assert_eq!(workload(&bench, 1).as_deref(), Some("orders"));
    bench.workload(pod(2, "gateway"), 0);
    bench.exchange(2, 1, 1, 10);
    assert_eq!(bench.left(), [""; 0], "it is waited for");
    bench.workload(told("gateway", "", "edge"), 20);
    assert_eq!(
        (bench.left(), workload(&bench, 2).as_deref()),
        (vec!["/1 shop/gateway shop/orders of orders".into()], Some("edge"))
    );
}

#[test]
fn what_the_cluster_never_says_is_waited_for_once() {
    let mut bench = Bench::new(Limits { identity_wait: 100, ..Limits::default() });
    bench.workload(told("other", "", "other"), 0);
    bench.workload(pod(1, "orders"), 0);
    bench.exchange(1, 2, 1, 10);
    bench.expire(110);
    bench.exchange(1, 2, 2, 120);
    assert_eq!(bench.left(), ["/1 shop/orders inside", "/2 shop/orders inside"]);
    assert_eq!(bench.attribution.missing(), 1);
}

#[test]
fn without_a_cluster_nothing_is_waited_for() {
    let mut bench = Bench::new(Limits::default());
    bench.workload(pod(1, "orders"), 0);
    bench.exchange(1, 2, 1, 10);
    assert_eq!((bench.left().len(), bench.attribution.missing()), (1, 0));
}

#[test]
fn a_pod_of_the_same_name_is_another_one_by_its_uid() {
    let mut bench = Bench::new(Limits::default());
    bench.workload(told("db-0", "old", "old"), 0);
    let WorkloadUpdate::Pod(mut new) = pod(1, "db-0") else { panic!("no pod") };
    new.uid = "new".into();
    bench.workload(WorkloadUpdate::Pod(new), 1);
    assert_eq!(workload(&bench, 1), None);
    bench.workload(told("db-0", "new", "new"), 2);
    assert_eq!(workload(&bench, 1).as_deref(), Some("new"));
    let gone = ClusterUpdate::Pod { namespace: "shop".into(), name: "db-0".into(), identity: None };
    bench.workload(WorkloadUpdate::Cluster(gone), 3);
    assert_eq!(workload(&bench, 1).as_deref(), Some("new"), "who is deleted stays who he was");
}

#[test]
fn addresses_of_others_have_the_names_that_the_cluster_gives_them() {
    let mut bench = Bench::new(Limits { addresses: 2, ..Limits::default() });
    bench.workload(pod(1, "orders"), 0);
    let name = |name: &str| ("shop".to_owned(), name.to_owned());
    let (namespace, remote) = name("remote");
    bench.workload(address(50, Some(Peer::Pod { namespace, name: remote })), 0);
    let (namespace, service) = name("stock");
    bench.workload(
        address(60, Some(Peer::Service { namespace: namespace.clone(), name: service.clone() })),
        0,
    );
    bench.workload(address(70, Some(Peer::Service { namespace, name: service })), 0);
    for (number, peer) in [50, 60, 70].into_iter().enumerate() {
        bench.exchange(1, peer, number as u32, 1);
    }
    assert_eq!(
        bench.left(),
        ["/0 shop/orders shop/remote", "/1 shop/orders service shop/stock", "/2 shop/orders inside"]
    );
    let [.., table] = bench.attribution.tables();
    assert_eq!((table.entries, table.evicted), (2, 1));
    bench.workload(address(60, None), 2);
    bench.exchange(1, 60, 3, 3);
    assert_eq!(bench.left(), ["/3 shop/orders inside"]);
}
