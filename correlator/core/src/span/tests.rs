use opentelemetry_semantic_conventions::attribute as published;

use super::*;
use crate::{
    Anomalies, Anomaly, ErrorCode, Evidence, FlowControl, Grpc, Phases, Workload,
    testing::{attributed, joined},
};

/// `GET /17` of a client: `change` makes it another.
fn span(change: impl FnOnce(&mut AttributedExchange)) -> Span {
    let mut exchange = attributed(joined(1, 2, 17));
    change(&mut exchange);
    Span::of(&exchange).unwrap()
}

fn client(change: impl FnOnce(&mut AttributedExchange)) -> Span {
    span(|exchange| {
        exchange.joined.exchange.side = Side::Client;
        change(exchange);
    })
}

fn call(side: Side, status: Option<u32>) -> Span {
    span(|exchange| {
        let exchange = &mut exchange.joined.exchange;
        exchange.side = side;
        exchange.protocol = Protocol::Grpc;
        exchange.path = "/shop.v1.Orders/Get".into();
        exchange.grpc = Some(Box::new(Grpc { status, ..Grpc::default() }));
    })
}

fn broken(anomalies: &[Anomaly]) -> Span {
    span(|exchange| {
        let exchange = &mut exchange.joined.exchange;
        (exchange.complete, exchange.response, exchange.status) = (false, None, None);
        anomalies.iter().for_each(|anomaly| exchange.anomalies.insert(*anomaly));
    })
}

fn get<'a>(span: &'a Span, key: &str) -> Option<&'a Value> {
    span.attributes.iter().find(|attribute| attribute.key == key).map(|attribute| &attribute.value)
}

fn text<'a>(span: &'a Span, key: &str) -> &'a str {
    match get(span, key) {
        Some(Value::Text(text)) => text,
        other => panic!("{key}: {other:?}"),
    }
}

fn error(span: &Span) -> Option<String> {
    let shown = span.failure.map(|failure| failure.to_string());
    let said = get(span, key::ERROR_TYPE).map(|_| text(span, key::ERROR_TYPE).to_owned());
    assert_eq!(shown, said, "error.type says why the status is an error");
    shown
}

/// With everything that may be said.
fn talkative() -> [Span; 3] {
    let everything = |exchange: &mut AttributedExchange| {
        exchange.route = Some("/{id}".into());
        exchange.peer_pod = Some("shop/gateway".into());
        exchange.peer_network = Some("office".into());
        exchange.link.evidence = Evidence::Probe;
        exchange.link.parent_span_id = Some(SpanId(7));
        let wire = &mut exchange.joined.exchange;
        (wire.method, wire.path, wire.status) = ("BREW".into(), "/17?milk=yes".into(), Some(503));
        wire.authority = Some("orders.shop:8080".into());
        wire.flow_control = Some(FlowControl { request_blocked_ns: 3, response_blocked_ns: 4 });
        wire.anomalies.insert(Anomaly::Retransmit);
        let ns = Some(1);
        exchange.phases = Phases {
            network: ns,
            socket_wait: ns,
            run_queue: ns,
            gc: ns,
            handler: ns,
            downstream: ns,
            unknown: ns,
        };
    };
    let mut nonsense = call(Side::Client, Some(14));
    nonsense.attributes.extend(
        span(|exchange| {
            exchange.joined.exchange.protocol = Protocol::Grpc;
            exchange.joined.exchange.complete = false;
        })
        .attributes,
    );
    [span(everything), client(everything), nonsense]
}

#[test]
fn every_key_is_published_or_ours() {
    let published = [
        published::CLIENT_ADDRESS,
        published::CLIENT_PORT,
        published::ERROR_TYPE,
        published::HTTP_REQUEST_BODY_SIZE,
        published::HTTP_REQUEST_METHOD,
        published::HTTP_REQUEST_METHOD_ORIGINAL,
        published::HTTP_RESPONSE_BODY_SIZE,
        published::HTTP_RESPONSE_STATUS_CODE,
        published::HTTP_ROUTE,
        published::K8S_CRONJOB_NAME,
        published::K8S_DAEMONSET_NAME,
        published::K8S_DEPLOYMENT_NAME,
        published::K8S_JOB_NAME,
        published::K8S_NAMESPACE_NAME,
        published::K8S_NODE_NAME,
        published::K8S_POD_NAME,
        published::K8S_POD_UID,
        published::K8S_REPLICASET_NAME,
        published::K8S_STATEFULSET_NAME,
        published::NETWORK_PEER_ADDRESS,
        published::NETWORK_PEER_PORT,
        published::NETWORK_PROTOCOL_VERSION,
        published::RPC_METHOD,
        published::RPC_METHOD_ORIGINAL,
        published::RPC_RESPONSE_STATUS_CODE,
        published::RPC_SYSTEM_NAME,
        published::SERVER_ADDRESS,
        published::SERVER_PORT,
        published::SERVICE_NAME,
        published::SERVICE_NAMESPACE,
        published::URL_FULL,
        published::URL_PATH,
        published::URL_QUERY,
        published::URL_SCHEME,
        published::URL_TEMPLATE,
    ];
    let pod = Pod { namespace: "shop".into(), name: "a".into(), uid: "u".into(), ..Pod::default() };
    let spans = talkative();
    let said = spans.iter().flat_map(|span| {
        span.attributes.iter().chain(span.events.iter().flat_map(|event| &event.attributes))
    });
    let kinds = ["CronJob", "DaemonSet", "Deployment", "Job", "ReplicaSet", "StatefulSet", "Rollout"];
    let resources: Vec<_> = kinds
        .into_iter()
        .flat_map(|kind| {
            let workload = Some(Workload { kind: kind.into(), name: "orders".into() });
            let identity = Identity { workload, ..Identity::default() };
            resource(1, Some(&pod), Some(&identity), Some("node-1"))
        })
        .collect();
    let mut keys: Vec<_> = said.chain(&resources).map(|attribute| &*attribute.key).collect();
    keys.sort_unstable();
    keys.dedup();
    assert!(keys.iter().all(|key| key.starts_with("weft.") || published.contains(key)), "{keys:?}");
    assert!(published.iter().all(|key| keys.contains(key)), "nobody says all of {published:?}: {keys:?}");
}

#[test]
fn a_key_is_there_once() {
    for span in talkative().iter().take(2) {
        let mut keys: Vec<_> = span.attributes.iter().map(|attribute| &*attribute.key).collect();
        keys.sort_unstable();
        let all = keys.len();
        keys.dedup();
        assert_eq!(keys.len(), all);
    }
}

#[test]
fn a_span_is_one_end_of_its_exchange() {
    let exchange = attributed(joined(1, 2, 17));
    let (server, client) = (span(|_| ()), client(|_| ()));
    let id = exchange.joined.exchange.id();
    assert_eq!((server.kind, server.span_id), (Side::Server, id.server_span_id()));
    assert_eq!((client.kind, client.span_id), (Side::Client, id.client_span_id()));
    assert_eq!((server.trace_id, server.parent_span_id), (id.trace_id(), None));
    assert_eq!((server.start, server.end), (5000, 6000));
    let later = span(|exchange| exchange.clock_offset = 1_000_000);
    assert_eq!((later.start, later.end), (1_005_000, 1_006_000));
}

#[test]
fn a_name_has_few_values() {
    let named = |method: &str, route: Option<&str>| {
        span(|exchange| {
            exchange.joined.exchange.method = method.into();
            exchange.route = route.map(Into::into);
        })
        .name
    };
    assert_eq!(named("GET", Some("/orders/{id}")), "GET /orders/{id}");
    assert_eq!(named("GET", None), "GET");
    assert_eq!(named("GET", Some(OTHER_ROUTE)), "GET");
    assert_eq!(named("get", Some("/")), "HTTP /");
    assert_eq!(call(Side::Server, Some(0)).name, "shop.v1.Orders/Get");
    let nonsense = span(|exchange| exchange.joined.exchange.protocol = Protocol::Grpc);
    assert_eq!((&*nonsense.name, text(&nonsense, key::RPC_METHOD)), ("grpc", "_OTHER"));
    assert_eq!(text(&nonsense, key::RPC_METHOD_ORIGINAL), "/17");
}

#[test]
fn a_status_is_an_error_to_whom_it_concerns() {
    let status = |status, side| {
        span(|exchange| {
            (exchange.joined.exchange.status, exchange.joined.exchange.side) = (Some(status), side);
        })
    };
    assert_eq!(error(&status(404, Side::Server)), None);
    assert_eq!(error(&status(404, Side::Client)).as_deref(), Some("404"));
    assert_eq!(error(&status(503, Side::Server)).as_deref(), Some("503"));
    assert_eq!(error(&call(Side::Server, Some(5))), None);
    assert_eq!(error(&call(Side::Client, Some(5))).as_deref(), Some("NOT_FOUND"));
    assert_eq!(error(&call(Side::Server, Some(13))).as_deref(), Some("INTERNAL"));
    assert_eq!(error(&call(Side::Client, Some(99))).as_deref(), Some("99"));
}

#[test]
fn what_was_broken_off_is_an_error_and_what_was_not_seen_is_none() {
    assert_eq!(
        error(&broken(&[Anomaly::RequestWithoutResponse])).as_deref(),
        Some("request_without_response")
    );
    assert_eq!(error(&broken(&[Anomaly::Truncated, Anomaly::GoAway])).as_deref(), Some("goaway"));
    assert_eq!(error(&broken(&[Anomaly::Gap, Anomaly::Truncated])), None);
    assert_eq!(error(&broken(&[Anomaly::Evicted])), None);
    let reset = |cancelled, side| {
        span(|exchange| {
            let wire = &mut exchange.joined.exchange;
            (wire.complete, wire.side, wire.protocol) = (false, side, Protocol::Grpc);
            (wire.status, wire.reset) = (None, Some(ErrorCode::CANCEL));
            wire.grpc = Some(Box::new(Grpc { cancelled, ..Grpc::default() }));
        })
    };
    assert_eq!(error(&reset(false, Side::Server)).as_deref(), Some("CANCEL"));
    assert_eq!(error(&reset(true, Side::Client)).as_deref(), Some("CANCEL"));
    assert_eq!(error(&reset(true, Side::Server)), None);
    assert_eq!(get(&broken(&[]), key::WEFT_COMPLETE), Some(&Value::Flag(false)));
}

#[test]
fn both_ends_agree_on_what_failed() {
    for status in 100..600 {
        let failed = |side| {
            let mut exchange = joined(1, 2, 3).exchange;
            (exchange.status, exchange.side) = (Some(status), side);
            exchange.has_failed()
        };
        assert_eq!((failed(Side::Server), failed(Side::Client)), (status >= 500, status >= 500), "{status}");
    }
}

#[test]
fn a_query_is_no_part_of_the_path() {
    let asked = |path: &str| client(|exchange| exchange.joined.exchange.path = path.into());
    let whole = asked("/a?b=c?d");
    assert_eq!((text(&whole, key::URL_PATH), text(&whole, key::URL_QUERY)), ("/a", "b=c?d"));
    assert_eq!(text(&whole, key::URL_FULL), "http://10.0.0.2:40000/a?b=c?d");
    assert_eq!(get(&asked("/a"), key::URL_QUERY), None);
}

#[test]
fn a_server_is_whom_the_client_asked_for() {
    let asked = |authority: Option<&str>| {
        let span = span(|exchange| exchange.joined.exchange.authority = authority.map(str::to_owned));
        (text(&span, key::SERVER_ADDRESS).to_owned(), get(&span, key::SERVER_PORT).cloned())
    };
    assert_eq!(asked(Some("orders:8080")), ("orders".into(), Some(Value::Number(8080))));
    assert_eq!(asked(Some("orders")), ("orders".into(), None));
    assert_eq!(asked(None), ("10.0.0.1".into(), Some(Value::Number(80))));
}

#[test]
fn long_values_are_cut_and_counted() {
    let long = client(|exchange| {
        exchange.joined.exchange.path = format!("/{}", "é".repeat(32 << 10));
        exchange.joined.exchange.authority = Some("a".repeat(64 << 10));
    });
    for attribute in &long.attributes {
        if let Value::Text(text) = &attribute.value {
            assert!(text.len() <= MAX_VALUE + CUT.len_utf8(), "{}", attribute.key);
        }
    }
    assert!(text(&long, key::URL_PATH).ends_with(CUT));
    assert_eq!((long.cut, text(&long, key::SERVER_ADDRESS)), (2, "_OTHER"));
}

#[test]
fn phases_have_their_names_in_the_api() {
    let names = Phases::default().by_name().map(|(name, _)| format!("weft.phase.{name}"));
    assert_eq!(names.as_slice(), PHASES);
    let one = span(|exchange| exchange.phases.handler = Some(9));
    assert_eq!(get(&one, "weft.phase.handler"), Some(&Value::Number(9)));
    assert_eq!(get(&one, "weft.phase.gc"), None);
}

#[test]
fn a_parent_says_how_it_is_known() {
    let linked = |parent_span_id, evidence| {
        span(|exchange| (exchange.link.parent_span_id, exchange.link.evidence) = (parent_span_id, evidence))
    };
    assert_eq!(text(&linked(Some(SpanId(7)), Evidence::Header), key::WEFT_EVIDENCE), "header");
    assert_eq!(get(&linked(Some(SpanId(7)), Evidence::None), key::WEFT_EVIDENCE), None);
    assert_eq!(get(&linked(None, Evidence::None), key::WEFT_EVIDENCE), None);
}

#[test]
fn stalls_and_copies_are_events() {
    let [server, ..] = talkative();
    let events: Vec<_> = server.events.iter().map(|event| (event.name, event.time)).collect();
    assert_eq!(events, [("weft.flow_control", 5000), ("weft.flow_control", 6000), ("weft.retransmit", 6000)]);
    assert!(span(|_| ()).events.is_empty());
}

#[test]
fn a_connection_is_no_span() {
    let mut exchange = attributed(joined(1, 2, 3));
    exchange.joined.exchange.protocol = Protocol::Tls;
    exchange.joined.exchange.anomalies = Anomalies::default();
    assert!(Span::of(&exchange).is_none());
}

#[test]
fn a_cluster_knows_better_what_a_service_is_called() {
    let pod = Pod { namespace: "shop".into(), name: "orders-5d8f".into(), ..Pod::default() };
    let identity = Identity {
        uid: "u".into(),
        node: "node-2".into(),
        service_name: "orders".into(),
        labels: [("app.kubernetes.io/version".to_owned(), "7".to_owned())].into(),
        ..Identity::default()
    };
    let said = resource(1, Some(&pod), Some(&identity), Some("node-1"));
    let get = |key: &str| {
        said.iter().find(|attribute| attribute.key == key).map(|attribute| attribute.value.clone())
    };
    for (key, value) in [
        (key::SERVICE_NAME, "orders"),
        (key::K8S_POD_NAME, "orders-5d8f"),
        (key::K8S_POD_UID, "u"),
        (key::K8S_NODE_NAME, "node-2"),
        (&format!("{}.app.kubernetes.io/version", published::K8S_POD_LABEL), "7"),
    ] {
        assert_eq!(get(key), Some(Value::Text(value.into())), "{key}");
    }
}

#[test]
fn a_netns_without_a_name_is_a_service_of_its_own() {
    let name = |pod: Option<&Pod>| resource(77, pod, None, None).swap_remove(0);
    let named = Pod { namespace: "shop".into(), name: "orders-1".into(), ..Pod::default() };
    assert_eq!(name(Some(&named)).value, Value::Text("orders-1".into()));
    assert_eq!(name(None).value, Value::Text("netns-77".into()));
    assert_eq!(name(Some(&Pod::default())).value, Value::Text("netns-77".into()));
}
