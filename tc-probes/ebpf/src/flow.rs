//! What user space wants of a flow, and what of a segment that leaves to record.
use aya_ebpf::programs::TcContext;
use core::ptr::{addr_of, addr_of_mut, read_volatile};
use weft_abi::{FlowKey, FlowRef, FlowSlot, KIND_RUN, Tuple, Vantage, WANT_FRAMES, WANT_FROM, WANT_NONE};

use crate::{
    framing,
    maps::{FLOW_FILTER, FLOWS, SLOTS, Scratch, Seen},
    packet::Packet,
    run,
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
    /// Record what comes behind so many bytes of its payload: those are in a run.
    Rest(u32),
}

/// A segment of a flow.
pub struct Passing<'a> {
    pub ctx: &'a TcContext,
    pub seen: &'a Seen,
    /// This CPU's counters of its device.
    pub vantage: *mut Vantage,
}

/// A flow's slot, which is this program's until it is released.
#[derive(Clone, Copy)]
pub struct Held {
    pub slot: *mut FlowSlot,
    pub number: u32,
}

/// Adds the segment to its flow's run, or ends the run.
#[inline(always)]
pub fn decide(passing: &Passing<'_>, scratch: *mut Scratch) -> Decision {
    let Seen { packet, header, .. } = passing.seen;
    if !may_have_slot(&packet.tuple) {
        return Decision::Record(0);
    }
    let key = FlowKey { netns: header.netns, tuple: packet.tuple, ifindex: header.ifindex };
    let Some(held) = hold(&key) else { return Decision::Record(0) };
    // SAFETY: `hold` gave a slot of the map, which is this program's until `release`.
    unsafe {
        let decision = step(held, passing, scratch);
        release(held.slot);
        decision
    }
}

/// Whether user space may have said something of the flow.
#[inline(always)]
fn may_have_slot(tuple: &Tuple) -> bool {
    let bit = tuple.filter_bit() as usize;
    let Some(words) = FLOW_FILTER.get(0) else { return true };
    words.get(bit / 64).is_none_or(|word| {
        // SAFETY: user space writes it at any time, in one store.
        unsafe { read_volatile(word) >> (bit % 64) & 1 != 0 }
    })
}

/// The flow's slot, locked. None where there is none, or another holds it for long.
#[inline(always)]
fn hold(key: &FlowKey) -> Option<Held> {
    // SAFETY: the value is copied at once; entries are replaced, never changed.
    let FlowRef { slot: number, serial } = unsafe { *FLOWS.get(key)? };
    let slot = SLOTS.get_ptr_mut(number)?;
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
    Some(Held { slot, number })
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
/// The slot must be locked; the scratch this CPU's.
#[inline(always)]
unsafe fn step(held: Held, passing: &Passing<'_>, scratch: *mut Scratch) -> Decision {
    let (slot, packet) = (held.slot, &passing.seen.packet);
    // SAFETY: user space writes the want at any time, in one store.
    let want = unsafe { read_volatile(addr_of!((*slot).want)) };
    if (want >> 32) as u32 >= WANT_FRAMES {
        // SAFETY: as for this one.
        return unsafe { framing::step(held, want, passing, scratch) };
    }
    let skipped = unwanted(want, packet);
    // SAFETY: the slot is locked.
    unsafe {
        if skipped.whole && run::follows(slot, packet) && run::has_room(slot, passing) {
            run::join(slot, passing, packet.payload_len, KIND_RUN);
            return Decision::Joined;
        }
        run::flush(slot, passing, scratch, 0);
        run::follow(slot, packet);
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
    let (len, plain) = (packet.payload_len, packet.is_plain());
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
