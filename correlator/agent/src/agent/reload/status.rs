//! What became of the configuration file, for whoever asks: `/readyz` and the metrics.
use std::fmt;

/// At one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// How often the file was judged since the start.
    pub counts: Counts,
    /// Why what the file says now is not in force: file, line, key and reason.
    pub refused: Option<String>,
    /// Keys whose values in the file wait for a restart.
    pub restart: Vec<&'static str>,
}

/// By what came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// It is in force.
    pub applied: u64,
    /// It says what was in force already.
    pub unchanged: u64,
    /// It cannot be read or is not valid: what was in force stays.
    pub refused: u64,
}

impl Counts {
    /// By name.
    pub fn named(self) -> [(&'static str, u64); 3] {
        let Self { applied, unchanged, refused } = self;
        [("applied", applied), ("unchanged", unchanged), ("refused", refused)]
    }
}

/// Lines for people; none where everything is as the file says.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(refused) = &self.refused {
            writeln!(f, "configuration refused, the one before stays in force: {refused}")?;
        }
        if !self.restart.is_empty() {
            writeln!(f, "needs a restart to take effect: {}", self.restart.join(", "))?;
        }
        Ok(())
    }
}
