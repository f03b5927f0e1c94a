//! The JSON of an exchange is what people's scripts read: compared with files, byte for byte.
#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::{net::IpAddr, sync::Arc};

use weft_abi::{VANTAGE_LO, VANTAGE_VETH};
use weft_core::{
    Anomalies, Anomaly, App, AttributedExchange, Connection, Endpoint, ErrorCode, Evidence, Exchange,
    FlowControl, FlowId, Grpc, Identity, JoinedExchange, Ktime, Link, MessageSpan, Messages, Phases,
    Protocol, Side, SpanId, Tcp, Tls, TlsVersion, Workload,
};

fn endpoint(address: &str, port: u16) -> Endpoint {
    let address = match address.parse().unwrap() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    Endpoint { address: address.octets(), port }
}

fn link(exchange: &Exchange, parent_span_id: Option<SpanId>) -> Link {
    Link { trace_id: exchange.id().trace_id(), parent_span_id, evidence: Evidence::None, likely: None }
}

fn message(first: u64, last: u64, bytes: u64, body_bytes: u64) -> MessageSpan {
    MessageSpan { first_byte: Ktime(first), last_byte: Ktime(last), bytes, body_bytes }
}

/// A server's exchange with everything that can be known.
fn full() -> AttributedExchange {
    let mut anomalies = Anomalies::default();
    anomalies.insert(Anomaly::EarlyResponse);
    anomalies.insert(Anomaly::Retransmit);
    let exchange = Exchange {
        flow: FlowId {
            netns: 77,
            ifindex: 2,
            local: endpoint("10.244.0.10", 8080),
            peer: endpoint("10.244.0.20", 40112),
        },
        vantage: VANTAGE_VETH,
        side: Side::Server,
        protocol: Protocol::Http1,
        method: "POST".into(),
        path: "/orders/17".into(),
        authority: Some("orders:8080".into()),
        status: Some(201),
        stream_id: 0,
        socket_cookie: 4711,
        request_seq: 1,
        request_ack: 2,
        request: message(1_000_000, 1_030_000, 340, 200),
        response: Some(message(2_000_000, 2_004_000, 120, 20)),
        grpc: None,
        propagation: None,
        flow_control: None,
        reset: None,
        connection: None,
        complete: true,
        anomalies,
    };
    let app = App {
        read: Some(Ktime(1_090_000)),
        write_returned: Some(Ktime(2_050_000)),
        goid: Some(17),
        tid: Some(4242),
        pid: Some(4240),
    };
    AttributedExchange {
        link: link(&exchange, Some(exchange.id().client_span_id())),
        phases: Phases {
            network: Some(34_000),
            socket_wait: Some(60_000),
            handler: Some(900_000),
            downstream: Some(10_000),
            ..Phases::default()
        },
        joined: JoinedExchange { exchange, app },
        pod: Some("shop/orders-1".into()),
        netns_inode: 4_026_532_200,
        identity: Some(Arc::new(Identity {
            workload: Some(Workload { kind: "Deployment".into(), name: "orders".into() }),
            ..Identity::default()
        })),
        peer_pod: Some("shop/gateway-1".into()),
        peer_identity: None,
        peer_service: None,
        peer_network: None,
        owner: None,
        route: None,
        clock_offset: 1_700_000_000_000_000_000,
    }
}

/// A client's exchange of which the wire alone tells, and that not to its end.
fn minimal() -> AttributedExchange {
    let mut anomalies = Anomalies::default();
    anomalies.insert(Anomaly::RequestWithoutResponse);
    let exchange = Exchange {
        flow: FlowId {
            netns: 77,
            ifindex: 1,
            local: endpoint("fd00::1", 40112),
            peer: endpoint("fd00::2", 80),
        },
        vantage: VANTAGE_LO,
        side: Side::Client,
        protocol: Protocol::Http1,
        method: "GET".into(),
        path: "/".into(),
        authority: None,
        status: None,
        stream_id: 0,
        socket_cookie: 0,
        request_seq: 1,
        request_ack: 2,
        request: message(5, 6, 18, 0),
        response: None,
        grpc: None,
        propagation: None,
        flow_control: None,
        reset: None,
        connection: None,
        complete: false,
        anomalies,
    };
    AttributedExchange {
        link: link(&exchange, None),
        phases: Phases::default(),
        joined: JoinedExchange { exchange, app: App::default() },
        pod: None,
        netns_inode: 0,
        identity: None,
        peer_pod: None,
        peer_identity: None,
        peer_service: None,
        peer_network: None,
        owner: None,
        route: None,
        clock_offset: 0,
    }
}

fn json(exchange: &AttributedExchange) -> String {
    serde_json::to_string(exchange).unwrap()
}

#[test]
fn full_exchange() {
    assert_eq!(json(&full()), include_str!("golden/full_exchange.json").trim_end());
}

#[test]
fn a_connection_says_what_its_hellos_and_its_socket_say() {
    let mut row = minimal();
    let exchange = &mut row.joined.exchange;
    (exchange.protocol, exchange.method, exchange.path) = (Protocol::Tls, String::new(), String::new());
    let tls = Tls {
        version: Some(TlsVersion(0x0303)),
        sni: Some("orders".into()),
        alpn: Some("h2".into()),
        alpn_offered: vec!["h2".into(), "http/1.1".into()],
    };
    let tcp = Tcp { connect_ns: Some(5), rtt_us: None, retransmitted_segments: Some(0) };
    exchange.connection = Some(Box::new(Connection { tls: Some(tls), tcp }));
    let text = json(&row);
    let hellos = r#""tls":{"version":"1.2","sni":"orders","alpn":"h2","alpn_offered":["h2","http/1.1"]}"#;
    assert!(
        text.contains(&format!(r#"{hellos},"tcp":{{"connect_ns":5,"retransmitted_segments":0}},"#)),
        "{text}"
    );
    assert!(text.contains(r#""protocol":"tls""#) && !text.contains("method") && !text.contains("phases_ns"));

    let nothing = Connection {
        tls: Some(Tls { version: Some(TlsVersion(0x7f1c)), ..Tls::default() }),
        tcp: Tcp::default(),
    };
    row.joined.exchange.connection = Some(Box::new(nothing));
    assert!(json(&row).contains(r#""tls":{"version":"0x7f1c"},"local""#), "{}", json(&row));
}

#[test]
fn minimal_exchange() {
    assert_eq!(json(&minimal()), include_str!("golden/minimal_exchange.json").trim_end());
}

#[test]
fn a_grpc_call_says_what_its_stream_says() {
    let mut call = full();
    let exchange = &mut call.joined.exchange;
    exchange.protocol = Protocol::Grpc;
    exchange.grpc = Some(Box::new(Grpc {
        status: Some(4),
        request: Some(Messages { count: 1, bytes: 7 }),
        response: None,
        first_message: None,
        timeout_ns: Some(250),
        compressed: false,
        cancelled: true,
    }));
    exchange.flow_control = Some(FlowControl { request_blocked_ns: 5, response_blocked_ns: 0 });
    exchange.reset = Some(ErrorCode::CANCEL);
    let text = json(&call);
    let expected = concat!(
        r#""status":201,"grpc_status":4,"grpc":{"request_messages":1,"request_message_bytes":7,"timeout_ns":250,"#,
        r#""cancelled":true},"flow_control":{"request_blocked_ns":5,"response_blocked_ns":0},"reset":"CANCEL","#,
    );
    assert!(text.contains(expected), "{text}");
    call.joined.exchange.reset = Some(ErrorCode(0x1f));
    assert!(json(&call).contains(r#""reset":"0x1f""#));
}

#[test]
fn the_same_exchange_seen_by_its_client_names_its_own_span() {
    let mut client = full();
    client.joined.exchange.side = Side::Client;
    client.link.parent_span_id = Some(SpanId(7));
    client.link.evidence = Evidence::Context;
    let (server, client) = (json(&full()), json(&client));
    let value = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap();
    let (server, client) = (value(&server), value(&client));
    assert_eq!(server["exchange_id"], client["exchange_id"]);
    assert_eq!(server["parent_span_id"], client["span_id"]);
    assert_eq!(
        (&client["parent_span_id"], &client["evidence"]),
        (&"0000000000000007".into(), &"context".into())
    );
}

#[test]
fn bytes_of_strangers_are_escaped() {
    let mut exchange = minimal();
    exchange.joined.exchange.path = String::from_utf8_lossy(b"/\"\\\n\x01\xff<script>").into_owned();
    exchange.peer_network = Some("office \"north\"".into());
    let text = json(&exchange);
    assert!(text.contains(r#""path":"/\"\\\n\u0001"#) && text.contains("\u{fffd}<script>\""), "{text}");
    assert!(
        text.contains(r#""peer":"[fd00::2]:80","peer_network":"office \"north\"","stream_id":0"#),
        "{text}"
    );
    assert!(!text.contains('\n'));
}

#[test]
fn times_beyond_the_epoch_do_not_wrap() {
    let mut exchange = minimal();
    exchange.clock_offset = i64::MIN;
    assert!(json(&exchange).contains(r#""request":{"first_byte":0,"last_byte":0,"#));
    exchange.joined.exchange.request.last_byte = Ktime(u64::MAX);
    exchange.clock_offset = 9;
    assert!(json(&exchange).contains(r#""last_byte":18446744073709551615"#));
}
