use proptest::prelude::*;

use super::*;
use crate::{
    Anomalies, App, Connection, Endpoint, ErrorCode, Evidence, FlowControl, Grpc, Ktime, MessageSpan,
    Messages, Phases, Propagation, Protocol, Side, SpanId, Tcp, Tls, TlsVersion, TraceId,
    testing::{attributed, joined},
};

/// Numbers that somebody drew, short ones and long ones; each is used once.
#[derive(Debug)]
struct Drawn(Vec<u64>);

impl Drawn {
    fn u64(&mut self) -> u64 {
        self.0.pop().unwrap_or(0)
    }

    fn of<T: Copy, const N: usize>(&mut self, all: [T; N]) -> T {
        all[usize::try_from(self.u64() % N as u64).unwrap()]
    }

    fn u32(&mut self) -> u32 {
        self.u64() as u32
    }

    fn maybe<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.of([true, false]).then(|| value(self))
    }

    fn text(&mut self) -> String {
        self.of(["", "/orders/17", "caf\u{e9} \"\u{7}\"", "shop/gateway"]).repeat(self.of([1, 300]))
    }

    fn endpoint(&mut self) -> Endpoint {
        let v6 = (u128::from(self.u64()) << 64 | u128::from(self.u64())).to_be_bytes();
        let v4 = std::net::Ipv4Addr::from(self.u32()).to_ipv6_mapped().octets();
        Endpoint { address: self.of([v4, v6]), port: self.u32() as u16 }
    }

    fn time(&mut self) -> Ktime {
        Ktime(self.u64())
    }

    fn message(&mut self) -> MessageSpan {
        MessageSpan {
            first_byte: self.time(),
            last_byte: self.time(),
            bytes: self.u64(),
            body_bytes: self.u64(),
        }
    }

    fn grpc(&mut self) -> Grpc {
        let messages = |drawn: &mut Self| Messages { count: drawn.u64(), bytes: drawn.u64() };
        Grpc {
            status: self.maybe(Self::u32),
            request: self.maybe(messages),
            response: self.maybe(messages),
            first_message: self.maybe(Self::time),
            timeout_ns: self.maybe(Self::u64),
            compressed: self.of([true, false]),
            cancelled: self.of([true, false]),
        }
    }

    fn connection(&mut self) -> Connection {
        let tls = |drawn: &mut Self| Tls {
            version: drawn.maybe(|drawn| TlsVersion(drawn.u32() as u16)),
            sni: drawn.maybe(Self::text),
            alpn: drawn.maybe(Self::text),
            alpn_offered: drawn.maybe(Self::text).into_iter().collect(),
        };
        let tcp = Tcp {
            connect_ns: self.maybe(Self::u64),
            rtt_us: self.maybe(Self::u32),
            retransmitted_segments: self.maybe(Self::u32),
        };
        Connection { tls: self.maybe(tls), tcp }
    }

    fn phases(&mut self) -> Phases {
        Phases {
            network: self.maybe(Self::u64),
            socket_wait: self.maybe(Self::u64),
            run_queue: self.maybe(Self::u64),
            gc: self.maybe(Self::u64),
            handler: self.maybe(Self::u64),
            downstream: self.maybe(Self::u64),
            unknown: self.maybe(Self::u64),
        }
    }

    /// What `whose` does not say.
    fn wire(&mut self, to: &mut crate::Exchange) {
        (to.flow.netns, to.flow.ifindex) = (self.u64(), self.u32());
        (to.flow.local, to.flow.peer) = (self.endpoint(), self.endpoint());
        to.side = self.of([Side::Server, Side::Client]);
        to.protocol =
            self.of([Protocol::Http1, Protocol::Http2, Protocol::Grpc, Protocol::Tls, Protocol::Tcp]);
        (to.method, to.path, to.authority) = (self.text(), self.text(), self.maybe(Self::text));
        (to.status, to.stream_id) = (self.maybe(|drawn| drawn.u32() as u16), self.u32());
        (to.vantage, to.socket_cookie) = (self.u32() as u8, self.u64());
        (to.request_seq, to.request_ack) = (self.u32(), self.u32());
        (to.request, to.response) = (self.message(), self.maybe(Self::message));
        to.grpc = self.maybe(Self::grpc).map(Box::new);
        to.propagation = self
            .maybe(|drawn| Propagation {
                trace: drawn.maybe(|drawn| TraceId(u128::from(drawn.u64()) << 60)),
                span: drawn.maybe(|drawn| SpanId(drawn.u64())),
                request_id: drawn.maybe(Self::u64),
            })
            .map(Box::new);
        to.flow_control = self
            .maybe(|drawn| FlowControl { request_blocked_ns: drawn.u64(), response_blocked_ns: drawn.u64() });
        to.reset = self.maybe(|drawn| ErrorCode(drawn.u32()));
        to.connection = self.maybe(Self::connection).map(Box::new);
        (to.complete, to.anomalies) = (self.of([true, false]), Anomalies::from_bits(self.u32()));
    }

    fn exchange(&mut self) -> AttributedExchange {
        let mut exchange = attributed(joined(1, 2, 3));
        self.wire(&mut exchange.joined.exchange);
        exchange.joined.app = App {
            read: self.maybe(Self::time),
            write_returned: self.maybe(Self::time),
            goid: self.maybe(Self::u64),
            tid: self.maybe(Self::u32),
            pid: self.maybe(Self::u32),
        };
        exchange.link.trace_id = TraceId(u128::from(self.u64()) << 64 | u128::from(self.u64()));
        exchange.link.parent_span_id = self.maybe(|drawn| SpanId(drawn.u64()));
        exchange.link.evidence = self.of(Evidence::ALL);
        exchange.phases = self.phases();
        exchange.owner = self.maybe(|_| Pod { name: "orders-1".into(), ..Pod::default() }).map(Arc::new);
        exchange.identity = self.maybe(|_| Arc::default());
        exchange.pod = match exchange.owner.as_deref() {
            Some(pod) => pod.label().map(Into::into),
            None => self.maybe(|drawn| drawn.text().into()),
        };
        exchange.route = self.maybe(|drawn| drawn.text().into());
        exchange.peer_service = self.maybe(|drawn| drawn.text().into());
        exchange.peer_pod = self.maybe(|drawn| drawn.text().into());
        exchange.peer_network = self.maybe(|drawn| drawn.text().into());
        (exchange.netns_inode, exchange.clock_offset) = (self.u64(), self.u64().cast_signed());
        exchange
    }
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let number = prop_oneof![any::<u64>(), 0_u64..300, Just(u64::MAX)];
    proptest::collection::vec(number, 200).prop_map(Drawn)
}

/// In one block.
fn packed(exchanges: &[AttributedExchange]) -> Vec<Packed> {
    let mut packer = Packer::default();
    let positions: Vec<_> = exchanges.iter().map(|exchange| packer.pack(exchange)).collect();
    let block = Arc::new(packer.finish());
    positions.into_iter().map(|position| Packed::new(Arc::clone(&block), position)).collect()
}

/// Alone in a block of these bytes.
fn first_in(bytes: &[u8]) -> Packed {
    let block = Block { bytes: bytes.into(), whose: [Whose::default()].into() };
    Packed::new(Arc::new(block), Position { start: 0, whose: 0 })
}

proptest! {
    #[test]
    fn nothing_is_lost(drawn in proptest::collection::vec(drawn(), 1..4)) {
        let exchanges: Vec<_> = drawn.into_iter().map(|mut drawn| drawn.exchange()).collect();
        for (packed, exchange) in packed(&exchanges).iter().zip(&exchanges) {
            prop_assert_eq!(format!("{:?}", packed.unpack().unwrap()), format!("{exchange:?}"));
        }
    }

    #[test]
    fn other_bytes_are_no_exchange_or_one(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = first_in(&bytes).unpack();
    }

    #[test]
    fn a_beginning_is_no_exchange(mut drawn in drawn(), part in 0_usize..100) {
        let mut packer = Packer::default();
        packer.pack(&drawn.exchange());
        let bytes = packer.finish().bytes;
        prop_assert!(first_in(&bytes[..bytes.len() * part / 100]).unpack().is_none());
    }
}

/// Of the usual kind: a request in the cluster, with all that its socket tells.
fn usual() -> AttributedExchange {
    let mut exchange = attributed(joined(5000, 2, 1_700_000_000));
    exchange.owner = Some(Arc::new(Pod { name: "orders-1".into(), ..Pod::default() }));
    exchange.joined.app = App {
        read: Some(Ktime(5200)),
        write_returned: Some(Ktime(7000)),
        goid: Some(70_000),
        tid: Some(4_000_000),
        pid: Some(4_000_000),
    };
    exchange.clock_offset = 1_700_000_000_000_000_000;
    exchange
}

#[test]
fn it_is_short() {
    let mut packer = Packer::default();
    packer.pack(&usual());
    let bytes = packer.size();
    assert!(bytes < 144 && size_of::<Packed>() == 16, "{bytes} bytes");
    let alone = packer.finish().size();
    assert!(alone < bytes + 80, "{alone} bytes with what is needed once");
}

#[test]
fn a_block_has_each_of_its_pods_once() {
    let pod = |name: &str| Arc::new(Pod { name: name.into(), ..Pod::default() });
    let pods = [Some(pod("orders-1")), None, Some(pod("orders-2"))];
    let exchanges: Vec<_> =
        (0..30).map(|number| AttributedExchange { owner: pods[number % 3].clone(), ..usual() }).collect();
    let mut packer = Packer::default();
    let positions: Vec<_> = exchanges.iter().map(|exchange| packer.pack(exchange)).collect();
    let block = packer.finish();
    assert_eq!(block.whose.len(), 3);
    for (position, exchange) in positions.iter().zip(&exchanges) {
        assert_eq!(block.owner(*position), exchange.owner.as_ref());
    }
    packer.pack(&exchanges[2]);
    assert_eq!(packer.finish().whose.len(), 1, "of the next block's alone");
}
