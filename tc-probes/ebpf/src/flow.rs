//! What user space wants of a flow, and the run of segments that is gathered where it wants nothing.
use aya_ebpf::bindings::BPF_RB_NO_WAKEUP;
use core::ptr::{addr_of, addr_of_mut, read_volatile};
use weft_abi::{
    FlowKey, FlowRef, FlowSlot, Header, KIND_RUN, LossReason, MAX_RUN, Run, WANT_FROM, WANT_NONE, tcp_flag,
};

use crate::{
    loss,
    maps::{FLOWS, RECORDS, SLOTS, Scratch},
    packet::Packet,
};

/// How often a program asks for a slot that another CPU, or user space, holds. Each holds it for some tens of
/// instructions; who does not get it records the segment as if there were no slot.
const TRIES: u32 = 64;

/// What to do with a segment.
pub enum Decision {
    /// Its bytes are in the flow's run: there is nothing to record.
    Joined,
    /// Record it; so many bytes at its payload's beginning are not wanted.
    Record(u32),
}

/// A segment of a flow.
pub struct Passing<'a> {
    pub packet: &'a Packet,
    /// Of the segment's record.
    pub header: &'a Header,
    pub cookie: u64,
}

/// Bytes for which no record could be written, and the bank that they were counted in.
#[derive(Default)]
pub struct Unrecorded {
    pub bytes: u32,
    pub bank: u8,
}

/// Adds the segment to its flow's run, or ends the run.
#[inline(always)]
pub fn decide(passing: &Passing<'_>, scratch: *mut Scratch, lost: &mut Unrecorded) -> Decision {
    let Passing { packet, header, .. } = passing;
    let key = FlowKey { netns: header.netns, tuple: packet.tuple, ifindex: header.ifindex };
    let Some(slot) = hold(&key) else { return Decision::Record(0) };
    // SAFETY: `hold` gave a slot of the map, which is this program's until `release`.
    unsafe {
        let decision = step(slot, passing, scratch, lost);
        release(slot);
        decision
    }
}

/// The flow's slot, locked. None where there is none, or another holds it for long.
#[inline(always)]
fn hold(key: &FlowKey) -> Option<*mut FlowSlot> {
    // SAFETY: the value is copied at once; entries are replaced, never changed.
    let FlowRef { slot, serial } = unsafe { *FLOWS.get(key)? };
    let slot = SLOTS.get_ptr_mut(slot)?;
    // SAFETY: the map's lookup gave a valid pointer; who changes a slot holds its lock.
    unsafe {
        if !lock(slot) {
            return None;
        }
        if (*slot).serial != serial {
            release(slot);
            return None;
        }
    }
    Some(slot)
}

/// # Safety
/// `slot` must be an element of the map.
#[inline(always)]
unsafe fn lock(slot: *mut FlowSlot) -> bool {
    for _ in 0..TRIES {
        if unsafe { exchange_if_zero(addr_of_mut!((*slot).lock)) } {
            return true;
        }
    }
    false
}

/// Writes 1 where there is 0. In assembly, because the compiler has no compare-and-exchange for this target (kernel >= 5.12
/// has); a full barrier on every machine.
///
/// # Safety
/// `word` must be within a map's value.
#[inline(always)]
unsafe fn exchange_if_zero(word: *mut u64) -> bool {
    let mut before = 0_u64;
    unsafe {
        core::arch::asm!(
            "r0 = cmpxchg_64({0} + 0, r0, {1})",
            in(reg) word,
            in(reg) 1_u64,
            inout("r0") before,
            options(nostack),
        );
    }
    before == 0
}

/// # Safety
/// As [`lock`], which must have been successful.
#[inline(always)]
unsafe fn release(slot: *mut FlowSlot) {
    let word = unsafe { addr_of_mut!((*slot).lock) };
    // An exchange, because it is a full barrier on every machine.
    unsafe {
        core::arch::asm!("{0} = xchg_64({1} + 0, {0})", inout(reg) 0_u64 => _, in(reg) word, options(nostack));
    }
}

/// # Safety
/// The slot must be locked.
#[inline(always)]
unsafe fn step(
    slot: *mut FlowSlot,
    passing: &Passing<'_>,
    scratch: *mut Scratch,
    lost: &mut Unrecorded,
) -> Decision {
    let packet = passing.packet;
    // SAFETY: user space writes the want at any time, in one store.
    let skipped = unwanted(unsafe { read_volatile(addr_of!((*slot).want)) }, packet);
    // SAFETY: the slot is locked.
    unsafe {
        if skipped.whole && joins(slot, passing) {
            join(slot, passing);
            return Decision::Joined;
        }
        flush(slot, passing, scratch, lost);
        follow(slot, packet);
    }
    Decision::Record(skipped.bytes)
}

/// What of a segment's payload is not wanted.
struct Unwanted {
    bytes: u32,
    /// All of it, and what comes right behind it neither: the segment may be part of a run.
    whole: bool,
}

#[inline(always)]
fn unwanted(want: u64, packet: &Packet) -> Unwanted {
    let len = packet.payload_len;
    let plain = len > 0 && packet.flags & (tcp_flag::SYN | tcp_flag::FIN | tcp_flag::RST) == 0;
    match (want >> 32) as u32 {
        WANT_NONE => Unwanted { bytes: len, whole: plain },
        WANT_FROM => {
            let ahead = (want as u32).wrapping_sub(packet.seq) as i32;
            let ahead = if ahead < 0 { 0 } else { ahead as u32 };
            Unwanted { bytes: if ahead < len { ahead } else { len }, whole: plain && len < ahead }
        }
        _ => Unwanted { bytes: 0, whole: false },
    }
}

/// Whether the segment continues the run, or begins one behind what passed in order. The first one that a slot sees is
/// none: it may have been sent again, and user space must hear of that before it hears of anything that comes later.
///
/// # Safety
/// The slot must be locked.
#[inline(always)]
unsafe fn joins(slot: *mut FlowSlot, passing: &Passing<'_>) -> bool {
    let FlowSlot { len, bank, next, follows, .. } = unsafe { *slot };
    let packet = passing.packet;
    let in_order = follows == 1 && next == packet.seq;
    let fits = len == 0 || bank == passing.header.bank && packet.payload_len <= MAX_RUN - len;
    in_order && fits
}

/// # Safety
/// The slot must be locked, and [`joins`] true.
#[inline(always)]
unsafe fn join(slot: *mut FlowSlot, passing: &Passing<'_>) {
    let Passing { packet, header, .. } = passing;
    let slot = unsafe { &mut *slot };
    if slot.len == 0 {
        slot.seq = packet.seq;
        slot.segments = 0;
        slot.first_time = header.time;
        slot.last_time = header.time;
        slot.bank = header.bank;
        slot.vantage = header.vantage;
        slot.direction = header.detail;
    }
    slot.len += packet.payload_len;
    slot.segments += 1;
    slot.ack = packet.acknowledged();
    if slot.last_time < header.time {
        slot.last_time = header.time;
    }
    slot.next = packet.seq.wrapping_add(packet.payload_len);
    slot.follows = 1;
}

/// The segment is recorded: what is in order comes behind it, if it did not pass before.
///
/// # Safety
/// The slot must be locked.
#[inline(always)]
unsafe fn follow(slot: *mut FlowSlot, packet: &Packet) {
    let slot = unsafe { &mut *slot };
    let end = packet.seq.wrapping_add(packet.payload_len);
    if slot.follows == 0 || end.wrapping_sub(slot.next) as i32 > 0 {
        slot.next = end;
        slot.follows = 1;
    }
}

/// Writes the run's record, if there is a run.
///
/// # Safety
/// The slot must be locked; the scratch this CPU's.
#[inline(always)]
unsafe fn flush(slot: *mut FlowSlot, passing: &Passing<'_>, scratch: *mut Scratch, lost: &mut Unrecorded) {
    let slot = unsafe { &mut *slot };
    if slot.len == 0 {
        return;
    }
    let run = unsafe { addr_of_mut!((*scratch).run) };
    let header = Header { kind: KIND_RUN, bank: slot.bank, time: slot.last_time, ..*passing.header };
    unsafe {
        run.write(Run {
            header,
            tuple: passing.packet.tuple,
            seq: slot.seq,
            len: slot.len,
            ack: slot.ack,
            first_time: slot.first_time,
            cookie: passing.cookie,
            segments: slot.segments,
            stream_id: 0,
            data: 0,
            frames: 0,
            left: 0,
            pad: 0,
        });
        if RECORDS.output::<Run>(&*run, u64::from(BPF_RB_NO_WAKEUP)).is_err() {
            loss::count(LossReason::RingFullRun);
            *lost = Unrecorded { bytes: slot.len, bank: slot.bank };
        }
    }
    slot.len = 0;
}
