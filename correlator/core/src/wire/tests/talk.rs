use weft_abi::{
    DIRECTION_EGRESS, DIRECTION_INGRESS, Header, KIND_RUN, KIND_SEGMENT, KIND_SOCK_EVENT, KIND_SOCK_IO, Run,
    Segment, SockEvent, SockIo, Tuple, VANTAGE_SOCKETS, VANTAGE_VETH, io, tcp_flag,
};
use zerocopy::{FromBytes as _, IntoBytes as _};

use crate::Side;

pub(crate) const CLIENT: usize = 0;
pub(crate) const SERVER: usize = 1;
/// Times between records, in ns.
pub(crate) const STEP: u64 = 1000;

/// One TCP connection of a pod, scripted: what each end sends becomes a record, as a perfect wire would give it.
/// Tests then drop, swap and repeat records.
#[derive(Clone)]
pub(crate) struct Talk {
    pub(crate) records: Vec<Vec<u8>>,
    /// Time of the next record, in ns.
    pub(crate) now: u64,
    pub(crate) side: Side,
    pub(crate) netns: u64,
    pub(crate) client_port: u16,
    pub(crate) cookie: u64,
    /// Next sequence numbers of client and server.
    pub(crate) next: [u32; 2],
    /// How much of a segment's payload is captured.
    pub(crate) capture: usize,
}

/// A response with a body of this text.
pub(crate) fn response(status: u16, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

impl Talk {
    /// A connection of which no record exists yet; the pod is this side of it.
    pub(crate) fn midway(side: Side) -> Self {
        Self {
            records: Vec::new(),
            now: 1_000_000_000,
            side,
            netns: 4711,
            client_port: 40_000,
            cookie: 99,
            next: [1_000_000, 5_000_000],
            capture: weft_abi::MAX_CAPTURE,
        }
    }

    /// A connection from its handshake on.
    pub(crate) fn new(side: Side) -> Self {
        Self::with_seqs(side, [1_000_000, 5_000_000])
    }

    /// The same, with these initial sequence numbers of client and server.
    pub(crate) fn with_seqs(side: Side, initial: [u32; 2]) -> Self {
        let mut talk = Self { next: initial, ..Self::midway(side) };
        talk.handshake();
        talk
    }

    /// The same, from this port of the client.
    pub(crate) fn from_port(side: Side, client_port: u16) -> Self {
        let mut talk = Self { client_port, cookie: u64::from(client_port), ..Self::midway(side) };
        talk.handshake();
        talk
    }

    pub(crate) fn handshake(&mut self) {
        let [client, server] = self.next;
        let syn = self.segment(CLIENT, client, None, tcp_flag::SYN, b"");
        self.push(syn);
        self.next = [client.wrapping_add(1), server];
        let answer = self.segment(SERVER, server, Some(self.next[CLIENT]), tcp_flag::SYN, b"");
        self.push(answer);
        self.next[SERVER] = server.wrapping_add(1);
    }

    /// One segment of the client.
    pub(crate) fn client(&mut self, payload: impl AsRef<[u8]>) -> &mut Self {
        self.send(CLIENT, payload.as_ref())
    }

    /// One segment of the server.
    pub(crate) fn server(&mut self, payload: impl AsRef<[u8]>) -> &mut Self {
        self.send(SERVER, payload.as_ref())
    }

    /// A segment for every so many bytes.
    pub(crate) fn client_in(&mut self, size: usize, payload: impl AsRef<[u8]>) -> &mut Self {
        payload.as_ref().chunks(size).for_each(|part| {
            self.client(part);
        });
        self
    }

    /// A segment for every so many bytes.
    pub(crate) fn server_in(&mut self, size: usize, payload: impl AsRef<[u8]>) -> &mut Self {
        payload.as_ref().chunks(size).for_each(|part| {
            self.server(part);
        });
        self
    }

    fn send(&mut self, from: usize, payload: &[u8]) -> &mut Self {
        let record = self.segment(from, self.next[from], Some(self.next[1 - from]), tcp_flag::PSH, payload);
        self.next[from] = self.next[from].wrapping_add(payload.len() as u32);
        self.push(record)
    }

    pub(crate) fn client_fin(&mut self) -> &mut Self {
        self.fin(CLIENT)
    }

    pub(crate) fn server_fin(&mut self) -> &mut Self {
        self.fin(SERVER)
    }

    fn fin(&mut self, from: usize) -> &mut Self {
        let record = self.segment(from, self.next[from], Some(self.next[1 - from]), tcp_flag::FIN, b"");
        self.next[from] = self.next[from].wrapping_add(1);
        self.push(record)
    }

    pub(crate) fn server_reset(&mut self) -> &mut Self {
        let record = self.segment(SERVER, self.next[SERVER], Some(self.next[CLIENT]), tcp_flag::RST, b"");
        self.push(record)
    }

    /// A SYN with payload (RFC 7413), and its answer, which takes all of it.
    pub(crate) fn fast_open(side: Side, payload: &str) -> Self {
        let mut talk = Self::midway(side);
        let [client, server] = talk.next;
        let syn = talk.segment(CLIENT, client, None, tcp_flag::SYN, payload.as_bytes());
        talk.push(syn);
        talk.next = [client + 1 + payload.len() as u32, server];
        let answer = talk.segment(SERVER, server, Some(talk.next[CLIENT]), tcp_flag::SYN, b"");
        talk.push(answer);
        talk.next[SERVER] = server + 1;
        talk
    }

    /// A segment of the client with exactly these numbers.
    pub(crate) fn client_at(&mut self, seq: u32, payload: impl AsRef<[u8]>) -> &mut Self {
        let record = self.segment(CLIENT, seq, Some(self.next[SERVER]), tcp_flag::PSH, payload.as_ref());
        self.push(record)
    }

    /// A segment with exactly these numbers and flags.
    pub(crate) fn raw(
        &mut self,
        from: usize,
        seq: u32,
        ack: Option<u32>,
        flags: u8,
        payload: impl AsRef<[u8]>,
    ) -> &mut Self {
        let record = self.segment(from, seq, ack, flags, payload.as_ref());
        self.push(record)
    }

    /// The last record is a further part of a segment that takes several.
    pub(crate) fn further_part(&mut self) -> &mut Self {
        if let Some(record) = self.records.last_mut() {
            record[PART] = 1;
        }
        self
    }

    fn push(&mut self, record: Vec<u8>) -> &mut Self {
        self.records.push(record);
        self.now += STEP;
        self
    }

    /// The last record was lost on its way here, not on the wire.
    pub(crate) fn lost(&mut self) -> &mut Self {
        self.records.pop();
        self
    }

    /// The last two records in the other order; their times stay where they were.
    pub(crate) fn swapped(&mut self) -> &mut Self {
        let last = self.records.len() - 1;
        self.records.swap(last - 1, last);
        let (earlier, later) = (time(&self.records[last]), time(&self.records[last - 1]));
        set_time(&mut self.records[last - 1], earlier);
        set_time(&mut self.records[last], later);
        self
    }

    /// The last so many records, which are segments of one direction in a row, as the one that the programs would have
    /// made of them where nobody wants the payload.
    pub(crate) fn gathered(&mut self, count: usize) -> &mut Self {
        let segments = self.records.split_off(self.records.len() - count);
        self.records.push(run_of(&segments));
        self
    }

    /// The last record once more, later.
    pub(crate) fn repeated(&mut self) -> &mut Self {
        let mut record = self.records.last().unwrap().clone();
        set_time(&mut record, self.now);
        self.push(record)
    }

    fn segment(&self, from: usize, seq: u32, ack: Option<u32>, flags: u8, payload: &[u8]) -> Vec<u8> {
        let from_pod = (from == CLIENT) == (self.side == Side::Client);
        let captured = payload.len().min(self.capture);
        let segment = Segment {
            header: self.header(
                KIND_SEGMENT,
                if from_pod { DIRECTION_INGRESS } else { DIRECTION_EGRESS },
                VANTAGE_VETH,
            ),
            tuple: self.tuple(from),
            seq,
            ack: ack.unwrap_or(0),
            payload_len: payload.len() as u32,
            capture_offset: 0,
            captured: captured as u32,
            cookie: if from_pod { self.cookie } else { 0 },
            tcp_flags: flags | if ack.is_some() { tcp_flag::ACK } else { 0 },
            part: 0,
            window: 500,
            gso_segs: 1,
        };
        [segment.as_bytes(), &payload[..captured]].concat()
    }

    fn header(&self, kind: u8, detail: u8, vantage: u8) -> Header {
        let ifindex = if vantage == VANTAGE_VETH { 7 } else { 0 };
        Header { kind, detail, vantage, bank: 0, ifindex, time: self.now, netns: self.netns }
    }

    fn tuple(&self, from: usize) -> Tuple {
        let (client, server) = (address(2), address(1));
        if from == CLIENT {
            Tuple {
                source: client,
                destination: server,
                source_port: self.client_port,
                destination_port: 8080,
            }
        } else {
            Tuple {
                source: server,
                destination: client,
                source_port: 8080,
                destination_port: self.client_port,
            }
        }
    }

    fn pod(&self) -> usize {
        if self.side == Side::Client { CLIENT } else { SERVER }
    }

    /// The pod's call returned that read so many bytes, up to all that was sent to it.
    pub(crate) fn pod_read(&mut self, len: u32) -> &mut Self {
        self.call(io::RECV, self.next[1 - self.pod()], len)
    }

    /// The pod's call returned that wrote so many bytes, up to all that it sent.
    pub(crate) fn pod_wrote(&mut self, len: u32) -> &mut Self {
        self.call(io::SEND, self.next[self.pod()], len)
    }

    fn call(&mut self, kind: u8, seq_end: u32, len: u32) -> &mut Self {
        let io = SockIo {
            header: self.header(KIND_SOCK_IO, kind, VANTAGE_SOCKETS),
            cookie: self.cookie,
            seq_end,
            len,
            pid: 10,
            tid: 11,
            goid: u64::from(kind) + 100,
            parent_goid: 0,
            p_id: u32::MAX,
            sched_tick: 0,
        };
        self.push(io.as_bytes().to_vec())
    }

    /// Something happened to the pod's socket.
    pub(crate) fn sock_event(&mut self, kind: u8) -> &mut Self {
        let pod = self.pod();
        let event = SockEvent {
            header: self.header(KIND_SOCK_EVENT, kind, VANTAGE_SOCKETS),
            tuple: self.tuple(pod),
            snd_una: self.next[pod],
            cookie: self.cookie,
            rcv_nxt: self.next[1 - pod],
            srtt_us: 120,
            total_retrans: 3,
            retransmitted: 2,
            bytes_acked: 0,
            bytes_received: 0,
        };
        self.push(event.as_bytes().to_vec())
    }
}

/// One record for segments in a row.
pub(crate) fn run_of(records: &[Vec<u8>]) -> Vec<u8> {
    let segments: Vec<_> =
        records.iter().map(|record| Segment::read_from_prefix(record).unwrap().0).collect();
    let (first, last) = (segments[0], segments[segments.len() - 1]);
    let run = Run {
        header: Header { kind: KIND_RUN, time: last.header.time, ..first.header },
        tuple: first.tuple,
        seq: first.seq,
        len: segments.iter().map(|segment| segment.payload_len).sum(),
        ack: last.ack,
        first_time: first.header.time,
        cookie: last.cookie,
        segments: segments.len() as u32,
        pad: [0; 5],
    };
    run.as_bytes().to_vec()
}

fn address(last: u8) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 244, 0, last]
}

/// Where `Segment::part` is.
const PART: usize = std::mem::offset_of!(Segment, part);
/// Where `Header::time` is.
const TIME: std::ops::Range<usize> = 8..16;

pub(crate) fn time(record: &[u8]) -> u64 {
    u64::from_ne_bytes(record[TIME].try_into().unwrap())
}

pub(crate) fn set_time(record: &mut [u8], time: u64) {
    record[TIME].copy_from_slice(&time.to_ne_bytes());
}
