use aya_ebpf::{
    EbpfContext as _,
    bindings::BPF_RB_NO_WAKEUP,
    helpers::generated::{bpf_get_socket_cookie, bpf_skb_load_bytes},
    programs::TcContext,
};
use core::ptr::addr_of_mut;
use weft_abi::{
    Bank, DIRECTION_INGRESS, DirectionCounters, Header, KIND_SEGMENT, LossReason, MAX_CAPTURE, PORT_EXCLUDE,
    PORT_INCLUDE, Segment, VANTAGE_VETH, Vantage, tcp_flag,
};

use crate::{
    flow::{self, Decision, Passing, Unrecorded},
    kernel, loss,
    maps::{PORT_FILTER, RECORDS, SCRATCH, Scratch},
    packet::{self, Packet, Reject},
    vantage::{self, Word},
};

/// The most records of one segment: a GSO super-segment's 64 KiB, and one more where a part is not wanted. What is left of
/// a longer one (BIG TCP) goes uncopied with the last.
const MAX_PARTS: u8 = 5;

/// What all records of a segment have in common.
struct Common<'a> {
    ctx: &'a TcContext,
    packet: &'a Packet,
    header: Header,
    cookie: u64,
    max_capture: u32,
}

/// A part of a segment's payload: `len` bytes from `at` on, of which `captured` behind the first `skipped` are copied.
struct Part {
    number: u8,
    at: u32,
    len: u32,
    skipped: u32,
    captured: u32,
}

#[inline(always)]
pub fn record(ctx: &TcContext, direction: u8) {
    let _ = try_record(ctx, direction);
}

/// Counts the segment, and records it if it says anything. `None` is only a shorter way out.
#[inline(always)]
fn try_record(ctx: &TcContext, direction: u8) -> Option<()> {
    let netns = kernel::device_netns(ctx.as_ptr().cast())?;
    // SAFETY: the context is valid while the program runs.
    let ifindex = unsafe { (*ctx.skb.skb).ifindex };
    let vantage = vantage::find(netns, ifindex)?;
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
fn count_unrecorded(vantage: *mut Vantage, direction: u8, bank: u8, bytes: u32) {
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
    let mut lost = Unrecorded::default();
    let decision = flow::decide(&Passing { packet, header: &header, cookie }, scratch, &mut lost);
    if lost.bytes > 0 {
        count_unrecorded(vantage, direction, lost.bank, lost.bytes);
    }
    let Decision::Record(mut skipped) = decision else { return 0 };
    let common = Common { ctx, packet, header, cookie, max_capture: word.max_capture };
    let mut unrecorded = 0;
    let mut at = 0;
    for number in 0..MAX_PARTS {
        let part = part(&common, number, at, skipped);
        if !output(&common, scratch, &part) {
            unrecorded += part.len;
        }
        at += part.len;
        skipped = 0;
        if at >= packet.payload_len {
            break;
        }
    }
    unrecorded
}

/// What goes into the next record.
#[inline(always)]
fn part(common: &Common<'_>, number: u8, at: u32, skipped: u32) -> Part {
    let rest = common.packet.payload_len - at;
    let wanted = rest - skipped;
    let captured = if wanted < common.max_capture { wanted } else { common.max_capture };
    let last = number + 1 == MAX_PARTS || captured == 0;
    Part { number, at, len: if last { rest } else { skipped + captured }, skipped, captured }
}

/// Writes one record; says whether it is there.
#[inline(always)]
fn output(common: &Common<'_>, scratch: *mut Scratch, part: &Part) -> bool {
    let packet = common.packet;
    let captured = copy_payload(common, scratch, part);
    let ends = part.at + part.len >= packet.payload_len;
    let segment = Segment {
        header: common.header,
        tuple: packet.tuple,
        seq: packet.seq.wrapping_add(part.at),
        ack: packet.acknowledged(),
        payload_len: part.len,
        capture_offset: if captured == 0 { 0 } else { part.skipped },
        captured,
        cookie: common.cookie,
        // The end of the stream is the end of the last part.
        tcp_flags: if ends { packet.flags } else { packet.flags & !(tcp_flag::FIN | tcp_flag::PSH) },
        part: part.number,
        window: packet.window,
        // SAFETY: the context is valid while the program runs.
        gso_segs: unsafe { (*common.ctx.skb.skb).gso_segs },
    };
    let size = size_of::<Segment>() + captured as usize;
    // SAFETY: the scratch is this CPU's, and `size` is within it: `captured` is at most MAX_CAPTURE.
    let record = unsafe {
        addr_of_mut!((*scratch).segment).write(segment);
        core::slice::from_raw_parts(addr_of_mut!((*scratch).segment).cast::<u8>(), size)
    };
    let submitted = RECORDS.output::<[u8]>(record, u64::from(BPF_RB_NO_WAKEUP)).is_ok();
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

/// Copies what is wanted of a part; gives how many bytes there are now behind the record.
#[inline(always)]
fn copy_payload(common: &Common<'_>, scratch: *mut Scratch, part: &Part) -> u32 {
    if part.captured == 0 {
        return 0;
    }
    let len = bounded(part.captured);
    // SAFETY: `len` is between 1 and MAX_CAPTURE, the size of the scratch's payload.
    let result = unsafe {
        bpf_skb_load_bytes(
            common.ctx.as_ptr(),
            common.packet.payload_offset + part.at + part.skipped,
            addr_of_mut!((*scratch).payload).cast(),
            len,
        )
    };
    if result != 0 {
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
