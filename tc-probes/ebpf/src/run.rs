//! The run of segments that is gathered of a flow where nothing of them is wanted.
use aya_ebpf::bindings::BPF_RB_NO_WAKEUP;
use core::ptr::addr_of_mut;
use weft_abi::{FlowSlot, FramedRun, Header, KIND_RUN, LossReason, MAX_RUN, Run, order};

use crate::{
    flow::Passing,
    loss,
    maps::{RECORDS, Scratch, Seen},
    packet::Packet,
    segment,
};

/// Whether the segment is in order. The first one that a slot sees is not, as far as that is known: it may have been sent again,
/// and user space must hear of that before it hears of anything that comes later.
///
/// # Safety
/// The slot must be locked.
#[inline(always)]
pub unsafe fn follows(slot: *mut FlowSlot, packet: &Packet) -> bool {
    let FlowSlot { next, follows, .. } = unsafe { *slot };
    follows == order::SEEN && next == packet.seq
}

/// Whether the segment can be part of the run, or begin one.
///
/// # Safety
/// The slot must be locked.
#[inline(always)]
pub unsafe fn has_room(slot: *mut FlowSlot, passing: &Passing<'_>) -> bool {
    let FlowSlot { len, bank, .. } = unsafe { *slot };
    len == 0 || bank == passing.seen.header.bank && passing.seen.packet.payload_len <= MAX_RUN - len
}

/// Adds the first so many bytes of the segment's payload, which are in order, to the run.
///
/// # Safety
/// The slot must be locked, and [`has_room`] true.
#[inline(always)]
pub unsafe fn join(slot: *mut FlowSlot, passing: &Passing<'_>, bytes: u32, kind: u8) {
    let Seen { packet, header, .. } = passing.seen;
    let slot = unsafe { &mut *slot };
    if slot.len == 0 {
        slot.seq = packet.seq;
        slot.segments = 0;
        slot.first_time = header.time;
        slot.last_time = header.time;
        slot.bank = header.bank;
        slot.vantage = header.vantage;
        slot.direction = header.detail;
        slot.framing.run_kind = kind;
    }
    slot.len += bytes;
    slot.segments += 1;
    slot.ack = packet.acknowledged();
    if slot.last_time < header.time {
        slot.last_time = header.time;
    }
    slot.next = packet.seq.wrapping_add(bytes);
    slot.follows = order::SEEN;
}

/// The sequence number behind all that passed, this segment too.
///
/// # Safety
/// The slot must be locked.
#[inline(always)]
pub unsafe fn next_with(slot: *mut FlowSlot, packet: &Packet) -> u32 {
    let FlowSlot { next, follows, .. } = unsafe { *slot };
    let end = packet.seq.wrapping_add(packet.payload_len);
    if follows == order::UNKNOWN || end.wrapping_sub(next) as i32 > 0 { end } else { next }
}

/// The segment passed: what is in order comes behind it, if it did not pass before.
///
/// # Safety
/// The slot must be locked.
#[inline(always)]
pub unsafe fn follow(slot: *mut FlowSlot, packet: &Packet) {
    let slot = unsafe { &mut *slot };
    let end = packet.seq.wrapping_add(packet.payload_len);
    if slot.follows == order::UNKNOWN || end.wrapping_sub(slot.next) as i32 > 0 {
        slot.next = end;
        slot.follows = order::SEEN;
    }
}

/// Writes the run's record, if there is a run.
///
/// # Safety
/// The slot must be locked; the scratch this CPU's.
#[inline(always)]
pub unsafe fn flush(slot: *mut FlowSlot, passing: &Passing<'_>, scratch: *mut Scratch, windows: u8) {
    let slot = unsafe { &mut *slot };
    if slot.len == 0 {
        return;
    }
    let kind = slot.framing.run_kind;
    let record = unsafe { addr_of_mut!((*scratch).run) };
    // SAFETY: the scratch is this CPU's.
    let written = unsafe {
        (*record).run = plain(slot, passing, kind);
        if kind == KIND_RUN {
            RECORDS.output::<Run>(&(*record).run, u64::from(BPF_RB_NO_WAKEUP))
        } else {
            frame(slot, &mut *record, windows);
            RECORDS.output::<FramedRun>(&*record, u64::from(BPF_RB_NO_WAKEUP))
        }
    };
    if written.is_err() {
        loss::count(LossReason::RingFullRun);
        segment::count_unrecorded(passing.vantage, passing.seen.header.detail, slot.bank, slot.len);
    }
    slot.len = 0;
    slot.framing.counts = [0; 2];
}

#[inline(always)]
fn plain(slot: &FlowSlot, passing: &Passing<'_>, kind: u8) -> Run {
    Run {
        header: Header { kind, bank: slot.bank, time: slot.last_time, ..passing.seen.header },
        tuple: passing.seen.packet.tuple,
        seq: slot.seq,
        len: slot.len,
        ack: slot.ack,
        first_time: slot.first_time,
        cookie: passing.seen.cookie,
        segments: slot.segments,
        pad: [0; 5],
    }
}

/// What is to say of the run's framing.
#[inline(always)]
fn frame(slot: &FlowSlot, record: &mut FramedRun, windows: u8) {
    let framing = &slot.framing;
    record.partial = framing.partial;
    record.counts = framing.counts;
    record.stream_id = framing.stream_id;
    record.length = framing.length;
    record.left = framing.left;
    record.have = framing.have;
    record.windows = windows;
    record.pad = 0;
}
