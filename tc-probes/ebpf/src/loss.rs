use weft_abi::LossReason;

use crate::maps::LOSSES;

/// Counts something that was not recorded, on this CPU.
#[inline(always)]
pub fn count(reason: LossReason) {
    if let Some(counter) = LOSSES.get_ptr_mut(reason as u32) {
        // SAFETY: the map's lookup gave a valid pointer to this CPU's counter.
        unsafe { *counter += 1 }
    }
}
