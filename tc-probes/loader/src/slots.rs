//! The memory of the map `SLOTS`, which programs and user space share.
use std::{
    os::fd::AsFd as _,
    ptr::{self, NonNull},
    sync::atomic::{AtomicU64, Ordering},
};

use aya::maps::MapData;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use weft_abi::{FlowSlot, FlowWant, SLOTS};

use crate::error::{IoContext as _, Result};

const BYTES: usize = SLOTS as usize * size_of::<FlowSlot>();

/// All slots.
pub(crate) struct Slots {
    base: NonNull<FlowSlot>,
}

// SAFETY: the mapping belongs to no thread, and everything in it is read and written as shared memory.
unsafe impl Send for Slots {}

/// A run that was taken out of a slot: see [`FlowSlot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gathered {
    pub(crate) seq: u32,
    pub(crate) len: u32,
    pub(crate) ack: u32,
    pub(crate) segments: u32,
    pub(crate) first_time: u64,
    pub(crate) last_time: u64,
    pub(crate) bank: u8,
    pub(crate) vantage: u8,
    pub(crate) direction: u8,
}

impl Slots {
    /// Maps the map's memory.
    pub(crate) fn map(map: &MapData) -> Result<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base = unsafe { mmap(ptr::null_mut(), BYTES, protection, MapFlags::SHARED, map.fd().as_fd(), 0) }
            .map_err(std::io::Error::from)
            .at("the map SLOTS")?;
        let base = NonNull::new(base.cast()).ok_or(std::io::Error::from(std::io::ErrorKind::OutOfMemory));
        Ok(Self { base: base.at("the map SLOTS")? })
    }

    /// The slot with this number; the first one where there is none such.
    fn slot(&self, number: u32) -> *mut FlowSlot {
        let number = if number < SLOTS { number as usize } else { 0 };
        // SAFETY: within the mapping, which has SLOTS elements.
        unsafe { self.base.as_ptr().add(number) }
    }

    fn lock_word(&self, number: u32) -> &AtomicU64 {
        // SAFETY: within the mapping and aligned; programs, too, access it by atomic instructions alone.
        unsafe { AtomicU64::from_ptr(&raw mut (*self.slot(number)).lock) }
    }

    /// Says what is wanted of the slot's flow.
    pub(crate) fn want(&self, number: u32, want: FlowWant) {
        // SAFETY: as for the lock; programs read it by one load.
        let word = unsafe { AtomicU64::from_ptr(&raw mut (*self.slot(number)).want) };
        word.store(u64::from(want.kind) << 32 | u64::from(want.argument), Ordering::Release);
    }

    /// Readies a slot that is no flow's; gives its serial number.
    pub(crate) fn begin(&self, number: u32, want: FlowWant) -> u32 {
        let slot = self.slot(number);
        // SAFETY: within the mapping. Nothing points to this slot with its serial number, so no program writes more of it
        // than the lock.
        let serial = unsafe {
            let serial = ptr::read_volatile(&raw const (*slot).serial);
            let (lock, want) = (0, u64::from(want.kind) << 32 | u64::from(want.argument));
            ptr::write_volatile(slot, FlowSlot { lock, want, serial, ..FlowSlot::default() });
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
    pub(crate) fn take(&self, number: u32, end: bool) -> Option<Option<Gathered>> {
        let lock = self.lock_word(number);
        lock.compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst).ok()?;
        let gathered = self.empty(number, end);
        lock.store(0, Ordering::SeqCst);
        Some(gathered)
    }

    /// The same, whoever holds the lock.
    pub(crate) fn break_lock(&self, number: u32) -> Option<Gathered> {
        let gathered = self.empty(number, true);
        self.lock_word(number).store(0, Ordering::SeqCst);
        gathered
    }

    fn empty(&self, number: u32, end: bool) -> Option<Gathered> {
        let slot = self.slot(number);
        // SAFETY: within the mapping, and locked.
        let held = unsafe {
            let held = ptr::read_volatile(slot);
            ptr::write_volatile(&raw mut (*slot).len, 0);
            if end {
                ptr::write_volatile(&raw mut (*slot).serial, held.serial.wrapping_add(1));
            }
            held
        };
        let FlowSlot { seq, len, ack, segments, first_time, last_time, bank, vantage, direction, .. } = held;
        let gathered = Gathered { seq, len, ack, segments, first_time, last_time, bank, vantage, direction };
        (len > 0).then_some(gathered)
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        // SAFETY: the mapping that `map` made, to which nothing refers any more. Fails only for a wrong address.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), BYTES) };
    }
}
