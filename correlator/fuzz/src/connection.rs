use weft_abi::{
    DIRECTION_EGRESS, DIRECTION_INGRESS, Header, KIND_SEGMENT, KIND_SOCK_IO, MAX_CAPTURE, Segment, SockIo,
    VANTAGE_SOCKETS, VANTAGE_VETH, tcp_flag,
};
use zerocopy::{FromZeros, IntoBytes};

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The end that connects.
    Client,
    /// The end that listens.
    Server,
}

impl End {
    /// The other one.
    pub fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// One TCP connection as a pod's vantage records it. Each step gives the record that the programs would write.
pub struct Connection {
    /// The pod is this end.
    pod: End,
    port: u16,
    now: u64,
    /// Next sequence numbers of client and server.
    next: [u32; 2],
    /// Payload bytes of all records made.
    pub recorded: u64,
}

impl Connection {
    /// Of which nothing was seen yet.
    pub fn new(pod: End, port: u16) -> Self {
        Self { pod, port, now: 1_000_000_000, next: [u32::MAX - 1000, 5_000_000], recorded: 0 }
    }

    /// The next sequence number of an end.
    pub fn next(&self, end: End) -> u32 {
        self.next[end as usize]
    }

    /// The next bytes of an end are these, and no record of them comes.
    pub fn lose(&mut self, end: End, len: usize) {
        self.advance(end, len);
    }

    /// So many ns pass; gives the time.
    pub fn pass(&mut self, time: u64) -> u64 {
        self.now += time;
        self.now
    }

    /// Time is at least this.
    pub fn wait_until(&mut self, time: u64) {
        self.now = self.now.max(time);
    }

    fn advance(&mut self, end: End, len: usize) {
        let next = &mut self.next[end as usize];
        *next = next.wrapping_add(len as u32);
    }

    /// SYN and its answer.
    pub fn handshake(&mut self) -> [Vec<u8>; 2] {
        [End::Client, End::Server].map(|end| self.mark(end, tcp_flag::SYN))
    }

    /// A segment of these flags alone: SYN, FIN or RST.
    pub fn mark(&mut self, end: End, flags: u8) -> Vec<u8> {
        let record = self.segment(end, self.next(end), flags, &[]);
        if flags & (tcp_flag::SYN | tcp_flag::FIN) != 0 {
            self.advance(end, 1);
        }
        record
    }

    /// The next bytes of an end, as the records of one segment.
    pub fn send(&mut self, end: End, payload: &[u8]) -> Vec<Vec<u8>> {
        let records = payload.chunks(MAX_CAPTURE).map(|part| {
            let record = self.segment(end, self.next(end), tcp_flag::PSH, part);
            self.advance(end, part.len());
            record
        });
        records.collect()
    }

    /// A segment with this sequence number, whatever was sent before.
    pub fn segment(&mut self, end: End, seq: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
        let from_pod = end == self.pod;
        let mut segment = Segment::new_zeroed();
        let direction = if from_pod { DIRECTION_INGRESS } else { DIRECTION_EGRESS };
        segment.header = self.header(KIND_SEGMENT, direction, VANTAGE_VETH);
        (segment.tuple.source_port, segment.tuple.destination_port) = self.ports(end);
        (segment.tuple.source, segment.tuple.destination) = (address(end), address(end.peer()));
        (segment.seq, segment.ack) = (seq, self.next(end.peer()));
        (segment.payload_len, segment.captured) = (payload.len() as u32, payload.len() as u32);
        segment.cookie = if from_pod { u64::from(self.port) } else { 0 };
        let opening = end == End::Client && flags & tcp_flag::SYN != 0;
        segment.tcp_flags = if opening { flags } else { flags | tcp_flag::ACK };
        self.recorded += payload.len() as u64;
        [segment.as_bytes(), payload].concat()
    }

    /// A call of the pod that moved so many bytes, up to all that were sent by now. `kind`: `weft_abi::io::*`.
    pub fn io(&mut self, kind: u8, len: u32) -> Vec<u8> {
        let end = if kind == weft_abi::io::SEND { self.pod } else { self.pod.peer() };
        let mut io = SockIo::new_zeroed();
        io.header = self.header(KIND_SOCK_IO, kind, VANTAGE_SOCKETS);
        (io.cookie, io.seq_end, io.len) = (u64::from(self.port), self.next(end), len);
        (io.pid, io.tid, io.goid) = (10, 11, 12);
        io.as_bytes().to_vec()
    }

    fn header(&mut self, kind: u8, detail: u8, vantage: u8) -> Header {
        self.now += 1000;
        let ifindex = if vantage == VANTAGE_VETH { 7 } else { 0 };
        Header { kind, detail, vantage, bank: 0, ifindex, time: self.now, netns: 4711 }
    }

    fn ports(&self, from: End) -> (u16, u16) {
        match from {
            End::Client => (self.port, 8080),
            End::Server => (8080, self.port),
        }
    }
}

fn address(end: End) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 244, 0, if end == End::Client { 2 } else { 1 }]
}
