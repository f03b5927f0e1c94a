//! The memory of the map `SLOTS`, which programs and user space share.
use std::{
    ptr,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

use aya::maps::MapData;
use weft_abi::{
    FlowFraming, FlowSlot, FlowWant, FramingPlace, FramingVerdict, FramingWant, NO_PEER, SLOTS, WANT_CHUNKS,
    WANT_FRAMES, chunk_phase, frame_class, knowledge, order,
};

use crate::{error::Result, mapped::Mapped};

/// What user space says of a frame whose payload comes next.
const PLAIN_DATA: u8 = (frame_class::DATA | frame_class::STREAM | frame_class::PLAIN) as u8;

/// All slots.
pub(crate) struct Slots(Mapped<FlowSlot>);

impl Slots {
    /// Maps the map's memory.
    pub(crate) fn map(map: &MapData) -> Result<Self> {
        Mapped::map(map, "SLOTS", SLOTS as usize).map(Self)
    }

    /// The slot with this number; the first one where there is none such.
    fn slot(&self, number: u32) -> *mut FlowSlot {
        self.0.element(number as usize)
    }

    fn lock_word(&self, number: u32) -> &AtomicU64 {
        // SAFETY: within the mapping and aligned; programs, too, access it by atomic instructions alone.
        unsafe { AtomicU64::from_ptr(&raw mut (*self.slot(number)).lock) }
    }

    /// Says what is wanted of the slot's flow.
    pub(crate) fn want(&self, number: u32, want: FlowWant) {
        // SAFETY: as for the lock; programs read it by one load.
        let word = unsafe { AtomicU64::from_ptr(&raw mut (*self.slot(number)).want) };
        word.store(word_of(want), Ordering::Release);
    }

    /// What kind of want a slot has.
    pub(crate) fn kind(&self, number: u32) -> u32 {
        // SAFETY: as above.
        let word = unsafe { AtomicU64::from_ptr(&raw mut (*self.slot(number)).want) };
        (word.load(Ordering::Acquire) >> 32) as u32
    }

    /// The same for a flow whose framing is read. What the program reads from a place that was found right stays. Says whether
    /// no program held the slot.
    pub(crate) fn want_framing(&self, number: u32, want: FlowWant, framing: FramingWant) -> bool {
        let told = || {
            let slot = self.slot(number);
            // SAFETY: within the mapping, and locked.
            let held = unsafe { ptr::read_volatile(slot) };
            let known = found_by(&held, judged(held.framing, framing.verdict), want, framing);
            let FramingWant { stream_id, limits, max_frame, .. } = framing;
            // SAFETY: as above.
            unsafe {
                let told = FlowFraming { stream_id, limits, max_frame, ..known };
                ptr::write_volatile(&raw mut (*slot).framing, told);
            }
            self.want(number, want);
        };
        self.locked(number, told).is_some()
    }

    /// Two slots are of one connection's two directions.
    pub(crate) fn link(&self, one: u32, other: u32) {
        for (number, peer) in [(one, other), (other, one)] {
            // SAFETY: within the mapping; programs read it by one load.
            let word = unsafe { AtomicU32::from_ptr(&raw mut (*self.slot(number)).peer) };
            word.store(peer, Ordering::Release);
        }
    }

    /// Readies a slot that is no flow's; gives its serial number.
    pub(crate) fn begin(&self, number: u32, want: FlowWant) -> u32 {
        let slot = self.slot(number);
        // SAFETY: within the mapping. Nothing points to this slot with its serial number, so no program writes more of it
        // than the lock.
        let serial = unsafe {
            let serial = ptr::read_volatile(&raw const (*slot).serial);
            ptr::write_volatile(slot, FlowSlot { serial, ..ready(want) });
            serial
        };
        self.lock_word(number).store(0, Ordering::SeqCst);
        serial
    }

    /// Whether nothing is being gathered. May be out of date as soon as it is known.
    pub(crate) fn is_empty(&self, number: u32) -> bool {
        // SAFETY: within the mapping.
        unsafe { ptr::read_volatile(&raw const (*self.slot(number)).len) == 0 }
    }

    /// How far the slot's flow has come: the number behind what passed in order. May be out of date as soon as it is known.
    pub(crate) fn next(&self, number: u32) -> u32 {
        // SAFETY: within the mapping.
        unsafe { ptr::read_volatile(&raw const (*self.slot(number)).next) }
    }

    /// Takes what was gathered; `end` makes the slot nobody's. None while a program holds it.
    pub(crate) fn take(&self, number: u32, end: bool) -> Option<Option<FlowSlot>> {
        self.locked(number, || self.empty(number, end))
    }

    /// The same, whoever holds the lock.
    pub(crate) fn break_lock(&self, number: u32) -> Option<FlowSlot> {
        let gathered = self.empty(number, true);
        self.lock_word(number).store(0, Ordering::SeqCst);
        gathered
    }

    fn locked<T>(&self, number: u32, act: impl FnOnce() -> T) -> Option<T> {
        let lock = self.lock_word(number);
        lock.compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst).ok()?;
        let done = act();
        lock.store(0, Ordering::SeqCst);
        Some(done)
    }

    fn empty(&self, number: u32, end: bool) -> Option<FlowSlot> {
        let slot = self.slot(number);
        // SAFETY: within the mapping, and locked.
        let held = unsafe {
            let held = ptr::read_volatile(slot);
            ptr::write_volatile(&raw mut (*slot).len, 0);
            ptr::write_volatile(&raw mut (*slot).framing.counts, [0; 2]);
            if end {
                ptr::write_volatile(&raw mut (*slot).serial, held.serial.wrapping_add(1));
            }
            held
        };
        (held.len > 0).then_some(held)
    }
}

fn word_of(want: FlowWant) -> u64 {
    u64::from(want.kind) << 32 | u64::from(want.argument)
}

/// A slot for this want. Where user space knows where in the framing the flow is, the program may go on there: if nothing
/// passed since.
fn ready(want: FlowWant) -> FlowSlot {
    let slot = FlowSlot { want: word_of(want), peer: NO_PEER, ..FlowSlot::default() };
    let Some(FramingWant { stream_id, limits, max_frame, place, .. }) = want.framing else { return slot };
    let known = place.map_or_else(FlowFraming::default, |place| at_place(want, place));
    let framing = FlowFraming { stream_id, limits, max_frame, ..known };
    let Some(place) = place else { return FlowSlot { framing, ..slot } };
    FlowSlot { next: place.seq, follows: order::TOLD, framing, ..slot }
}

/// A place from which the program may go on.
fn at_place(want: FlowWant, FramingPlace { seq, left, .. }: FramingPlace) -> FlowFraming {
    FlowFraming {
        anchor: seq.wrapping_add(left),
        left,
        have: if want.kind == WANT_CHUNKS && left == 0 { chunk_phase::SIZE } else { 0 },
        class: if want.kind == WANT_FRAMES { PLAIN_DATA } else { 0 },
        known: knowledge::TOLD,
        ..FlowFraming::default()
    }
}

/// What is known of a flow when user space says where a chunk ends, or a line with a size begins. Where that has passed, and
/// the chunks are alike so far, one of those that follow will end so many whole periods later: if it does not, the program
/// finds no line there, or user space finds the place wrong.
fn found_by(held: &FlowSlot, known: FlowFraming, want: FlowWant, told: FramingWant) -> FlowFraming {
    let of_use = want.kind == WANT_CHUNKS && known.known == knowledge::NONE && held.follows == order::SEEN;
    let Some(FramingPlace { seq, left, period }) = told.place.filter(|_| of_use) else { return known };
    let ahead = seq.wrapping_add(left).wrapping_sub(held.next) as i32;
    let next = |left| at_place(want, FramingPlace { seq: held.next, left, period });
    match ahead {
        1.. => next(ahead.unsigned_abs()),
        0 if left == 0 => next(0),
        _ if left > 0 && period > 0 => next(period - ahead.unsigned_abs() % period),
        _ => known,
    }
}

/// What is known once user space has said whether the program began at the right place: if it still is where it began there.
fn judged(framing: FlowFraming, verdict: Option<FramingVerdict>) -> FlowFraming {
    let known = match verdict.filter(|verdict| verdict.seq == framing.anchor) {
        Some(FramingVerdict { right: true, .. }) if framing.known == knowledge::BEGUN => knowledge::RIGHT,
        Some(FramingVerdict { right: false, .. }) if framing.known == knowledge::BEGUN => knowledge::NONE,
        _ => framing.known,
    };
    FlowFraming { known, ..framing }
}
