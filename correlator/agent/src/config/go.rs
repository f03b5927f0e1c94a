//! What weft may do to Go processes.
use serde::Deserialize;

use super::choice::{one_of, percentage};

/// The section `go`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Go {
    /// Which functions of Go processes are listened at.
    pub probes: GoProbes,
    /// What that may cost them.
    pub budget: Budget,
}

/// `auto`, `off` or `all`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum GoProbes {
    /// As many, in the order of their value, as keep the measured cost within the budget.
    #[default]
    Auto,
    /// None. Goroutines are known all the same, and so is what the runtime counts by itself: neither needs a probe.
    Off,
    /// All of them, whatever they cost: every switch of a goroutine is an event.
    All,
}

/// The most that probes may add to the CPU time of the processes that have them: 0.02 is 2 %.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct Budget(pub f64);

impl Default for Budget {
    fn default() -> Self {
        Self(0.02)
    }
}

impl TryFrom<String> for GoProbes {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        one_of("go.probes", &text, [("auto", Self::Auto), ("off", Self::Off), ("all", Self::All)])
    }
}

impl TryFrom<String> for Budget {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        percentage("go.budget", &text, 0.0..=100.0).map(Self)
    }
}

impl std::fmt::Display for GoProbes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Off => "off",
            Self::All => "all",
        })
    }
}

/// In percent, as it is written.
impl std::fmt::Display for Budget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}%", (self.0 * 1e6).round() / 1e4)
    }
}
