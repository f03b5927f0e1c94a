use std::{fmt::Write as _, time::Instant};

/// How long each step of a call took, for the debug log.
pub(crate) struct Steps {
    began: Instant,
    last: Instant,
    text: String,
}

impl Steps {
    pub(crate) fn start() -> Self {
        let began = Instant::now();
        Self { began, last: began, text: String::new() }
    }

    /// The time since the step before was this one's.
    pub(crate) fn done(&mut self, step: &str) {
        let now = Instant::now();
        let took = now.saturating_duration_since(self.last).as_micros();
        // Writing to a String cannot fail.
        let _ = write!(self.text, " {step}={took}");
        self.last = now;
    }

    /// `us: read=120 ... total=2000`, in microseconds since the process began its work.
    pub(crate) fn summary(&self) -> String {
        format!("us:{} total={}", self.text, self.began.elapsed().as_micros())
    }
}
