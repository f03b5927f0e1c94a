//! Lines of the log about what strangers' programs are like: they must not fill the disk.
use std::time::{Duration, Instant};

/// So many lines at once.
const BURST: u32 = 20;
/// And then one in so long.
const INTERVAL: Duration = Duration::from_secs(5);

/// Counts lines, and those that were left out.
pub struct LogLimit {
    lines: u32,
    since: Instant,
    left_out: u64,
}

impl LogLimit {
    /// Nothing was said yet.
    pub fn new(now: Instant) -> Self {
        Self { lines: BURST, since: now, left_out: 0 }
    }

    /// Whether one more line may be written: then how many were left out before it.
    pub fn line(&mut self, now: Instant) -> Option<u64> {
        let earned = now.saturating_duration_since(self.since).as_secs() / INTERVAL.as_secs();
        self.since += INTERVAL * u32::try_from(earned).unwrap_or(u32::MAX);
        self.lines = self.lines.saturating_add(u32::try_from(earned).unwrap_or(u32::MAX)).min(BURST);
        if self.lines == 0 {
            self.left_out += 1;
            return None;
        }
        self.lines -= 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_a_few_lines_and_the_next_one_says_how_many_were_not() {
        let start = Instant::now();
        let mut limit = LogLimit::new(start);
        let lines = (0..1000).filter_map(|_| limit.line(start)).count();
        assert_eq!(lines, BURST as usize);
        assert_eq!(limit.line(start + INTERVAL), Some(1000 - u64::from(BURST)));
        assert_eq!(limit.line(start + INTERVAL), None);
        let later = start + 1000 * INTERVAL;
        assert_eq!((0..1000).filter_map(|_| limit.line(later)).count(), BURST as usize);
    }
}
