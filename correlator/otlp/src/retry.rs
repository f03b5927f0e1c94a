//! When a request is sent again: exponential backoff with jitter, and what the backend asks for instead (OTLP specification,
//! "Retryable response codes", "OTLP/HTTP throttling").
use std::time::Duration;

/// Before the second attempt.
const FIRST: Duration = Duration::from_millis(500);
/// The longest wait that weft chooses by itself.
const LONGEST: Duration = Duration::from_secs(30);

/// The waits between the attempts of one request.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Backoff {
    /// How long to wait now. `asked`: the backend's own wish, which is a least; `jitter` is from 0 to 1: many agents lose their
    /// backend at once, and must not all return at once.
    pub(crate) fn wait(&mut self, asked: Option<Duration>, jitter: f64) -> Duration {
        let own = self.next.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0));
        self.next = (self.next * 2).min(LONGEST);
        asked.map_or(own, |asked| asked.saturating_add(own.min(asked / 4)).max(own))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..8).map(|_| backoff.wait(None, 1.0).as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
    }

    #[test]
    fn jitter_takes_up_to_half() {
        assert_eq!(Backoff::default().wait(None, 0.0), Duration::from_millis(250));
        assert_eq!(Backoff::default().wait(None, 0.5), Duration::from_millis(375));
    }

    #[test]
    fn a_backend_that_asks_for_time_gets_it() {
        let mut backoff = Backoff::default();
        for jitter in [0.0, 0.3, 1.0] {
            let wait = backoff.wait(Some(Duration::from_secs(2)), jitter);
            assert!((Duration::from_secs(2)..=Duration::from_millis(2500)).contains(&wait), "{wait:?}");
        }
        assert_eq!(Backoff::default().wait(Some(Duration::ZERO), 1.0), FIRST);
        assert_eq!(Backoff::default().wait(Some(Duration::MAX), 1.0), Duration::MAX);
    }
}
