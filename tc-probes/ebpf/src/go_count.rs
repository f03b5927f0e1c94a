//! Calls of Go functions that somebody wants a metric of: counted here, and nothing is recorded of any one of them.
use aya_ebpf::programs::ProbeContext;
use weft_abi::{GoCount, GoCountKey, GoCountLayout, MAX_BOUNDS};

use crate::{
    kernel::Task,
    loss::{add, add_one},
    maps::{GO_COUNT_LAYOUTS, GO_COUNTS},
    probe::{arguments, count_hit_with_metric},
};

/// The sign of an integer as wide as a word.
const SIGN: u64 = 1 << 63;

#[inline(always)]
pub fn record(ctx: &ProbeContext) {
    let _ = try_record(ctx);
}

/// Whose process it is its netns says. What user space knows of the process does not matter: calls are counted of versions of Go,
/// too, of which nobody knows where a goroutine has its id.
#[inline(always)]
fn try_record(ctx: &ProbeContext) -> Option<()> {
    let (_, metric) = count_hit_with_metric(ctx);
    let key = GoCountKey { metric, pad: 0, netns: Task::current().netns()?.cookie() };
    let count = GO_COUNTS.get_ptr_mut(key)?;
    let layout = GO_COUNT_LAYOUTS.get(metric)?;
    let bucket = if layout.bounds == 0 { 0 } else { measure(ctx, layout, count)? };
    // SAFETY: the map's lookup gave a valid pointer, and no bucket is behind the last.
    unsafe { add_one((&raw mut (*count).calls).cast::<u64>().add(bucket)) }
    Some(())
}

/// Adds the argument to the sum; gives its bucket.
#[inline(always)]
fn measure(ctx: &ProbeContext, layout: &GoCountLayout, count: *mut GoCount) -> Option<usize> {
    let word = *arguments(ctx).get(usize::from(layout.register))?;
    let unused = u32::from(layout.unused_bits) & 63;
    let signed = layout.signed != 0;
    let value = if signed { ((word << unused) as i64 >> unused) as u64 } else { word << unused >> unused };
    let high = if signed { (value as i64 >> 32) as u64 } else { value >> 32 };
    // SAFETY: the map's lookup gave a valid pointer.
    unsafe {
        add(&raw mut (*count).sum_low, value & u64::from(u32::MAX));
        add(&raw mut (*count).sum_high, high);
    }
    let flip = if signed { SIGN } else { 0 };
    for (bucket, upper) in layout.upper.iter().enumerate() {
        if bucket >= usize::from(layout.bounds) || value ^ flip <= *upper ^ flip {
            return Some(bucket);
        }
    }
    Some(MAX_BOUNDS)
}
