//! Stage 1: from a record's bytes to a [`ProbeEvent`]. What contradicts itself is no event.
use weft_abi::{
    Border, FramedRun, Header, KIND_BORDER, KIND_CHUNK_RUN, KIND_FRAME_RUN, KIND_RUN, KIND_SEGMENT,
    KIND_SOCK_EVENT, KIND_SOCK_IO, KIND_UPDATE_RUN, MAX_RUN, Run, Segment, SockEvent, SockIo, Tuple,
    VANTAGE_VETH, tcp_flag,
};
use zerocopy::FromBytes;

use super::{direction::Direction, stretch::Stretch};
use crate::{Endpoint, FlowId, Ktime};

/// No packet carries more: BIG TCP's limit is 512 KiB (include/linux/netdevice.h, GSO_MAX_SIZE), so anything
/// near this is no length.
const MAX_PAYLOAD: u32 = 1 << 24;

/// One record, understood.
pub(super) enum ProbeEvent<'a> {
    /// A segment passed a pod's veth.
    Segment(SegmentEvent<'a>),
    /// Segments passed it that the programs put together: as one of them all, of which nothing was captured.
    Run(SegmentEvent<'a>),
    /// A program begins to read a flow's framing at the first sequence number; up to the second one it has seen the flow.
    Border(FlowId, Direction, [u32; 2]),
    /// A segment passed another kind of device: its bytes are accounted for, and not followed.
    Elsewhere(Header, u32),
    /// A connection changed.
    Connection(SockEvent),
    /// A thread sent or received.
    Io(SockIo),
}

/// One TCP segment as it passed the host's side of a pod's veth.
#[derive(Clone, Copy)]
pub(super) struct SegmentEvent<'a> {
    pub(super) id: FlowId,
    pub(super) direction: Direction,
    pub(super) vantage: u8,
    pub(super) bank: u8,
    pub(super) time: Ktime,
    /// When its first byte passed: of a run that is before `time`.
    pub(super) first_time: Ktime,
    /// Sequence number of the first payload byte, or of the FIN where there is no payload.
    pub(super) seq: u32,
    /// Acknowledgement number, where the flag says that there is one.
    pub(super) ack: Option<u32>,
    /// Payload bytes in the packet.
    pub(super) len: u32,
    /// Payload bytes before the captured ones.
    pub(super) hole: u32,
    /// The captured ones.
    pub(super) data: &'a [u8],
    /// What was in the bytes before the captured ones, where a program read them.
    pub(super) stretch: Option<Stretch>,
    pub(super) flags: u8,
    /// It is no further part of a segment that takes several records.
    pub(super) begins: bool,
    /// The pod's socket; 0 while unknown.
    pub(super) cookie: u64,
}

impl SegmentEvent<'_> {
    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// The record's event; nothing where the record is malformed.
pub(super) fn decode(record: &[u8]) -> Option<ProbeEvent<'_>> {
    match *record.first()? {
        KIND_SEGMENT => segment(record),
        KIND_RUN => run(&Run::read_from_prefix(record).ok()?.0, None, &[]),
        KIND_FRAME_RUN | KIND_UPDATE_RUN | KIND_CHUNK_RUN => framed_run(record),
        KIND_BORDER => border(&Border::read_from_prefix(record).ok()?.0),
        KIND_SOCK_EVENT => Some(ProbeEvent::Connection(SockEvent::read_from_prefix(record).ok()?.0)),
        KIND_SOCK_IO => Some(ProbeEvent::Io(SockIo::read_from_prefix(record).ok()?.0)),
        _ => None,
    }
}

fn segment(record: &[u8]) -> Option<ProbeEvent<'_>> {
    let (segment, payload) = Segment::read_from_prefix(record).ok()?;
    let data = payload.get(..usize::try_from(segment.captured).ok()?)?;
    let direction = Direction::from_detail(segment.header.detail)?;
    let end = segment.capture_offset.checked_add(segment.captured)?;
    if end > segment.payload_len || segment.payload_len > MAX_PAYLOAD {
        return None;
    }
    if segment.header.vantage != VANTAGE_VETH {
        return Some(ProbeEvent::Elsewhere(segment.header, segment.payload_len));
    }
    // A SYN takes the sequence number before the payload's (RFC 9293, 3.4; RFC 7413 for payload with it).
    let syn = u32::from(segment.tcp_flags & tcp_flag::SYN != 0);
    Some(ProbeEvent::Segment(SegmentEvent {
        id: flow_id(&segment.header, &segment.tuple, direction),
        direction,
        vantage: segment.header.vantage,
        bank: segment.header.bank,
        time: Ktime(segment.header.time),
        first_time: Ktime(segment.header.time),
        seq: segment.seq.wrapping_add(syn),
        ack: (segment.tcp_flags & tcp_flag::ACK != 0).then_some(segment.ack),
        len: segment.payload_len,
        hole: segment.capture_offset,
        data,
        stretch: None,
        flags: segment.tcp_flags,
        begins: segment.part == 0,
        cookie: segment.cookie,
    }))
}

fn framed_run(record: &[u8]) -> Option<ProbeEvent<'_>> {
    let framed = FramedRun::read_from_prefix(record).ok()?.0;
    let (stretch, tail) = Stretch::of(&framed)?;
    let partial = record.get(std::mem::offset_of!(FramedRun, partial)..)?;
    run(&framed.run, Some(stretch), partial.get(tail)?)
}

fn border<'a>(border: &Border) -> Option<ProbeEvent<'a>> {
    let direction = Direction::from_detail(border.header.detail)?;
    let id = flow_id(&border.header, &border.tuple, direction);
    Some(ProbeEvent::Border(id, direction, [border.seq, border.next]))
}

/// `tail`: the last bytes of it that are known.
fn run<'a>(run: &Run, stretch: Option<Stretch>, tail: &'a [u8]) -> Option<ProbeEvent<'a>> {
    let direction = Direction::from_detail(run.header.detail)?;
    if run.len == 0 || run.len > MAX_RUN {
        return None;
    }
    if run.header.vantage != VANTAGE_VETH {
        return Some(ProbeEvent::Elsewhere(run.header, run.len));
    }
    Some(ProbeEvent::Run(SegmentEvent {
        id: flow_id(&run.header, &run.tuple, direction),
        direction,
        vantage: run.header.vantage,
        bank: run.header.bank,
        time: Ktime(run.header.time),
        first_time: Ktime(run.first_time.min(run.header.time)),
        seq: run.seq,
        ack: (run.ack != 0).then_some(run.ack),
        len: run.len,
        hole: run.len.saturating_sub(tail.len() as u32),
        data: tail,
        stretch,
        flags: 0,
        begins: false,
        cookie: run.cookie,
    }))
}

fn flow_id(header: &Header, tuple: &Tuple, direction: Direction) -> FlowId {
    let source = Endpoint { address: tuple.source, port: tuple.source_port };
    let destination = Endpoint { address: tuple.destination, port: tuple.destination_port };
    let (local, peer) = match direction {
        Direction::FromPod => (source, destination),
        Direction::ToPod => (destination, source),
    };
    FlowId { netns: header.netns, ifindex: header.ifindex, local, peer }
}

/// Addresses and ports as on the wire in one direction of a connection.
pub(super) fn tuple(id: &FlowId, direction: Direction) -> Tuple {
    let (source, destination) = match direction {
        Direction::FromPod => (id.local, id.peer),
        Direction::ToPod => (id.peer, id.local),
    };
    Tuple {
        source: source.address,
        destination: destination.address,
        source_port: source.port,
        destination_port: destination.port,
    }
}
