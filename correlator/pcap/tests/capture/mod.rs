//! Captures made by hand, and what becomes of them.
#![expect(dead_code, reason = "each test file uses its part")]
#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::sync::Arc;

use etherparse::{IpNumber, Ipv4Header, Ipv6Header, TcpHeader};
use serde_json::Value;
use weft_abi::{FlowKey, FlowWant};
use weft_core::{AttributedExchange, Config, Correlator, Input, Sink, Snapshot};
use weft_pcap::{ImportError, Importer, Options, Step, Summary};

pub const CLIENT: ([u8; 4], u16) = ([10, 0, 0, 1], 40_000);
pub const SERVER: ([u8; 4], u16) = ([10, 0, 0, 2], 8080);
pub const REQUEST: &[u8] = b"GET /orders/17 HTTP/1.1\r\nHost: orders\r\n\r\n";
pub const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
/// When the captures begin: some time in 2023.
pub const BEGIN: u64 = 1_700_000_000_123_456_000;
/// From one packet to the next.
pub const STEP: u64 = 1_001_000;

const CLIENT_ISN: u32 = u32::MAX - 10;
const SERVER_ISN: u32 = 7_000_000;

/// A TCP segment of the one connection.
#[derive(Clone, Copy, Debug)]
pub struct Tcp<'a> {
    pub from_client: bool,
    /// Offset in the sender's stream: 0 is its SYN.
    pub at: u32,
    /// Offset in the other stream; nothing without the flag.
    pub ack: Option<u32>,
    pub flags: &'a str,
    pub payload: &'a [u8],
}

impl Tcp<'_> {
    /// Header and payload.
    pub fn bytes(&self) -> Vec<u8> {
        let (source, destination) = if self.from_client { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
        let (isn, other) = if self.from_client { (CLIENT_ISN, SERVER_ISN) } else { (SERVER_ISN, CLIENT_ISN) };
        let mut header = TcpHeader::new(source.1, destination.1, isn.wrapping_add(self.at), 4096);
        header.syn = self.flags.contains('S');
        header.fin = self.flags.contains('F');
        header.rst = self.flags.contains('R');
        header.ack = self.ack.is_some();
        header.acknowledgment_number = self.ack.map_or(0, |ack| other.wrapping_add(ack));
        let mut bytes = header.to_bytes().to_vec();
        bytes.extend_from_slice(self.payload);
        bytes
    }

    /// In IPv4, with options in words.
    pub fn v4(&self, options: usize) -> Vec<u8> {
        let (source, destination) = if self.from_client { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
        let tcp = self.bytes();
        let mut header =
            Ipv4Header::new(tcp.len() as u16, 64, IpNumber::TCP, source.0, destination.0).unwrap();
        header.options = vec![1; options * 4].as_slice().try_into().unwrap();
        header.set_payload_len(tcp.len()).unwrap();
        [header.to_bytes().to_vec(), tcp].concat()
    }

    /// In IPv6, behind a hop-by-hop and a destination options header.
    pub fn v6(&self) -> Vec<u8> {
        let extensions = [60, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4, 0, 0, 0, 0];
        let tcp = self.bytes();
        let header = Ipv6Header {
            payload_length: (extensions.len() + tcp.len()) as u16,
            next_header: IpNumber::IPV6_HEADER_HOP_BY_HOP,
            hop_limit: 64,
            source: [if self.from_client { 0xfd } else { 0xfe }; 16],
            destination: [if self.from_client { 0xfe } else { 0xfd }; 16],
            ..Default::default()
        };
        [header.to_bytes().to_vec(), extensions.to_vec(), tcp].concat()
    }
}

/// One request and its response, from the SYN to both FINs.
pub fn talk() -> Vec<Tcp<'static>> {
    let (request, response) = (1 + REQUEST.len() as u32, 1 + RESPONSE.len() as u32);
    let tcp = |from_client, at, ack, flags, payload| Tcp { from_client, at, ack, flags, payload };
    vec![
        tcp(true, 0, None, "S", b""),
        tcp(false, 0, Some(1), "S", b""),
        tcp(true, 1, Some(1), "", b""),
        tcp(true, 1, Some(1), "", REQUEST),
        tcp(false, 1, Some(request), "", RESPONSE),
        tcp(true, request, Some(response), "F", b""),
        tcp(false, response, Some(request + 1), "F", b""),
    ]
}

/// The talk's packets in IPv4.
pub fn talk_v4() -> Vec<Vec<u8>> {
    talk().iter().map(|tcp| tcp.v4(0)).collect()
}

pub fn ethernet(packet: &[u8]) -> Vec<u8> {
    let ether_type = if packet[0] >> 4 == 6 { [0x86, 0xdd] } else { [8, 0] };
    [&[2; 12][..], &ether_type, packet].concat()
}

/// A pcap file; each packet has its time, its length on the wire and its bytes.
pub fn pcap(
    big: bool,
    nanoseconds: bool,
    link_type: u32,
    packets: impl IntoIterator<Item = (u64, usize, Vec<u8>)>,
) -> Vec<u8> {
    let word = |value: u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
    let half = |value: u16| if big { value.to_be_bytes() } else { value.to_le_bytes() };
    let magic = if nanoseconds { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
    let mut file = [&word(magic)[..], &half(2), &half(4), &[0; 8], &word(65_535), &word(link_type)].concat();
    for (time, wire_len, bytes) in packets {
        let fraction = time % 1_000_000_000 / if nanoseconds { 1 } else { 1000 };
        let header = [(time / 1_000_000_000) as u32, fraction as u32, bytes.len() as u32, wire_len as u32];
        header.iter().for_each(|value| file.extend(word(*value)));
        file.extend(bytes);
    }
    file
}

/// The packets a step apart, whole.
pub fn timed(packets: impl IntoIterator<Item = Vec<u8>>) -> Vec<(u64, usize, Vec<u8>)> {
    let times = (0..).map(|number| BEGIN + number * STEP);
    times.zip(packets).map(|(time, packet)| (time, packet.len(), packet)).collect()
}

/// What was made of a capture.
#[derive(Debug)]
pub struct Imported {
    pub exchanges: Vec<Value>,
    pub summary: Summary,
    pub snapshot: Snapshot,
    pub error: Option<ImportError>,
    /// Bytes that the file ended within something.
    pub left: usize,
}

impl Imported {
    /// The one exchange of the talk, and every byte of it.
    pub fn assert_talk(&self) {
        assert_eq!(self.error, None);
        assert_eq!(self.exchanges.len(), 1, "{self:?}");
        let exchange = &self.exchanges[0];
        assert_eq!((&exchange["path"], &exchange["status"]), (&"/orders/17".into(), &200.into()));
        assert_eq!((&exchange["side"], &exchange["complete"]), (&"server".into(), &true.into()));
        assert_eq!(exchange["anomalies"], Value::Array(vec![]));
        assert_eq!(exchange["request"]["first_byte"], BEGIN + 3 * STEP);
        assert_eq!(exchange["response"]["last_byte"], BEGIN + 4 * STEP);
        assert_eq!(exchange["response"]["body_bytes"], 5);
        self.assert_balance();
    }

    /// What was seen is what became of it.
    pub fn assert_balance(&self) {
        let total = &self.snapshot.loss.total;
        assert!(self.snapshot.loss.kernel_counters);
        assert_eq!((total.seen, total.unexplained), (self.summary.payload_bytes, 0), "{total:?}");
        assert_eq!(total.segments, self.summary.segments);
    }
}

#[derive(Default)]
struct Exchanges(Vec<Value>);

impl Sink for Exchanges {
    fn exchange(&mut self, exchange: &AttributedExchange) {
        self.0.push(serde_json::to_value(exchange).unwrap());
    }

    fn want(&mut self, _flow: FlowKey, _want: Option<FlowWant>) {}
}

pub fn import(file: &[u8]) -> Imported {
    import_with(file, Options::default())
}

pub fn import_with(file: &[u8], options: Options) -> Imported {
    let mut correlator = Correlator::new(Arc::new(Config::default()));
    let mut sink = Exchanges::default();
    let mut importer = Importer::new(options);
    let mut give = |input: Input<'_>| correlator.handle(input, &mut sink);
    let (error, left) = read(file, &mut importer, &mut give);
    importer.finish(&mut give);
    correlator.finish(&mut sink);
    let (summary, snapshot) = (importer.summary(), correlator.snapshot());
    Imported { exchanges: sink.0, summary, snapshot, error, left }
}

/// Gives it no more than it asks for.
fn read(
    file: &[u8],
    importer: &mut Importer,
    give: &mut impl FnMut(Input<'_>),
) -> (Option<ImportError>, usize) {
    let (mut at, mut have) = (0, 0);
    loop {
        let rest = &file[at..];
        match importer.advance(&rest[..have.min(rest.len())], give) {
            Ok(Step::Took(bytes)) => (at, have) = (at + bytes, 0),
            Ok(Step::Needs(bytes)) if bytes > rest.len() => return (None, rest.len()),
            Ok(Step::Needs(bytes)) => {
                assert!(bytes > have, "asks for {bytes} with {have} at hand");
                have = bytes;
            }
            Err(error) => return (Some(error), rest.len()),
        }
    }
}
