#[cfg(feature = "user")]
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A TCP segment that passed a vantage: [`Segment`], then `captured` bytes of its payload.
pub const KIND_SEGMENT: u8 = 1;
/// Something happened to a connection: [`SockEvent`].
pub const KIND_SOCK_EVENT: u8 = 2;
/// A thread sent to or received from a socket: [`SockIo`].
pub const KIND_SOCK_IO: u8 = 3;
/// Segments of a flow that passed one after the other and whose payload nobody wanted: [`Run`](crate::Run).
pub const KIND_RUN: u8 = 4;
/// A Go function was called: [`GoCall`](crate::GoCall), then its contexts.
pub const KIND_GO_CALL: u8 = 5;
/// A goroutine changed its state: [`GoSched`](crate::GoSched).
pub const KIND_GO_SCHED: u8 = 6;
/// A process came or went: [`Process`](crate::Process).
pub const KIND_PROCESS: u8 = 7;
/// A program begins to read a flow's framing, and may be wrong: [`Border`](crate::Border).
pub const KIND_BORDER: u8 = 8;
/// A run of DATA frames of one stream of HTTP/2: [`FramedRun`](crate::FramedRun).
pub const KIND_FRAME_RUN: u8 = 9;
/// A run of WINDOW_UPDATE frames of HTTP/2: [`FramedRun`](crate::FramedRun).
pub const KIND_UPDATE_RUN: u8 = 10;
/// A run of chunks of a body in chunked transfer coding: [`FramedRun`](crate::FramedRun).
pub const KIND_CHUNK_RUN: u8 = 11;

/// `Header::detail` of a segment: it entered the vantage's device. On a pod's host-side veth: sent by the pod.
pub const DIRECTION_INGRESS: u8 = 0;
/// `Header::detail` of a segment: it left through the vantage's device. On a pod's host-side veth: for the pod.
pub const DIRECTION_EGRESS: u8 = 1;

/// The most payload bytes that one segment record can carry; longer segments are several records. A power of two: the programs bound lengths by mask.
pub const MAX_CAPTURE: usize = 16 * 1024;

/// `Header::detail` of a [`SockEvent`].
pub mod sock_event {
    /// connect(2) was called; no packet was sent yet.
    pub const CONNECT: u8 = 1;
    /// The pod's side opened the connection and it is established.
    pub const ESTABLISHED_ACTIVE: u8 = 2;
    /// The peer opened the connection and it is established.
    pub const ESTABLISHED_PASSIVE: u8 = 3;
    /// Segments were sent again.
    pub const RETRANSMIT: u8 = 4;
    /// The socket is closed; the counters are final.
    pub const CLOSED: u8 = 5;
}

/// `Header::detail` of a [`SockIo`].
pub mod io {
    /// Bytes were written to the socket.
    pub const SEND: u8 = 1;
    /// Bytes were read from the socket.
    pub const RECV: u8 = 2;
}

/// Bits of `Segment::tcp_flags` (RFC 9293, 3.1).
pub mod tcp_flag {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement number is valid.
    pub const ACK: u8 = 0x10;
}

/// The first bytes of every record.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct Header {
    /// `KIND_*`.
    pub kind: u8,
    /// What kind of segment, event or I/O: see the `KIND_*` constants.
    pub detail: u8,
    /// `VANTAGE_*`: where it was seen.
    pub vantage: u8,
    /// The bank of the vantage's counters in which this record was counted: the lowest bit of the
    /// generation of the agent that was in charge (see [`Control`](crate::Control)).
    pub bank: u8,
    /// The interface index of the vantage in its own netns; 0 for sockets.
    pub ifindex: u32,
    /// When the program ran: `bpf_ktime_get_ns()`.
    pub time: u64,
    /// The netns cookie of the pod.
    pub netns: u64,
}

/// Addresses and ports of a segment, as on the wire.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct Tuple {
    /// Source address; IPv4 as ::ffff:a.b.c.d.
    pub source: [u8; 16],
    /// Destination address; IPv4 as ::ffff:a.b.c.d.
    pub destination: [u8; 16],
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
}

/// One TCP segment (or one GSO super-segment, which the vantage sees as one). Segments that carry neither
/// payload nor SYN, FIN or RST are counted and not recorded: they say nothing about messages.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct Segment {
    /// The record's header.
    pub header: Header,
    /// Addresses and ports.
    pub tuple: Tuple,
    /// Sequence number of the first payload byte, or of the SYN or FIN where there is no payload.
    pub seq: u32,
    /// Acknowledgement number; 0 without the ACK flag.
    pub ack: u32,
    /// Bytes of TCP payload in the packet (in this part of it), captured or not.
    pub payload_len: u32,
    /// Where in the payload the captured bytes begin.
    pub capture_offset: u32,
    /// How many bytes of payload follow this structure.
    pub captured: u32,
    /// Cookie of the pod's own socket, or 0: known on veth ingress only (elsewhere `skb->sk` is absent or
    /// somebody else's).
    pub cookie: u64,
    /// `tcp_flag::*`.
    pub tcp_flags: u8,
    /// Which part of the segment this is: 0 for the only or first one. A segment with more payload than a record carries
    /// is several records, each like a segment of its own.
    pub part: u8,
    /// The window field, unscaled.
    pub window: u16,
    /// `skb_shinfo(skb)->gso_segs`: 0 or 1 for a segment of its own.
    pub gso_segs: u32,
}

/// A change in a connection's life, from the sockops program.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct SockEvent {
    /// The record's header.
    pub header: Header,
    /// The pod's address (source) and the peer's (destination), as the socket sees them: before NAT.
    pub tuple: Tuple,
    /// The first sequence number that the peer has not acknowledged: every byte before it has passed the device. (The
    /// next one to be sent says less: what was sent may still be on its way there.)
    pub snd_una: u32,
    /// Socket cookie.
    pub cookie: u64,
    /// The next sequence number expected from the peer.
    pub rcv_nxt: u32,
    /// Smoothed round-trip time in microseconds (`tcp_sock.srtt_us` >> 3); 0 before the first sample.
    pub srtt_us: u32,
    /// Segments retransmitted on this connection so far.
    pub total_retrans: u32,
    /// For RETRANSMIT: how many segments were sent again now. Else 0.
    pub retransmitted: u32,
    /// Bytes that the peer acknowledged.
    pub bytes_acked: u64,
    /// Bytes received in order.
    pub bytes_received: u64,
}

/// A thread's send or receive on a pod's socket that returned with a length.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct SockIo {
    /// The record's header. Its time is when the call was about to return.
    pub header: Header,
    /// Socket cookie.
    pub cookie: u64,
    /// The sequence number behind the last byte of this call: the call covers `[seq_end - len, seq_end)`.
    pub seq_end: u32,
    /// How many bytes the call moved.
    pub len: u32,
    /// Process id (`task_struct.tgid`) in the initial pid namespace.
    pub pid: u32,
    /// Thread id (`task_struct.pid`) in the initial pid namespace.
    pub tid: u32,
    /// Goroutine id; 0 when unknown or no Go thread.
    pub goid: u64,
    /// The goroutine that created it; 0 when unknown.
    pub parent_goid: u64,
    /// Id of the P that the goroutine ran on; `u32::MAX`: unknown. It always is: in a system call a thread has given its P
    /// away already (`m.p` is nil).
    pub p_id: u32,
    /// `p.schedtick`; 0: unknown, as the P is.
    pub sched_tick: u32,
}

const _: () = assert!(size_of::<Header>() == 24);
const _: () = assert!(size_of::<Tuple>() == 36);
const _: () = assert!(size_of::<Segment>() == 96);
const _: () = assert!(size_of::<SockEvent>() == 104);
const _: () = assert!(size_of::<SockIo>() == 72);
