use aya_ebpf::{
    EbpfContext as _,
    helpers::generated::{bpf_get_socket_cookie, bpf_skb_load_bytes},
    programs::TcContext,
};
use core::ptr::addr_of_mut;
use weft_abi::{
    Bank, DIRECTION_INGRESS, DirectionCounters, KIND_SEGMENT, LossReason, MAX_CAPTURE, PORT_EXCLUDE,
    PORT_INCLUDE, Segment, VANTAGE_VETH, Vantage, tcp_flag,
};

use crate::{
    flow::{self, Decision, Passing},
    loss,
    maps::{PORT_FILTER, Parts, RECORDS, SCRATCH, Scratch, Seen},
    packet::{self, Packet, Reject},
    reading::forget,
    ring,
    vantage::{self, Word},
};

/// The most records of one segment: BIG TCP's 512 KiB (GSO_MAX_SIZE, include/linux/netdevice.h), and one more where a part is
/// not wanted. With a smaller `Control::max_capture` what is left goes uncopied with the last.
const MAX_PARTS: u8 = 33;

#[inline(always)]
pub fn record(ctx: &TcContext, direction: u8) {
    let _ = try_record(ctx, direction);
}

/// Counts the segment, and records it if it says anything. `None` is only a shorter way out.
#[inline(always)]
fn try_record(ctx: &TcContext, direction: u8) -> Option<()> {
    // SAFETY: the context is valid while the program runs.
    let ifindex = unsafe { (*ctx.skb.skb).ifindex };
    let vantage = vantage::of_device(ctx.as_ptr().cast(), ifindex)?;
    let packet = match packet::parse(ctx) {
        Ok(packet) => packet,
        Err(Reject::NotTcp) => return None,
        Err(Reject::Lost(reason)) => {
            loss::count(reason);
            return None;
        }
    };
    let word = vantage::word()?;
    if word.filter_ports && !wanted_port(&packet) {
        return None;
    }
    let says_something =
        packet.payload_len > 0 || packet.flags & (tcp_flag::SYN | tcp_flag::FIN | tcp_flag::RST) != 0;
    let unrecorded =
        if says_something { submit(ctx, direction, vantage, ifindex, &packet, &word) } else { 0 };
    count(vantage, direction, &packet, &word, unrecorded);
    Some(())
}

/// The kernel's own count, independent of any record.
#[inline(always)]
fn count(vantage: *mut Vantage, direction: u8, packet: &Packet, word: &Word, unrecorded: u32) {
    let counters = counters(vantage, direction, word.bank);
    // SAFETY: this CPU's own.
    unsafe {
        (*counters).segments += 1;
        (*counters).bytes_seen += u64::from(packet.payload_len);
        (*counters).bytes_unrecorded += u64::from(unrecorded);
    }
}

/// Bytes that were counted earlier found no room in the ring.
#[inline(always)]
pub fn count_unrecorded(vantage: *mut Vantage, direction: u8, bank: u8, bytes: u32) {
    // SAFETY: this CPU's own.
    unsafe { (*counters(vantage, direction, bank)).bytes_unrecorded += u64::from(bytes) }
}

#[inline(always)]
fn counters(vantage: *mut Vantage, direction: u8, bank: u8) -> *mut DirectionCounters {
    // SAFETY: `vantage` came from the map's lookup; bank and direction are below 2.
    unsafe {
        let bank = addr_of_mut!((*vantage).banks).cast::<Bank>().add(usize::from(bank & 1));
        addr_of_mut!((*bank).directions).cast::<DirectionCounters>().add(usize::from(direction & 1))
    }
}

/// Puts the segment's records into the ring; gives how many payload bytes found no room there.
#[inline(always)]
fn submit(
    ctx: &TcContext,
    direction: u8,
    vantage: *mut Vantage,
    ifindex: u32,
    packet: &Packet,
    word: &Word,
) -> u32 {
    if !word.alive {
        loss::count(LossReason::NoAgentSegment);
        return packet.payload_len;
    }
    let Some(scratch) = SCRATCH.get_ptr_mut(0) else { return packet.payload_len };
    let header = vantage::header(KIND_SEGMENT, direction, vantage, ifindex, word);
    let cookie = socket_cookie(ctx, direction, header.vantage);
    // SAFETY: the scratch is this CPU's.
    let seen = unsafe { remember(Seen { packet: *packet, header, cookie }, scratch) };
    let passing = Passing { ctx, seen, vantage };
    let (at, skipped) = match flow::decide(&passing, scratch) {
        Decision::Joined => return 0,
        Decision::Record(skipped) => (0, skipped),
        Decision::Rest(at) => (at, 0),
    };
    // SAFETY: the scratch is this CPU's.
    unsafe {
        begin(ctx, seen, &mut (*scratch).segment);
        let packet = &seen.packet;
        (*scratch).parts = Parts {
            payload_offset: packet.payload_offset,
            payload_len: packet.payload_len,
            seq: packet.seq,
            flags: u32::from(packet.flags),
            max_capture: word.max_capture,
            at,
            skipped,
            unrecorded: 0,
        };
        // What is in a run is the first part.
        let first = u8::from(at > 0);
        for number in 0..MAX_PARTS {
            if output(ctx, scratch, number, first) {
                break;
            }
        }
        (*scratch).parts.unrecorded
    }
}

/// What was seen of the segment, in memory: of what is read from there the verifier does not know by which of the many ways
/// through the headers it was found, so that it follows the program behind that once.
///
/// # Safety
/// The scratch must be this CPU's.
#[inline(always)]
unsafe fn remember<'a>(seen: Seen, scratch: *mut Scratch) -> &'a Seen {
    // SAFETY: nothing else is written there during a run.
    unsafe {
        let place = addr_of_mut!((*scratch).seen);
        place.write(seen);
        forget();
        &*place
    }
}

/// What all records of a segment have in common.
#[inline(always)]
fn begin(ctx: &TcContext, seen: &Seen, segment: &mut Segment) {
    let Seen { packet, header, cookie } = *seen;
    *segment = Segment {
        header,
        tuple: packet.tuple,
        seq: packet.seq,
        ack: packet.acknowledged(),
        payload_len: packet.payload_len,
        capture_offset: 0,
        captured: 0,
        cookie,
        tcp_flags: packet.flags,
        part: 0,
        window: packet.window,
        // SAFETY: the context is valid while the program runs.
        gso_segs: unsafe { (*ctx.skb.skb).gso_segs },
    };
}

/// Writes the next record; says whether it was the last.
///
/// # Safety
/// The scratch must be this CPU's.
#[inline(always)]
unsafe fn output(ctx: &TcContext, scratch: *mut Scratch, number: u8, first: u8) -> bool {
    // SAFETY: volatile, so that the compiler keeps nothing of it in registers over the rounds.
    let parts = unsafe { addr_of_mut!((*scratch).parts).read_volatile() };
    let rest = parts.payload_len - parts.at;
    let wanted = rest - parts.skipped;
    let wanted = if wanted < parts.max_capture { wanted } else { parts.max_capture };
    let all = number + 1 == MAX_PARTS || wanted == 0;
    let len = if all { rest } else { parts.skipped + wanted };
    // SAFETY: the scratch is this CPU's.
    let (segment, payload) = unsafe { (&mut (*scratch).segment, addr_of_mut!((*scratch).payload)) };
    let captured = copy_payload(ctx, payload, parts.payload_offset + parts.at + parts.skipped, wanted);
    let ends = parts.at + len >= parts.payload_len;
    // The end of the stream is the end of the last part.
    let kept = if ends { u8::MAX } else { !(tcp_flag::FIN | tcp_flag::PSH) };
    segment.seq = parts.seq.wrapping_add(parts.at);
    segment.payload_len = len;
    segment.capture_offset = if captured == 0 { 0 } else { parts.skipped };
    segment.captured = captured;
    segment.tcp_flags = parts.flags as u8 & kept;
    segment.part = number + first;
    let lost = if submit_record(scratch, captured) { 0 } else { len };
    // SAFETY: as above.
    unsafe {
        let state = addr_of_mut!((*scratch).parts);
        addr_of_mut!((*state).at).write_volatile(parts.at + len);
        addr_of_mut!((*state).skipped).write_volatile(0);
        addr_of_mut!((*state).unrecorded).write_volatile(parts.unrecorded + lost);
    }
    ends
}

/// Puts the scratch's segment with so many bytes of its payload into the ring; says whether there was room.
#[inline(always)]
fn submit_record(scratch: *mut Scratch, captured: u32) -> bool {
    let size = size_of::<Segment>() + captured as usize;
    // SAFETY: the scratch is this CPU's, and `size` is within it: `captured` is at most MAX_CAPTURE.
    let record = unsafe { core::slice::from_raw_parts(addr_of_mut!((*scratch).segment).cast::<u8>(), size) };
    // SAFETY: as above.
    let flags = unsafe { ring::flags(addr_of_mut!((*scratch).unwatched), size) };
    let submitted = RECORDS.output::<[u8]>(record, flags).is_ok();
    if !submitted {
        loss::count(LossReason::RingFullSegment);
    }
    submitted
}

/// On a host veth's ingress the packet still has the pod's socket; elsewhere the socket is absent or another's.
#[inline(always)]
fn socket_cookie(ctx: &TcContext, direction: u8, vantage_kind: u8) -> u64 {
    if direction != DIRECTION_INGRESS || vantage_kind != VANTAGE_VETH {
        return 0;
    }
    // SAFETY: the helper takes the context.
    unsafe { bpf_get_socket_cookie(ctx.as_ptr()) }
}

/// Copies so many bytes of the packet; gives how many there are now behind the record.
#[inline(always)]
fn copy_payload(ctx: &TcContext, payload: *mut [u8; MAX_CAPTURE], offset: u32, wanted: u32) -> u32 {
    if wanted == 0 {
        return 0;
    }
    let len = bounded(wanted);
    // SAFETY: `len` is between 1 and MAX_CAPTURE, the size of the scratch's payload.
    if unsafe { bpf_skb_load_bytes(ctx.as_ptr(), offset, payload.cast(), len) } != 0 {
        loss::count(LossReason::PayloadUnreadable);
        return 0;
    }
    len
}

/// `len`, from 1 to `MAX_CAPTURE`, in a form that the verifier can follow: the mask must be on the very register
/// that reaches the helper, and the compiler would drop it where it knows the range already.
#[inline(always)]
fn bounded(len: u32) -> u32 {
    let mut last = u64::from(len.wrapping_sub(1));
    // SAFETY: plain arithmetic on a register.
    unsafe {
        core::arch::asm!("{0} &= {1}", inout(reg) last, const MAX_CAPTURE as i32 - 1, options(pure, nomem, nostack));
    }
    last as u32 + 1
}

#[inline(always)]
fn wanted_port(packet: &Packet) -> bool {
    let source = PORT_FILTER.get(u32::from(packet.tuple.source_port)).copied().unwrap_or(0);
    let destination = PORT_FILTER.get(u32::from(packet.tuple.destination_port)).copied().unwrap_or(0);
    let both = source | destination;
    both & PORT_EXCLUDE == 0 && both & PORT_INCLUDE != 0
}
