//! A connection between two pods, as the records of both pods' veths.
use std::net::Ipv4Addr;

use weft_abi::{
    DIRECTION_EGRESS, DIRECTION_INGRESS, Header, KIND_SEGMENT, Segment, Tuple, VANTAGE_VETH, tcp_flag,
};
use weft_core::{DirectionCount, KernelCounters, Pod, VantageCounters, WorkloadUpdate};
use zerocopy::IntoBytes;

pub const CLIENT: u64 = 101;
pub const SERVER: u64 = 102;
/// How long a segment takes from one veth to the other, in ns.
pub const WIRE: u64 = 5_000;

const CLIENT_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 10);
const SERVER_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 20);
const IFINDEX: u32 = 2;

pub fn client_pod() -> WorkloadUpdate {
    pod(CLIENT, "gateway", CLIENT_ADDRESS)
}

pub fn server_pod() -> WorkloadUpdate {
    pod(SERVER, "orders", SERVER_ADDRESS)
}

fn pod(netns: u64, name: &str, address: Ipv4Addr) -> WorkloadUpdate {
    WorkloadUpdate::Pod(Pod {
        netns,
        netns_inode: 4_026_532_000 + netns,
        namespace: "shop".into(),
        name: name.into(),
        addresses: vec![address.into()],
        ..Pod::default()
    })
}

/// One end of the connection.
struct End {
    netns: u64,
    address: Ipv4Addr,
    port: u16,
    next: u32,
}

/// A scripted connection: each step appends records, as the two veths would in the order of time.
pub struct Connection {
    client: End,
    server: End,
    /// The client's clock, in ns.
    pub now: u64,
    pub records: Vec<Vec<u8>>,
}

impl Connection {
    /// Opens a connection from `port` at the time `now`.
    pub fn open(port: u16, now: u64) -> Self {
        let client = End { netns: CLIENT, address: CLIENT_ADDRESS, port, next: u32::from(port) * 1000 };
        let server = End { netns: SERVER, address: SERVER_ADDRESS, port: 8080, next: 77_000 };
        let mut connection = Self { client, server, now, records: Vec::new() };
        connection.send(true, tcp_flag::SYN, b"");
        connection.send(false, tcp_flag::SYN | tcp_flag::ACK, b"");
        connection
    }

    /// The client asks, the server answers `latency` ns later (on its own veth).
    pub fn exchange(&mut self, request: &str, response: &str, latency: u64) {
        self.send(true, tcp_flag::ACK | tcp_flag::PSH, request.as_bytes());
        self.now += latency;
        self.send(false, tcp_flag::ACK | tcp_flag::PSH, response.as_bytes());
    }

    /// The client asks, and nobody answers.
    pub fn ask(&mut self, request: &str) {
        self.send(true, tcp_flag::ACK | tcp_flag::PSH, request.as_bytes());
    }

    /// Both ends close.
    pub fn close(mut self) -> Vec<Vec<u8>> {
        self.send(true, tcp_flag::ACK | tcp_flag::FIN, b"");
        self.send(false, tcp_flag::ACK | tcp_flag::FIN, b"");
        self.records
    }

    fn send(&mut self, by_client: bool, flags: u8, payload: &[u8]) {
        let (from, to) = if by_client { (&self.client, &self.server) } else { (&self.server, &self.client) };
        let ack = if flags & tcp_flag::ACK == 0 { 0 } else { to.next };
        let record =
            |netns, direction, time| record(from, to, (netns, direction, time), (ack, flags), payload);
        let sent = record(from.netns, DIRECTION_INGRESS, self.now);
        let arrived = record(to.netns, DIRECTION_EGRESS, self.now + WIRE);
        self.records.extend([sent, arrived]);
        self.now += WIRE;
        let one = u32::from(flags & (tcp_flag::SYN | tcp_flag::FIN) != 0);
        let sender = if by_client { &mut self.client } else { &mut self.server };
        sender.next = sender.next.wrapping_add(payload.len() as u32 + one);
    }
}

fn record(
    from: &End,
    to: &End,
    (netns, direction, time): (u64, u8, u64),
    (ack, tcp_flags): (u32, u8),
    payload: &[u8],
) -> Vec<u8> {
    let tuple = Tuple {
        source: from.address.to_ipv6_mapped().octets(),
        destination: to.address.to_ipv6_mapped().octets(),
        source_port: from.port,
        destination_port: to.port,
    };
    let segment = Segment {
        header: Header {
            kind: KIND_SEGMENT,
            detail: direction,
            vantage: VANTAGE_VETH,
            bank: 0,
            ifindex: IFINDEX,
            time,
            netns,
        },
        tuple,
        seq: from.next,
        ack,
        payload_len: payload.len() as u32,
        capture_offset: 0,
        captured: payload.len() as u32,
        cookie: 0,
        tcp_flags,
        part: 0,
        window: 1000,
        gso_segs: 1,
    };
    [segment.as_bytes(), payload].concat()
}

/// What the kernel would have counted of these records.
pub fn counters(records: &[Vec<u8>]) -> KernelCounters {
    let vantage = |netns| VantageCounters {
        netns,
        ifindex: IFINDEX,
        directions: [DIRECTION_INGRESS, DIRECTION_EGRESS].map(|direction| counted(records, netns, direction)),
    };
    KernelCounters { bank: 0, vantages: vec![vantage(CLIENT), vantage(SERVER)], losses: Default::default() }
}

fn counted(records: &[Vec<u8>], netns: u64, direction: u8) -> DirectionCount {
    let mut count = DirectionCount::default();
    for record in records {
        let header: Header = zerocopy::FromBytes::read_from_prefix(record).unwrap().0;
        if (header.netns, header.detail) == (netns, direction) {
            count.segments += 1;
            count.bytes_seen += (record.len() - size_of::<Segment>()) as u64;
        }
    }
    count
}
