//! What was used of a processor: others on the machine do not count.
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// By this clock: a thread's, or a process's.
pub fn time(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}
