use weft_abi::LossReason;

use crate::maps::LOSSES;

/// Counts something that was not recorded, on this CPU.
#[inline(always)]
pub fn count(reason: LossReason) {
    if let Some(counter) = LOSSES.get_ptr_mut(reason as u32) {
        // SAFETY: the map's lookup gave a valid pointer to this CPU's counter.
        unsafe { add_one(counter) }
    }
}

/// Adds one to a counter of this CPU that programs share which interrupt each other: those at probes run in a thread's own
/// time.
///
/// # Safety
/// `counter` must be within a map's value.
#[inline(always)]
pub unsafe fn add_one(counter: *mut u64) {
    unsafe { add(counter, 1) }
}

/// Adds to what others add to at the same time. In assembly, because the compiler would add in three instructions.
///
/// # Safety
/// `counter` must be within a map's value.
#[inline(always)]
pub unsafe fn add(counter: *mut u64, more: u64) {
    unsafe {
        core::arch::asm!("lock *(u64 *)({0} + 0) += {1}", in(reg) counter, in(reg) more, options(nostack));
    }
}
