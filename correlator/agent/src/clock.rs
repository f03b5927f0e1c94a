//! The two clocks.
use rustix::time::{ClockId, Timespec, clock_gettime};
use weft_core::{ClockOffset, Ktime};

/// Now, by the clock of the programs' records.
pub fn monotonic() -> Ktime {
    Ktime(u64::try_from(nanoseconds(clock_gettime(ClockId::Monotonic))).unwrap_or(0))
}

/// Now, in ns since the epoch.
pub fn now() -> u64 {
    u64::try_from(nanoseconds(clock_gettime(ClockId::Realtime))).unwrap_or(0)
}

/// How far the time since the epoch is ahead of the records' clock, now.
pub fn offset() -> ClockOffset {
    let before = nanoseconds(clock_gettime(ClockId::Monotonic));
    let epoch = nanoseconds(clock_gettime(ClockId::Realtime));
    let after = nanoseconds(clock_gettime(ClockId::Monotonic));
    // The two readings are some 100 ns apart: the middle of the outer ones is the best guess for the inner one.
    ClockOffset(epoch - before.midpoint(after))
}

/// The time since the epoch, in ns, that was so many clock ticks after the machine's start (`starttime` of proc_pid_stat(5)).
pub fn of_boot(ticks: u64) -> u64 {
    let hz = rustix::param::clock_ticks_per_second().max(1);
    let (boot, epoch) = (clock_gettime(ClockId::Boottime), clock_gettime(ClockId::Realtime));
    let up = u128::from(ticks) * 1_000_000_000 / u128::from(hz);
    let since = i128::from(nanoseconds(epoch) - nanoseconds(boot)) + i128::try_from(up).unwrap_or(i128::MAX);
    u64::try_from(since).unwrap_or(0)
}

fn nanoseconds(time: Timespec) -> i64 {
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}
