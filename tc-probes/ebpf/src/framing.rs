//! Flows whose framing the program reads, so that user space need not: it is told what passed, and where in the framing that
//! ended. User space is always late, so it cannot say where the flow is by now. So the program guesses where a unit of framing
//! begins, says so ([`Border`]), and reads from there on; user space, which still gets all bytes, finds the place right or
//! wrong. From a place that is right everything behind it follows, as long as segments are in order.
use aya_ebpf::bindings::{__sk_buff, BPF_RB_NO_WAKEUP};
use core::ptr::{addr_of, addr_of_mut, read_volatile};
use weft_abi::{
    Border, FlowSlot, Header, KIND_BORDER, KIND_CHUNK_RUN, KIND_FRAME_RUN, KIND_UPDATE_RUN, NO_LIMIT,
    WANT_CHUNKS, WANT_FRAMES, WANT_UPDATES, chunk_phase, knowledge, order,
};

use crate::{
    chunks,
    flow::{Decision, Held, Passing},
    frames,
    maps::{RECORDS, SLOTS, Scratch},
    reading::{Reader, SEARCHED, forget, get, set},
    run, updates,
};

/// Reads the segment's framing. What of it is not wanted joins the run. Between the steps everything is in memory, so that the
/// verifier follows each once.
///
/// # Safety
/// The slot must be locked; the scratch this CPU's.
#[inline(always)]
pub unsafe fn step(held: Held, want: u64, passing: &Passing<'_>, scratch: *mut Scratch) -> Decision {
    let (slot, packet) = (held.slot, &passing.seen.packet);
    // SAFETY: the scratch is this CPU's.
    let reader = unsafe { Reader::of(scratch) };
    set!(reader, payload_offset, packet.payload_offset);
    set!(reader, payload_len, packet.payload_len);
    set!(reader, kind, (want >> 32) as u32);
    // SAFETY: the slot is locked.
    let may_join = unsafe {
        windows(held, &reader)
            && packet.is_plain()
            && is_right(slot)
            && run::follows(slot, packet)
            && run::has_room(slot, passing)
    };
    set!(reader, may_join, u32::from(may_join));
    forget();
    if get!(reader, may_join) == 0 {
        // SAFETY: as for this function.
        unsafe { run::flush(slot, passing, scratch, 0) };
    }
    // SAFETY: as for this function.
    unsafe { begin(slot, passing, &reader) };
    forget();
    read(passing.ctx.skb.skb, &reader);
    forget();
    if get!(reader, begun) == 1 {
        // SAFETY: as for this function.
        unsafe { announce(slot, passing, &reader) };
    }
    forget();
    // SAFETY: as for this function.
    unsafe { finish(slot, passing, scratch, &reader) }
}

/// Whether user space found right where the program began.
///
/// # Safety
/// The slot must be locked.
#[inline(always)]
unsafe fn is_right(slot: *mut FlowSlot) -> bool {
    unsafe { (*slot).framing.known == knowledge::RIGHT }
}

/// Copies what is known of the flow for reading, or searches for a place to begin.
///
/// # Safety
/// As [`step`].
#[inline(always)]
unsafe fn begin(slot: *mut FlowSlot, passing: &Passing<'_>, reader: &Reader) {
    let packet = &passing.seen.packet;
    let slot = unsafe { &*slot };
    unsafe { addr_of_mut!((*reader.reading).framing).write_volatile(slot.framing) };
    set!(reader, at, 0);
    set!(reader, odd, 0);
    set!(reader, joins, 0);
    set!(reader, line, 0);
    set!(reader, found, u32::MAX);
    set!(reader, begun, 0);
    if slot.follows != order::UNKNOWN {
        move_to(packet.seq.wrapping_sub(slot.next) as i32, reader);
    } else {
        set!(reader, framing.known, knowledge::NONE);
    }
    if get!(reader, framing.known) == knowledge::TOLD {
        set!(reader, framing.known, knowledge::BEGUN);
        set!(reader, begun, 1);
    }
    if get!(reader, framing.known) != knowledge::NONE || reader.rest() == 0 {
        unsafe { addr_of_mut!((*reader.reading).bytes).cast::<u64>().write_volatile(slot.framing.partial) };
    } else {
        find(passing, reader);
    }
}

/// The segment begins so many bytes behind the place that was reached: before it, where bytes pass again, or with a hole
/// between them.
#[inline(always)]
fn move_to(ahead: i32, reader: &Reader) {
    if ahead < 0 {
        let again = ahead.unsigned_abs();
        let len = get!(reader, payload_len);
        set!(reader, at, if again < len { again } else { len });
    }
    if ahead > 0 {
        let left = get!(reader, framing.left);
        // A hole within a payload hides nothing. (Of chunks, it says the phase.)
        if get!(reader, framing.have) == chunk_phase::DATA && left > ahead as u32 {
            set!(reader, framing.left, left - ahead as u32);
        } else {
            set!(reader, framing.known, knowledge::NONE);
        }
    }
}

/// Searches the segment for a place to begin.
#[inline(always)]
fn find(passing: &Passing<'_>, reader: &Reader) {
    set!(reader, framing.sums, [0; 2]);
    set!(reader, framing.partial, 0);
    set!(reader, framing.left, 0);
    set!(reader, framing.length, 0);
    set!(reader, framing.have, 0);
    set!(reader, framing.class, 0);
    let len = reader.load_searched(passing.ctx);
    let place = match get!(reader, kind) {
        WANT_FRAMES => frames::weft_find_frame(len),
        WANT_CHUNKS => chunks::weft_find_chunk(len),
        // Nearly all segments of this direction begin with a frame.
        _ => 0,
    };
    if place < SEARCHED {
        reader.advance(place);
        set!(reader, framing.have, if get!(reader, kind) == WANT_CHUNKS { chunk_phase::SIZE } else { 0 });
        set!(reader, framing.anchor, passing.seen.packet.seq.wrapping_add(get!(reader, at)));
        set!(reader, framing.known, knowledge::BEGUN);
        set!(reader, begun, 1);
    }
}

#[inline(always)]
fn read(ctx: *mut __sk_buff, reader: &Reader) {
    match get!(reader, kind) {
        WANT_FRAMES => frames::read(ctx, reader),
        WANT_CHUNKS => chunks::read(ctx, reader),
        _ => updates::read(ctx, reader),
    }
    if get!(reader, framing.have) > 0 && get!(reader, kind) != WANT_CHUNKS {
        // SAFETY: the scratch is this CPU's.
        let bytes = unsafe { addr_of!((*reader.reading).bytes).cast::<u64>().read_volatile() };
        set!(reader, framing.partial, bytes);
    }
}

/// Tells user space where the program began. Where that finds no room, it begins anew.
///
/// # Safety
/// As [`step`].
#[inline(always)]
unsafe fn announce(slot: *mut FlowSlot, passing: &Passing<'_>, reader: &Reader) {
    let odd_at_once =
        get!(reader, kind) == WANT_UPDATES && get!(reader, odd) == 1 && get!(reader, joins) == 0;
    if get!(reader, framing.known) == knowledge::NONE || odd_at_once {
        return set!(reader, framing.known, knowledge::NONE);
    }
    let packet = &passing.seen.packet;
    let record = Border {
        header: Header { kind: KIND_BORDER, ..passing.seen.header },
        tuple: packet.tuple,
        seq: get!(reader, framing.anchor),
        // SAFETY: the slot is locked.
        next: unsafe { run::next_with(slot, packet) },
        pad: 0,
    };
    if RECORDS.output::<Border>(&record, u64::from(BPF_RB_NO_WAKEUP)).is_err() {
        set!(reader, framing.known, knowledge::NONE);
    }
}

/// The segment is read: what is to record of it.
///
/// # Safety
/// As [`step`].
#[inline(always)]
unsafe fn finish(
    slot: *mut FlowSlot,
    passing: &Passing<'_>,
    scratch: *mut Scratch,
    reader: &Reader,
) -> Decision {
    let len = passing.seen.packet.payload_len;
    if get!(reader, may_join) == 0 {
        set!(reader, joins, 0);
    } else if get!(reader, odd) == 0 {
        set!(reader, joins, len);
    }
    let (joins, kind) = (get!(reader, joins), get!(reader, kind));
    // SAFETY: the slot is locked, the scratch this CPU's.
    unsafe {
        let before = (*slot).framing.sums;
        if joins > 0 {
            run::join(slot, passing, joins, run_kind(kind));
            keep(slot, reader);
        }
        let sums = (*slot).framing.sums;
        let changed = changed(reader, before, sums);
        if joins < len || changed != 0 {
            run::flush(slot, passing, scratch, changed);
        }
        if joins < len {
            restore(slot, reader);
            run::follow(slot, &passing.seen.packet);
        }
    }
    match joins {
        joins if joins == len && len > 0 => Decision::Joined,
        0 => Decision::Record(0),
        joins => Decision::Rest(joins),
    }
}

#[inline(always)]
fn run_kind(kind: u32) -> u8 {
    match kind {
        WANT_FRAMES => KIND_FRAME_RUN,
        WANT_CHUNKS => KIND_CHUNK_RUN,
        _ => KIND_UPDATE_RUN,
    }
}

/// The flow is where what joined the run ends: behind all of the segment, or where something that is wanted begins.
///
/// # Safety
/// As [`step`].
#[inline(always)]
unsafe fn keep(slot: *mut FlowSlot, reader: &Reader) {
    let framing = unsafe { &mut (*slot).framing };
    let run_kind = framing.run_kind;
    *framing = get!(reader, framing);
    framing.run_kind = run_kind;
    if get!(reader, odd) == 1 {
        framing.sums = get!(reader, joined_sums);
        (framing.left, framing.length, framing.partial) = (0, 0, 0);
        framing.have = if get!(reader, kind) == WANT_CHUNKS { chunk_phase::DATA_END } else { 0 };
    }
}

/// The flow is behind all of the segment.
///
/// # Safety
/// As [`step`].
#[inline(always)]
unsafe fn restore(slot: *mut FlowSlot, reader: &Reader) {
    let framing = unsafe { &mut (*slot).framing };
    *framing = get!(reader, framing);
    framing.counts = [0; 2];
}

/// Which windows DATA used up, or updates opened that were used up.
#[inline(always)]
fn changed(reader: &Reader, before: [u64; 2], after: [u64; 2]) -> u8 {
    let mut changed = 0;
    let windows = get!(reader, windows);
    let data = get!(reader, kind) == WANT_FRAMES;
    for which in 0..2 {
        let limit = i64::from(windows.limits[which]);
        let other = windows.sums[which] as i64;
        let (before, after) = (before[which] as i64, after[which] as i64);
        let bit = if data {
            limit + other - after <= 0
        } else {
            limit + before - other <= 0 && limit + after - other > 0
        };
        if bit && windows.limits[which] != NO_LIMIT {
            changed |= 1 << which;
        }
    }
    changed
}

/// What is to know of the windows, with what the other direction's slot says; says whether all of it is known.
///
/// # Safety
/// As [`step`].
#[inline(always)]
unsafe fn windows(held: Held, reader: &Reader) -> bool {
    set!(reader, windows.limits, [NO_LIMIT; 2]);
    let kind = get!(reader, kind);
    // SAFETY: the slot is locked.
    let (number, limits) = unsafe { ((*held.slot).peer, (*held.slot).framing.limits) };
    if kind == WANT_CHUNKS || kind == WANT_FRAMES && limits == [NO_LIMIT; 2] {
        return true;
    }
    let Some(peer) = SLOTS.get_ptr_mut(number) else { return false };
    let other = if kind == WANT_FRAMES { WANT_UPDATES } else { WANT_FRAMES };
    // SAFETY: an element of the map. It is not locked: each word is read by one load, the sums before what says that they are
    // of use.
    let (sums, limits, known) = unsafe {
        let sums = [
            read_volatile(addr_of!((*peer).framing.sums[0])),
            read_volatile(addr_of!((*peer).framing.sums[1])),
        ];
        let of = if kind == WANT_FRAMES { held.slot } else { peer };
        let limits = read_volatile(addr_of!((*of).framing.limits));
        let of_peer = read_volatile(addr_of!((*peer).framing.known));
        // Where no update passed since user space told of the place, none is missing but what user space will have read.
        let nothing_came = kind == WANT_FRAMES && of_peer == knowledge::TOLD;
        let known = (of_peer == knowledge::RIGHT || nothing_came)
            && (read_volatile(addr_of!((*peer).want)) >> 32) as u32 == other
            && read_volatile(addr_of!((*peer).peer)) == held.number;
        (sums, limits, known)
    };
    set!(reader, windows.sums, sums);
    set!(reader, windows.limits, limits);
    known
}
