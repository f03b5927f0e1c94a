//! A connection of a pod, segment by segment, and the pipeline that follows it.
use std::sync::Arc;

use weft_abi::{
    DIRECTION_EGRESS, DIRECTION_INGRESS, Header, KIND_SEGMENT, Segment, Tuple, VANTAGE_VETH, tcp_flag,
};
use weft_core::{Config, Correlator, Input, Side, Sink};
use zerocopy::IntoBytes as _;

/// Netns cookie of the pod.
pub const NETNS: u64 = 3;
/// Behind the last byte of the handshake, of the client and of the server.
const FIRST: [u32; 2] = [1001, 5001];

pub struct Talk<S> {
    pub correlator: Correlator,
    pub sink: S,
    side: Side,
    /// The next sequence number of the client and of the server.
    pub next: [u32; 2],
    /// Of the next segment, in ns.
    pub time: u64,
    record: Vec<u8>,
}

impl<S: Sink> Talk<S> {
    /// After the handshake.
    pub fn new(side: Side, config: Config, sink: S) -> Self {
        let correlator = Correlator::new(Arc::new(config));
        let mut talk = Self { correlator, sink, side, next: FIRST, time: 1, record: Vec::new() };
        talk.segment(0, 1000, tcp_flag::SYN, b"");
        talk.segment(1, 5000, tcp_flag::SYN | tcp_flag::ACK, b"");
        talk
    }

    /// The end with this number sends: 0 is the client.
    pub fn segment(&mut self, end: usize, seq: u32, flags: u8, payload: &[u8]) {
        let address = |last| [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, last];
        let mut tuple = Tuple {
            source: address(2),
            destination: address(1),
            source_port: 40_000,
            destination_port: 8080,
        };
        if end == 1 {
            (tuple.source, tuple.destination) = (tuple.destination, tuple.source);
            (tuple.source_port, tuple.destination_port) = (tuple.destination_port, tuple.source_port);
        }
        let sent_by_pod = (end == 0) == (self.side == Side::Client);
        let header = Header {
            kind: KIND_SEGMENT,
            detail: if sent_by_pod { DIRECTION_INGRESS } else { DIRECTION_EGRESS },
            vantage: VANTAGE_VETH,
            bank: 0,
            ifindex: 7,
            time: self.time,
            netns: NETNS,
        };
        let segment = Segment {
            header,
            tuple,
            seq,
            ack: self.next[1 - end],
            payload_len: payload.len() as u32,
            capture_offset: 0,
            captured: payload.len() as u32,
            cookie: 0,
            tcp_flags: flags,
            part: 0,
            window: 500,
            gso_segs: 1,
        };
        self.record.clear();
        self.record.extend_from_slice(segment.as_bytes());
        self.record.extend_from_slice(payload);
        self.correlator.handle(Input::Probe(&self.record), &mut self.sink);
        self.time += 1000;
    }

    /// The next bytes of an end.
    pub fn send(&mut self, end: usize, payload: &[u8]) {
        let seq = self.next[end];
        self.next[end] = seq.wrapping_add(payload.len() as u32);
        self.segment(end, seq, tcp_flag::ACK | tcp_flag::PSH, payload);
    }

    /// The end.
    pub fn finish(&mut self) {
        self.correlator.finish(&mut self.sink);
    }
}
