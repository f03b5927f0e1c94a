//! What Istio's names say of exchanges.
use std::sync::Arc;

use weft_core::{
    Application, AttributedExchange, Grpc, Identity, Ktime, MessageSpan, Messages, Protocol, Side, Workload,
    testing::{attributed, joined},
};

use super::write;
use crate::{
    Profiles, Registry, Settings,
    exposition::{Format, Page, Scrape},
};

const ISTIO: Settings = Settings {
    label_cardinality_limit: 3,
    series_limit: 100,
    pods: 10,
    idle: 1_000_000_000,
    profiles: Profiles { istio: true, ..Profiles::NONE },
};

/// Of a Deployment of this name, with labels as Istio wants them.
fn identity(name: &str) -> Option<Arc<Identity>> {
    let application = Application {
        app: name.into(),
        version: "v1".into(),
        service: name.into(),
        ..Application::default()
    };
    let application = Some(Box::new(application));
    let workload = Some(Workload { kind: "Deployment".into(), name: name.into() });
    Some(Arc::new(Identity { workload, application, ..Identity::default() }))
}

/// A request of `shop/gateway-1` to `shop/orders-1` that took 2 ms, as this side saw it.
fn exchange(side: Side) -> AttributedExchange {
    let message =
        |body_bytes| MessageSpan { first_byte: Ktime(0), last_byte: Ktime(2_000_000), bytes: 9, body_bytes };
    let mut joined = joined(if side == Side::Server { 7 } else { 8 }, 9, 1);
    let wire = &mut joined.exchange;
    (wire.side, wire.authority) = (side, Some("orders:8080".into()));
    (wire.request, wire.response) = (message(10), Some(message(5000)));
    let ends = [("shop/gateway-1", identity("gateway")), ("shop/orders-1", identity("orders"))];
    let [source, destination] = ends.map(|(pod, identity)| (Some(pod.into()), identity));
    let ((pod, identity), (peer_pod, peer_identity)) =
        if side == Side::Server { (destination, source) } else { (source, destination) };
    AttributedExchange { pod, identity, peer_pod, peer_identity, ..attributed(joined) }
}

/// The lines of a page that begin with this.
fn lines(registry: &Registry, beginning: &str) -> Vec<String> {
    let mut text = Vec::new();
    let mut out = |piece: &[u8]| text.extend_from_slice(piece);
    let mut scrape = Scrape::new(Format::Text, &mut out);
    write(&mut Page::new(&mut scrape), registry);
    scrape.finish();
    let text = String::from_utf8(text).unwrap();
    text.lines().filter(|line| line.starts_with(beginning)).map(str::to_owned).collect()
}

/// The value of a label in the only line.
fn label(lines: &[String], name: &str) -> String {
    let [line] = lines else { panic!("{lines:?}") };
    let (_, from) = line.split_once(&format!("{name}=\"")).unwrap_or_else(|| panic!("no {name}: {line}"));
    from.split_once('"').unwrap().0.to_owned()
}

fn counted(exchange: &AttributedExchange) -> Registry {
    let registry = Registry::new(ISTIO);
    registry.record(exchange);
    registry
}

#[test]
fn both_sides_report_the_same_ends() {
    for (side, reporter, policy) in
        [(Side::Server, "destination", "none"), (Side::Client, "source", "unknown")]
    {
        let found = lines(&counted(&exchange(side)), "istio_requests_total");
        for (name, value) in [
            ("reporter", reporter),
            ("source_workload", "gateway"),
            ("source_workload_namespace", "shop"),
            ("source_app", "gateway"),
            ("source_canonical_service", "gateway"),
            ("source_canonical_revision", "latest"),
            ("source_principal", "unknown"),
            ("source_cluster", "unknown"),
            ("destination_workload", "orders"),
            ("destination_workload_namespace", "shop"),
            ("destination_version", "v1"),
            ("destination_service", "orders.shop.svc.cluster.local"),
            ("destination_service_name", "orders"),
            ("destination_service_namespace", "shop"),
            ("request_protocol", "http"),
            ("response_code", "200"),
            ("response_flags", "-"),
            ("connection_security_policy", policy),
        ] {
            assert_eq!(label(&found, name), value, "{name} of {reporter}");
        }
        assert!(found[0].ends_with("} 1"));
        assert!(!found[0].contains("grpc_response_status"));
    }
}

#[test]
fn who_is_not_known_is_unknown() {
    let mut nobody = exchange(Side::Server);
    (nobody.peer_pod, nobody.peer_identity, nobody.identity) = (None, None, None);
    nobody.joined.exchange.authority = None;
    let found = lines(&counted(&nobody), "istio_requests_total");
    for name in ["source_workload", "source_workload_namespace", "source_app", "destination_workload"] {
        assert_eq!(label(&found, name), "unknown", "{name}");
    }
    assert_eq!(label(&found, "destination_service"), "unknown");
    assert_eq!(label(&found, "destination_workload_namespace"), "shop", "the pod is named");
}

#[test]
fn a_host_is_a_service_only_under_the_names_of_one() {
    let host = |authority: &str, from: &str| {
        let mut asked = exchange(Side::Server);
        asked.joined.exchange.authority = Some(authority.into());
        asked.peer_pod = Some(from.into());
        let found = lines(&counted(&asked), "istio_requests_total");
        ["destination_service", "destination_service_name", "destination_service_namespace"]
            .map(|name| label(&found, name))
            .join(" ")
    };
    let orders = "orders.shop.svc.cluster.local orders shop";
    assert_eq!(host("orders", "shop/a"), orders);
    assert_eq!(host("orders.shop:80", "web/a"), orders);
    assert_eq!(host("orders.shop.svc", "web/a"), orders);
    assert_eq!(host("orders.shop.svc.cluster.local", "web/a"), orders);
    assert_eq!(host("orders.shop.svc.corp:1", "web/a"), "orders.shop.svc.corp orders shop");
    assert_eq!(host("orders", "web/a"), "orders orders shop", "there it would be another one");
    assert_eq!(host("localhost:80", "shop/a"), "localhost localhost shop");
    assert_eq!(host("10.1.2.3:80", "shop/a"), "10.1.2.3 10.1.2.3 shop");
    assert_eq!(host("example.com", "shop/a"), "example.com example.com shop");
    assert_eq!(host("a b", "shop/a"), "_OTHER _OTHER shop");
}

#[test]
fn a_client_asked_the_service_whose_address_it_is() {
    let mut asked = exchange(Side::Client);
    (asked.peer_pod, asked.peer_identity) = (None, None);
    asked.peer_service = Some("web/stock".into());
    let found = lines(&counted(&asked), "istio_requests_total");
    assert_eq!(label(&found, "destination_service"), "stock.web.svc.cluster.local");
    assert_eq!(label(&found, "destination_workload"), "unknown");
}

#[test]
fn durations_are_in_envoys_buckets_of_milliseconds() {
    let registry = counted(&exchange(Side::Server));
    let mut quick = exchange(Side::Server);
    quick.joined.exchange.response.as_mut().unwrap().last_byte = Ktime(500_000);
    registry.record(&quick);
    quick.joined.exchange.response.as_mut().unwrap().last_byte = Ktime(500_001);
    registry.record(&quick);
    let found = lines(&registry, "istio_request_duration_milliseconds_bucket");
    let bounds: Vec<_> = found.iter().map(|line| line.split_once("le=\"").unwrap().1).collect();
    assert_eq!(bounds[..4], ["0.5\"} 1", "1.0\"} 2", "5.0\"} 3", "10.0\"} 3"]);
    assert_eq!((bounds.len(), bounds[18], bounds[19]), (20, "3600000.0\"} 3", "+Inf\"} 3"));
    let sum = lines(&registry, "istio_request_duration_milliseconds_sum");
    assert!(sum[0].ends_with("} 3.000001"), "{sum:?}");
    let bytes = lines(&registry, "istio_response_bytes");
    assert!(bytes.iter().any(|line| line.contains("le=\"5000.0\"} 3")), "{bytes:?}");
    assert!(bytes.iter().any(|line| line.contains("le=\"2500.0\"} 0")), "{bytes:?}");
}

#[test]
fn a_call_has_its_status_and_its_messages() {
    let mut call = exchange(Side::Server);
    let messages = |count| Some(Messages { count, bytes: 10 });
    call.joined.exchange.protocol = Protocol::Grpc;
    let grpc = Grpc { status: Some(5), request: messages(2), response: messages(3), ..Grpc::default() };
    call.joined.exchange.grpc = Some(Box::new(grpc));
    let registry = counted(&call);
    let found = lines(&registry, "istio_requests_total");
    assert_eq!(
        ["request_protocol", "response_code", "grpc_response_status"].map(|name| label(&found, name)),
        ["grpc", "200", "5"]
    );
    assert!(lines(&registry, "istio_request_messages_total")[0].ends_with("} 2"));
    assert!(lines(&registry, "istio_response_messages_total")[0].ends_with("} 3"));
    assert_eq!(
        lines(&counted(&exchange(Side::Server)), "istio_request_messages_total"),
        Vec::<String>::new()
    );
}

#[test]
fn a_connection_is_no_request() {
    let mut connection = exchange(Side::Server);
    connection.joined.exchange.protocol = Protocol::Tls;
    (connection.joined.exchange.complete, connection.joined.exchange.status) = (false, None);
    let registry = counted(&connection);
    assert_eq!(lines(&registry, "istio_requests_total"), Vec::<String>::new());
    let found = lines(&registry, "istio_tcp_connections_closed_total");
    assert_eq!(label(&found, "request_protocol"), "tcp");
    assert_eq!(label(&found, "connection_security_policy"), "unknown", "it may be mutual TLS");
    assert!(!found[0].contains("response_code"));
    for bytes in ["istio_tcp_sent_bytes_total", "istio_tcp_received_bytes_total"] {
        assert!(lines(&registry, bytes)[0].ends_with("} 9"), "{bytes}");
    }
}

#[test]
fn strangers_names_are_bounded_and_nothing_is_dropped() {
    let registry = Registry::new(ISTIO);
    for number in 0..1000_u32 {
        let mut attack = exchange(Side::Server);
        attack.joined.exchange.authority = Some(format!("host{number}.example"));
        attack.joined.exchange.status = Some((100 + number % 900) as u16);
        attack.peer_pod = Some(format!("web-{number}/a").into());
        registry.record(&attack);
    }
    let counts = registry.counts();
    assert!(counts.series <= 101, "{counts:?}");
    assert_eq!(counts.istio_overflow, 997);
    let of_line = |line: &String| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap();
    assert_eq!(lines(&registry, "istio_requests_total").iter().map(of_line).sum::<u64>(), 1000);
}

#[test]
fn idle_series_go_and_give_their_values_back() {
    let registry = counted(&exchange(Side::Server));
    registry.expire(Ktime(500_000_000));
    assert_eq!(registry.counts().series, 1);
    registry.expire(Ktime(2_000_000_000));
    assert_eq!((registry.counts().series, registry.counts().expired), (0, 1));
    assert_eq!(lines(&registry, "istio_requests_total"), Vec::<String>::new());
    assert_eq!(registry.pods().count(), 0);
}

/// Pods of one workload are no source of the same series twice.
#[test]
fn every_pod_reports_by_itself() {
    let registry = Registry::new(ISTIO);
    for (netns, pod) in [(7, "shop/orders-1"), (9, "shop/orders-2")] {
        let mut asked = exchange(Side::Server);
        (asked.joined.exchange.flow.netns, asked.pod) = (netns, Some(pod.into()));
        registry.record(&asked);
    }
    let mut found = lines(&registry, "istio_requests_total");
    found.dedup();
    assert_eq!(found.len(), 2);
    assert!(found[1].contains("k8s_pod_name=\"orders-2\""));
}
