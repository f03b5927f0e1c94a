use aya_ebpf::{
    EbpfContext as _,
    bindings::BPF_RB_NO_WAKEUP,
    helpers::generated::{bpf_get_socket_cookie, bpf_skb_load_bytes},
    programs::TcContext,
};
use core::ptr::addr_of_mut;
use weft_abi::{
    DIRECTION_INGRESS, FlowKey, FlowWant, KIND_SEGMENT, LossReason, MAX_CAPTURE, PORT_EXCLUDE, PORT_INCLUDE,
    Segment, VANTAGE_VETH, Vantage, tcp_flag,
};

use crate::{
    kernel, loss,
    maps::{FLOW_WANTS, PORT_FILTER, RECORDS, SCRATCH, Scratch},
    packet::{self, Packet, Reject},
    vantage::{self, Word},
};

/// Below this size a copy costs less than the lookup that could spare it.
const ALWAYS_CAPTURE: u32 = 256;

/// Which part of a segment's payload goes into its record.
#[derive(Clone, Copy)]
struct Capture {
    offset: u32,
    len: u32,
}

const NOTHING: Capture = Capture { offset: 0, len: 0 };

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
    let recorded = !says_something || submit(ctx, direction, vantage, ifindex, &packet, &word);
    count(vantage, direction, &packet, &word, recorded);
    Some(())
}

/// The kernel's own count, independent of any record.
#[inline(always)]
fn count(vantage: *mut Vantage, direction: u8, packet: &Packet, word: &Word, recorded: bool) {
    let bytes = u64::from(packet.payload_len);
    // SAFETY: `vantage` came from the map's lookup; bank and direction are below 2.
    unsafe {
        let bank = addr_of_mut!((*vantage).banks).cast::<weft_abi::Bank>().add(usize::from(word.bank & 1));
        let counters = addr_of_mut!((*bank).directions)
            .cast::<weft_abi::DirectionCounters>()
            .add(usize::from(direction & 1));
        (*counters).segments += 1;
        (*counters).bytes_seen += bytes;
        if !recorded {
            (*counters).bytes_unrecorded += bytes;
        }
    }
}

/// Puts the record into the ring; says whether it is there.
#[inline(always)]
fn submit(
    ctx: &TcContext,
    direction: u8,
    vantage: *mut Vantage,
    ifindex: u32,
    packet: &Packet,
    word: &Word,
) -> bool {
    if !word.alive {
        loss::count(LossReason::NoAgentSegment);
        return false;
    }
    let Some(scratch) = SCRATCH.get_ptr_mut(0) else { return false };
    let header = vantage::header(KIND_SEGMENT, direction, vantage, ifindex, word);
    let plan = plan(header.netns, ifindex, packet, word.max_capture);
    let capture = copy_payload(ctx, scratch, packet, plan);
    let segment = Segment {
        cookie: socket_cookie(ctx, direction, header.vantage),
        header,
        tuple: packet.tuple,
        seq: packet.seq,
        ack: if packet.flags & tcp_flag::ACK != 0 { packet.ack } else { 0 },
        payload_len: packet.payload_len,
        capture_offset: capture.offset,
        captured: capture.len,
        tcp_flags: packet.flags,
        pad: [0],
        window: packet.window,
        // SAFETY: the context is valid while the program runs.
        gso_segs: unsafe { (*ctx.skb.skb).gso_segs },
    };
    output(scratch, segment, capture.len)
}

#[inline(always)]
fn output(scratch: *mut Scratch, segment: Segment, captured: u32) -> bool {
    let size = size_of::<Segment>() + captured as usize;
    // SAFETY: the scratch is this CPU's, and `size` is within it: `captured` is at most MAX_CAPTURE.
    let record = unsafe {
        addr_of_mut!((*scratch).segment).write(segment);
        core::slice::from_raw_parts(scratch.cast::<u8>(), size)
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

/// What user space wants of this segment's payload.
#[inline(always)]
fn plan(netns: u64, ifindex: u32, packet: &Packet, max_capture: u32) -> Capture {
    let skipped = if packet.payload_len > ALWAYS_CAPTURE {
        // SAFETY: the value is copied at once; user space alone writes it, and a torn read only captures more or less.
        match unsafe { FLOW_WANTS.get(&FlowKey { netns, tuple: packet.tuple, ifindex }) } {
            Some(want) => skip(*want, packet),
            None => 0,
        }
    } else {
        0
    };
    if skipped >= packet.payload_len {
        return NOTHING;
    }
    let rest = packet.payload_len - skipped;
    Capture { offset: skipped, len: if rest < max_capture { rest } else { max_capture } }
}

/// How many bytes at the payload's beginning are not wanted.
#[inline(always)]
fn skip(want: FlowWant, packet: &Packet) -> u32 {
    if want.headers_only != 0 {
        return packet.payload_len;
    }
    let ahead = want.skip_until.wrapping_sub(packet.seq) as i32;
    if ahead <= 0 { 0 } else { ahead as u32 }
}

#[inline(always)]
fn copy_payload(ctx: &TcContext, scratch: *mut Scratch, packet: &Packet, plan: Capture) -> Capture {
    if plan.len == 0 {
        return NOTHING;
    }
    let len = bounded(plan.len);
    // SAFETY: `len` is between 1 and MAX_CAPTURE, the size of the scratch's payload.
    let result = unsafe {
        bpf_skb_load_bytes(
            ctx.as_ptr(),
            packet.payload_offset + plan.offset,
            addr_of_mut!((*scratch).payload).cast(),
            len,
        )
    };
    if result != 0 {
        loss::count(LossReason::PayloadUnreadable);
        return NOTHING;
    }
    Capture { offset: plan.offset, len }
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
