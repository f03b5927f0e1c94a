//! When user space is woken. It takes what is in the ring on a timer: a wake-up a record would cost the traced CPU an interrupt
//! each. But where much is copied at once, as of a body whose end it has not told yet, it has to hear of that before its time:
//! the ring would be full.
use aya_ebpf::bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP, BPF_RB_RING_SIZE};

use crate::maps::RECORDS;

/// The part of the ring that may wait for the timer.
const TIMERS_SHARE: u64 = 16;

/// The flags of a record of so many bytes: the one with which too much waits wakes user space, and only that one.
#[inline(always)]
pub fn flags(size: usize) -> u64 {
    let waiting = RECORDS.query(u64::from(BPF_RB_AVAIL_DATA));
    let share = RECORDS.query(u64::from(BPF_RB_RING_SIZE)) / TIMERS_SHARE;
    let wakes = waiting < share && waiting + size as u64 >= share;
    u64::from(if wakes { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP })
}
