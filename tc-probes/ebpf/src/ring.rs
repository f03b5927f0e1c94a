//! When user space is woken. It takes what is in the ring on a timer: a wake-up a record would cost the traced CPU an interrupt
//! each. But where much is copied at once, as of a body whose end it has not told yet, it has to hear of that before its time:
//! the ring would be full.
use aya_ebpf::bindings::{
    BPF_RB_AVAIL_DATA, BPF_RB_CONS_POS, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP, BPF_RB_RING_SIZE,
};
use core::ptr::{read_volatile, write_volatile};

use crate::maps::{RECORDS, WOKEN};

/// The part of the ring that may wait for the timer.
const TIMERS_SHARE: u64 = 16;
/// A CPU looks how much waits once in so many bytes of its records: the ring's two positions are on pages that all CPUs write.
const LOOK_EVERY: u64 = 4096;

/// The flags of a record of so many bytes: the one with which a CPU finds that too much waits wakes user space, and no other one
/// before something was taken.
///
/// # Safety
/// `unwatched`, the bytes of this CPU's records since it looked, must be this CPU's.
#[inline(always)]
pub unsafe fn flags(unwatched: *mut u64, size: usize) -> u64 {
    // SAFETY: nobody else writes there during a run.
    let unwatched = unsafe { &mut *unwatched };
    *unwatched += size as u64;
    if *unwatched < LOOK_EVERY {
        return u64::from(BPF_RB_NO_WAKEUP);
    }
    *unwatched = 0;
    let waiting = RECORDS.query(u64::from(BPF_RB_AVAIL_DATA)) + size as u64;
    if waiting < RECORDS.query(u64::from(BPF_RB_RING_SIZE)) / TIMERS_SHARE {
        return u64::from(BPF_RB_NO_WAKEUP);
    }
    u64::from(if is_first() { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP })
}

/// Whether nobody woke user space since it took something. Two that ask at once may both be it.
#[inline(always)]
fn is_first() -> bool {
    // Positions are multiples of 8: so 0 is none.
    let here = RECORDS.query(u64::from(BPF_RB_CONS_POS)) | 1;
    let Some(woken) = WOKEN.get_ptr_mut(0) else { return true };
    // SAFETY: the map's lookup gave a valid pointer.
    unsafe {
        let first = read_volatile(woken) != here;
        write_volatile(woken, here);
        first
    }
}
