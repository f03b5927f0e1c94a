//! Exchanges for tests and measurements of what is behind the wire: each takes one of these and says what is different.
use std::net::{IpAddr, Ipv4Addr};

use weft_abi::VANTAGE_VETH;

use crate::{
    Anomalies, App, AttributedExchange, Endpoint, Evidence, Exchange, FlowId, JoinedExchange, Ktime, Link,
    MessageSpan, Phases, Pod, Protocol, Side, TracedExchange, WorkloadUpdate,
};

/// 10.0.0.`last`.
pub fn v4(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, last).into()
}

/// A pod `shop/<name>` with the address 10.0.0.`netns`.
pub fn pod(netns: u8, name: &str) -> WorkloadUpdate {
    WorkloadUpdate::Pod(Pod {
        netns: netns.into(),
        netns_inode: 4000 + u64::from(netns),
        namespace: "shop".into(),
        name: name.into(),
        addresses: vec![v4(netns)],
        ..Pod::default()
    })
}

/// The link of an exchange of which nothing else is known.
pub fn link(exchange: &Exchange) -> Link {
    Link { trace_id: exchange.id().trace_id(), parent_span_id: None, evidence: Evidence::None, likely: None }
}

/// An exchange whose pod is not known.
pub fn attributed(joined: JoinedExchange) -> AttributedExchange {
    AttributedExchange {
        link: link(&joined.exchange),
        joined,
        phases: Phases::default(),
        pod: None,
        owner: None,
        identity: None,
        route: None,
        netns_inode: 0,
        peer_pod: None,
        peer_identity: None,
        peer_service: None,
        peer_network: None,
        clock_offset: 0,
    }
}

/// An exchange of which nothing else is known.
pub fn traced(joined: JoinedExchange) -> TracedExchange {
    TracedExchange { link: link(&joined.exchange), phases: Phases::default(), joined }
}

/// A complete `GET /<number>` of the pod in `netns` by 10.0.0.`peer`: 1000 ns and 20 bytes of response body.
pub fn joined(netns: u64, peer: u8, number: u32) -> JoinedExchange {
    let endpoint =
        |last: u8, port| Endpoint { address: Ipv4Addr::new(10, 0, 0, last).to_ipv6_mapped().octets(), port };
    let message =
        |at, body_bytes| MessageSpan { first_byte: Ktime(at), last_byte: Ktime(at), bytes: 50, body_bytes };
    let exchange = Exchange {
        flow: FlowId { netns, ifindex: 2, local: endpoint(netns as u8, 80), peer: endpoint(peer, 40_000) },
        vantage: VANTAGE_VETH,
        side: Side::Server,
        protocol: Protocol::Http1,
        method: "GET".into(),
        path: format!("/{number}"),
        authority: None,
        status: Some(200),
        stream_id: 0,
        socket_cookie: 0,
        request_seq: number,
        request_ack: 1,
        request: message(5000, 0),
        response: Some(message(6000, 20)),
        grpc: None,
        propagation: None,
        flow_control: None,
        reset: None,
        connection: None,
        complete: true,
        anomalies: Anomalies::default(),
    };
    JoinedExchange { exchange, app: App::default() }
}
