//! What becomes of exchanges, and of labels that somebody chose.
use std::sync::Arc;

use weft_core::{
    AttributedExchange, Grpc, Identity, Ktime, MessageSpan, Protocol, Side, Workload,
    testing::{attributed, joined},
};

use crate::{
    Family, OTHER, PodFamily, Profiles, Registry, Settings, beyla,
    exposition::{Format, Kind, Metric, Page, Scrape, Unit},
    labels::Status,
    requests,
};

/// A complete `GET` of the pod in `netns`, as its server, that took 2 ms and ended at `end` (ns).
fn exchange(netns: u64, route: &str, end: u64) -> AttributedExchange {
    let message = |body_bytes| MessageSpan {
        first_byte: Ktime(end - 2_000_000),
        last_byte: Ktime(end),
        bytes: 100 + body_bytes,
        body_bytes,
    };
    let mut joined = joined(netns, 9, 1);
    let wire = &mut joined.exchange;
    (wire.path, wire.authority) = (route.into(), Some("orders:8080".into()));
    (wire.request, wire.response) = (message(10), Some(message(5000)));
    AttributedExchange {
        pod: Some("shop/orders".into()),
        route: Some(route.into()),
        clock_offset: 1000,
        ..attributed(joined)
    }
}

/// Shows all pods that have series of a family.
fn visit(registry: &Registry, family: Family, mut show: impl FnMut(u64, Option<&str>, PodFamily<'_>)) {
    registry.pods().for_each(|pod| pod.show(family, &mut show));
}

/// Routes with how many exchanges, in order.
fn routes(registry: &Registry, family: Family) -> Vec<(String, u64)> {
    let mut routes = Vec::new();
    visit(registry, family, |_, _, pod| {
        for (labels, series) in pod.series {
            routes.push((labels.route.to_string(), series.duration.count()));
        }
    });
    routes.sort();
    routes
}

fn registry(label_cardinality_limit: usize, series_limit: usize) -> Registry {
    Registry::new(Settings { label_cardinality_limit, series_limit, ..Settings::default() })
}

#[test]
fn an_exchange_is_counted_under_its_labels() {
    let registry = registry(10, 10);
    registry.record(&exchange(7, "/a", 5_000_000));
    registry.record(&exchange(7, "/a", 9_000_000));
    let mut seen = 0;
    visit(&registry, Family::HttpServer, |netns, pod, PodFamily { series, bodies }| {
        seen += 1;
        assert_eq!((netns, pod), (7, Some("shop/orders")));
        assert_eq!((bodies.request.sum, bodies.response.sum), (20, 10_000));
        assert_eq!(bodies.response.buckets[4], 2, "over 4 KiB, up to 16 KiB");
        for (labels, series) in series {
            seen += 1;
            assert_eq!((labels.method, &*labels.route, labels.status), ("GET", "/a", Status::Code(200)));
            assert_eq!((&*labels.server, labels.version), ("", "1.1"), "a server's address is the pod's own");
            assert_eq!((series.duration.count(), series.duration.sum()), (2, 4_000_000));
            let exemplar = series.exemplar.unwrap();
            assert_eq!((exemplar.duration_ns, exemplar.time_ns), (2_000_000, 9_001_000));
        }
    });
    assert_eq!((seen, registry.counts().series), (2, 1));
}

#[test]
fn what_is_not_complete_or_no_request_is_in_no_histogram() {
    let registry = registry(10, 10);
    let mut broken = exchange(7, "/a", 5_000_000);
    broken.joined.exchange.complete = false;
    registry.record(&broken);
    let mut connection = exchange(7, "/a", 5_000_000);
    connection.joined.exchange.protocol = Protocol::Tls;
    registry.record(&connection);
    assert_eq!(registry.counts().series, 0);
}

#[test]
fn a_call_of_grpc_has_its_method_and_its_own_status() {
    let registry = registry(10, 10);
    let mut call = exchange(7, "/", 5_000_000);
    let wire = &mut call.joined.exchange;
    (wire.protocol, wire.side, wire.path) = (Protocol::Grpc, Side::Client, "/shop.Orders/Get".into());
    wire.grpc = Some(Box::new(Grpc { status: Some(14), ..Grpc::default() }));
    registry.record(&call);
    visit(&registry, Family::RpcClient, |_, _, pod| {
        for labels in pod.series.keys() {
            assert_eq!((&*labels.route, labels.status), ("shop.Orders/Get", Status::Code(14)));
            assert_eq!((labels.method, &*labels.server, labels.version), ("", "orders", "2"));
        }
    });
    assert_eq!(registry.counts().series, 1);
}

#[test]
fn values_beyond_a_labels_limit_are_other_and_counted() {
    let registry = registry(3, 1000);
    for route in ["/a", "/b", "/c", "/d", "/e", "/a"] {
        registry.record(&exchange(7, route, 5_000_000));
    }
    let expected = [("/a", 2), ("/b", 1), ("/c", 1), (OTHER, 2)];
    assert_eq!(
        routes(&registry, Family::HttpServer),
        expected.map(|(route, count)| (route.to_owned(), count))
    );
    assert_eq!(registry.counts().overflow, [2, 0, 0, 0]);
    registry.record(&exchange(8, "/e", 5_000_000));
    assert_eq!(registry.counts().overflow, [2, 0, 0, 0], "another pod has a limit of its own");
}

#[test]
fn beyond_the_limit_of_all_series_a_pod_counts_in_one() {
    let registry = registry(100, 2);
    for route in ["/a", "/b", "/c", "/d", "/a"] {
        registry.record(&exchange(7, route, 5_000_000));
    }
    let pod = Some("shop/stock".into());
    registry.record(&AttributedExchange { pod, ..exchange(8, "/a", 5_000_000) });
    let counted: u64 = routes(&registry, Family::HttpServer).iter().map(|(_, count)| count).sum();
    assert_eq!(counted, 6, "nothing is dropped");
    assert_eq!((registry.counts().series, registry.counts().overflow[0]), (4, 3));
}

#[test]
fn a_label_attack_costs_no_memory() {
    let registry = registry(100, 1000);
    for number in 0..50_000_u32 {
        let mut attack = exchange(7, &format!("/{number}"), 5_000_000);
        let wire = &mut attack.joined.exchange;
        wire.method = format!("M{number}");
        wire.status = Some(100 + (number % 900) as u16);
        wire.authority = Some(format!("host{number}:80"));
        wire.side = if number % 2 == 0 { Side::Server } else { Side::Client };
        registry.record(&attack);
    }
    let counts = registry.counts();
    assert!(counts.series <= 1002, "{counts:?}");
    let counted: u64 =
        Family::ALL.iter().flat_map(|family| routes(&registry, *family)).map(|(_, count)| count).sum();
    assert_eq!(counted, 50_000);
}

#[test]
fn pods_beyond_the_limit_share_their_series() {
    let registry = Registry::new(Settings { pods: 2, ..Settings::default() });
    for netns in 1..6 {
        let pod = Some(format!("shop/orders-{netns}").into());
        registry.record(&AttributedExchange { pod, ..exchange(netns, "/a", 5_000_000) });
    }
    let mut pods = Vec::new();
    visit(&registry, Family::HttpServer, |netns, name, pod| {
        pods.extend(pod.series.values().map(|series| (netns, name.is_some(), series.duration.count())));
    });
    assert_eq!(pods, [(0, false, 3), (1, true, 1), (2, true, 1)]);
    assert_eq!(registry.counts().overflow[0], 3);
}

/// A StatefulSet's pod is started again under its name: its series go on from nothing, and none is shown twice.
#[test]
fn of_pods_with_one_name_the_youngest_is_shown() {
    let registry = registry(10, 10);
    for netns in [7, 9, 8, 7] {
        registry.record(&exchange(netns, "/a", 5_000_000));
    }
    registry.record(&AttributedExchange { pod: None, ..exchange(5, "/a", 5_000_000) });
    let mut shown = Vec::new();
    visit(&registry, Family::HttpServer, |netns, name, _| shown.push((netns, name.is_some())));
    assert_eq!(shown, [(5, false), (9, true)]);
    assert_eq!(registry.counts().series, 4, "the others' are idle, and go");
}

#[test]
fn what_is_too_many_takes_no_place_of_a_value() {
    let settings = Settings { label_cardinality_limit: 2, idle: 1_000_000_000, ..Settings::default() };
    let registry = Registry::new(settings);
    for (route, end) in [("/a", 5_000_000), ("/b", 3_000_000_000), ("/c", 3_000_000_000)] {
        registry.record(&exchange(7, route, end));
    }
    registry.expire(Ktime(3_500_000_000));
    registry.record(&exchange(7, "/d", 3_000_000_000));
    let expected = [("/b", 1), ("/d", 1), (OTHER, 1)];
    let expected = expected.map(|(route, count)| (route.to_owned(), count));
    assert_eq!(routes(&registry, Family::HttpServer), expected);
}

#[test]
fn idle_series_go_and_make_room() {
    let registry =
        Registry::new(Settings { label_cardinality_limit: 2, idle: 1_000_000_000, ..Settings::default() });
    registry.record(&exchange(7, "/a", 5_000_000));
    registry.record(&exchange(7, "/b", 2_000_000_000));
    registry.expire(Ktime(2_500_000_000));
    assert_eq!((registry.counts().series, registry.counts().expired), (1, 1));
    registry.record(&exchange(7, "/c", 2_000_000_000));
    assert_eq!(registry.counts().overflow[0], 0, "the value of the series that went is free");
    registry.expire(Ktime(9_000_000_000));
    assert_eq!((registry.counts().series, routes(&registry, Family::HttpServer)), (0, Vec::new()));
}

#[test]
fn other_bounds_concern_what_is_new() {
    let registry = registry(2, 1000);
    for route in ["/a", "/b", "/c"] {
        registry.record(&exchange(7, route, 5_000_000));
    }
    assert_eq!(registry.counts().overflow[0], 1);
    registry.configure(Settings { label_cardinality_limit: 4, ..Settings::default() });
    registry.record(&exchange(7, "/c", 5_000_000));
    registry.configure(Settings { label_cardinality_limit: 1, series_limit: 1, ..Settings::default() });
    for route in ["/a", "/d"] {
        registry.record(&exchange(7, route, 5_000_000));
    }
    let expected = [("/a", 2), ("/b", 1), ("/c", 1), (OTHER, 2)];
    assert_eq!(
        routes(&registry, Family::HttpServer),
        expected.map(|(route, count)| (route.to_owned(), count)),
        "what is there goes on, and nothing is dropped"
    );
}

/// The page of what was counted, under these names.
fn page(registry: &Registry, profiles: Profiles) -> String {
    let mut text = Vec::new();
    let mut out = |piece: &[u8]| text.extend_from_slice(piece);
    let mut scrape = Scrape::new(Format::Text, &mut out);
    let mut page = Page::new(&mut scrape);
    requests::write(&mut page, registry, profiles);
    let metric = Metric { name: "target", unit: Unit::Count, help: "Who", kind: Kind::Info };
    beyla::write_targets(&mut page.family(&metric), registry);
    scrape.finish();
    String::from_utf8(text).unwrap()
}

fn line<'a>(page: &'a str, beginning: &str) -> &'a str {
    let mut found = page.lines().filter(|line| line.starts_with(beginning));
    let first = found.next().unwrap_or_else(|| panic!("no {beginning} in {page}"));
    assert_eq!(found.next(), None, "{beginning} is there once");
    first
}

fn orders() -> Option<Arc<Identity>> {
    Some(Arc::new(Identity {
        uid: "u-1".into(),
        node: "n-1".into(),
        workload: Some(Workload { kind: "Deployment".into(), name: "orders".into() }),
        replica_set: "orders-6d4c".into(),
        service_name: "orders-api".into(),
        ..Identity::default()
    }))
}

#[test]
fn beyla_says_more_of_a_pod_under_the_same_names() {
    let profiles = Profiles { beyla: true, ..Profiles::OTEL };
    let registry = Registry::new(Settings { profiles, ..Settings::default() });
    let told = AttributedExchange { identity: orders(), ..exchange(7, "/a", 5_000_000) };
    registry.record(&told);
    registry.record(&told);
    let page = page(&registry, profiles);
    let labels = [
        "service_name=\"orders-api\"",
        "service_namespace=\"shop\"",
        "instance=\"shop.orders\"",
        "job=\"shop/orders-api\"",
        "k8s_namespace_name=\"shop\"",
        "k8s_pod_name=\"orders\"",
        "k8s_pod_uid=\"u-1\"",
        "k8s_node_name=\"n-1\"",
        "k8s_deployment_name=\"orders\"",
        "k8s_replicaset_name=\"orders-6d4c\"",
        "k8s_kind=\"Deployment\"",
        "k8s_owner_name=\"orders\"",
    ];
    let request = ["http_route=\"/a\"", "server_address=\"orders-api\"", "http_response_status_code=\"200\""];
    for (name, value) in [
        ("http_server_request_duration_seconds_count", "2"),
        ("http_server_request_body_size_bytes_sum", "20.0"),
        ("http_server_response_body_size_bytes_count", "2"),
    ] {
        let found = line(&page, name);
        for part in labels.iter().chain(&request) {
            assert!(found.contains(part), "{part} is not in {found}");
        }
        assert!(found.ends_with(&format!("}} {value}")), "{found}");
    }
    let target = line(&page, "target_info");
    assert!(labels.iter().all(|part| target.contains(part)), "{target}");
    assert_eq!(page.matches("# TYPE http_server_request_duration_seconds ").count(), 1);
}

#[test]
fn calls_have_the_names_of_those_who_are_asked_for() {
    let all = Profiles { beyla: true, ..Profiles::OTEL };
    let registry = Registry::new(Settings { profiles: all, ..Settings::default() });
    let mut call = exchange(7, "/", 5_000_000);
    let wire = &mut call.joined.exchange;
    (wire.protocol, wire.path) = (Protocol::Grpc, "/shop.Orders/Get".into());
    wire.grpc = Some(Box::new(Grpc { status: Some(14), ..Grpc::default() }));
    registry.record(&call);
    let both = page(&registry, all);
    let found = line(&both, "rpc_server_duration_seconds_count");
    for part in ["rpc_method=\"/shop.Orders/Get\"", "rpc_grpc_status_code=\"14\"", "rpc_system=\"grpc\""] {
        assert!(found.contains(part), "{part} is not in {found}");
    }
    let found = line(&both, "rpc_server_call_duration_seconds_count");
    assert!(
        found.contains("rpc_method=\"shop.Orders/Get\",rpc_response_status_code=\"UNAVAILABLE\""),
        "{found}"
    );
    let beyla = page(&registry, Profiles { otel: false, ..all });
    assert!(
        !beyla.contains("rpc_server_call_duration") && beyla.contains("rpc_server_duration_seconds_count")
    );
    let otel = page(&registry, Profiles::OTEL);
    assert!(otel.contains("rpc_server_call_duration") && !otel.contains("rpc_server_duration"));
    assert!(!page(&registry, Profiles::NONE).contains("# TYPE rpc"));
}

/// A label that is there twice makes a page that nobody reads.
#[test]
fn what_overflows_has_each_label_once() {
    let profiles = Profiles { beyla: true, ..Profiles::NONE };
    let registry = Registry::new(Settings { profiles, series_limit: 1, ..Settings::default() });
    for route in ["/a", "/b"] {
        registry.record(&exchange(7, route, 5_000_000));
    }
    let page = page(&registry, profiles);
    let found = page.lines().filter(|line| line.starts_with("http_server_request_duration_seconds_count"));
    let found: Vec<_> = found.collect();
    assert_eq!(found.len(), 2);
    for line in found {
        assert_eq!(line.matches("server_address=").count(), 1, "{line}");
    }
}

#[test]
fn what_nobody_asks_for_is_not_counted() {
    let profiles = Profiles { istio: true, ..Profiles::NONE };
    let registry = Registry::new(Settings { profiles, ..Settings::default() });
    registry.record(&exchange(7, "/a", 5_000_000));
    assert_eq!((registry.counts().series, routes(&registry, Family::HttpServer)), (1, Vec::new()));
    let otel = Registry::new(Settings::default());
    otel.record(&exchange(7, "/a", 5_000_000));
    assert_eq!(otel.counts().series, 1);
    visit(&otel, Family::HttpServer, |_, _, pod| {
        assert!(pod.series.values().all(|series| series.bodies.is_none()));
    });
}
