//! What is known of Go processes, for whoever asks: the API and the metrics.
use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;
use weft_abi::GoCountKey;

use super::memory::Counted;
use crate::config::FunctionMetric;

/// Everything at one moment.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The Go processes of all pods, by process id.
    pub processes: Vec<ProcessView>,
    /// Groups of probes of the binaries that run, by their state.
    pub probes: BTreeMap<&'static str, u64>,
    /// Metrics of functions.
    pub functions: Vec<FunctionView>,
    /// What was counted since the start.
    pub counts: Counts,
}

/// A metric of a function.
#[derive(Clone, Debug)]
pub struct FunctionView {
    /// What it is.
    pub metric: Arc<FunctionMetric>,
    /// Of the binaries that are executed, how many are in which state.
    pub states: BTreeMap<&'static str, u64>,
    /// The pods for which it is counted: where, and since when, in ns since the epoch.
    pub pods: Vec<(GoCountKey, u64)>,
}

/// A Go process.
#[derive(Clone, Debug, Serialize)]
pub struct ProcessView {
    /// In the initial pid namespace.
    pub pid: u32,
    /// Cookie of its netns: its pod's.
    #[serde(skip)]
    pub netns: u64,
    /// When it started, in ns since the epoch: since then its runtime counts.
    #[serde(skip)]
    pub began: u64,
    /// Go's version.
    pub go_version: String,
    /// The path of what it executes, in its own root.
    pub executable: String,
    /// Groups of probes, by name.
    pub probes: BTreeMap<&'static str, ProbeView>,
    /// Metrics' functions, by the metrics' names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub functions: BTreeMap<String, ProbeView>,
    /// What is not known of the binary, in sentences.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// What its runtime counts.
    #[serde(skip)]
    pub counted: Counted,
}

/// A group of probes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProbeView {
    /// See [`ProbeState::name`].
    pub state: &'static str,
    /// Why it is not on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Whether a group of probes is on.
#[derive(Clone, Debug, PartialEq)]
pub enum ProbeState {
    /// It is.
    On,
    /// It will be in a moment.
    Waiting,
    /// The configuration says so.
    Off(&'static str),
    /// It would cost more than the budget allows.
    OverBudget(String),
    /// The kernel refused it.
    Failed(String),
    /// The binary has no such function.
    Absent,
}

impl ProbeState {
    /// All names, for the metrics.
    pub const NAMES: [&str; 6] = ["on", "waiting", "off", "over_budget", "failed", "absent"];

    /// As the API and the metrics call it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Waiting => "waiting",
            Self::Off(_) => "off",
            Self::OverBudget(_) => "over_budget",
            Self::Failed(_) => "failed",
            Self::Absent => "absent",
        }
    }

    /// For the API.
    pub fn view(&self) -> ProbeView {
        let why = match self {
            Self::On | Self::Waiting => None,
            Self::Off(why) => Some((*why).to_owned()),
            Self::OverBudget(why) | Self::Failed(why) => Some(why.clone()),
            Self::Absent => Some("the binary has no such function".to_owned()),
        };
        ProbeView { state: self.name(), why }
    }
}

/// Counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Binaries that were read, by what came of it.
    pub binaries: BinaryCounts,
    /// What found no room, or gave way.
    pub overflow: Overflow,
}

/// What came of reading binaries; each is read once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BinaryCounts {
    /// Go programs.
    pub go: u64,
    /// Other programs.
    pub not_go: u64,
    /// Go programs, or programs that look like one, of which nothing can be told.
    pub refused: u64,
    /// Files that are too large to be read.
    pub too_large: u64,
    /// The process that read it failed.
    pub failed: u64,
    /// Executables of processes of pods that could not be opened.
    pub unreadable: u64,
}

impl BinaryCounts {
    /// By name.
    pub fn named(self) -> [(&'static str, u64); 6] {
        let Self { go, not_go, refused, too_large, failed, unreadable } = self;
        [
            ("go", go),
            ("not_go", not_go),
            ("refused", refused),
            ("too_large", too_large),
            ("failed", failed),
            ("unreadable", unreadable),
        ]
    }
}

/// What found no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overflow {
    /// Processes that came or went.
    pub events: u64,
    /// Processes that wait to be looked at.
    pub pending: u64,
    /// Files that wait to be read.
    pub files: u64,
    /// Go processes that the programs are told of.
    pub processes: u64,
    /// Binaries that were known and gave way to others.
    pub binaries: u64,
    /// Series of metrics of functions.
    pub functions: u64,
}

impl Overflow {
    /// By name.
    pub fn named(self) -> [(&'static str, u64); 6] {
        let Self { events, pending, files, processes, binaries, functions } = self;
        [
            ("events", events),
            ("pending", pending),
            ("files", files),
            ("processes", processes),
            ("binaries", binaries),
            ("functions", functions),
        ]
    }
}
