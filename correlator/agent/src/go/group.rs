//! Probes are turned on and off together where they are of use together.
use serde::Serialize;
use weft_core::Probes;
use weft_gobin::GoFunction;

/// Probes that say one thing. In the order of their value: what explains most comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Where clients send a request: which goroutine made which call.
    Call,
    /// Where servers begin to handle a request: with [`Group::Call`], which request a call's context comes from.
    Serve,
    /// Where goroutines are created: for which request one works that calls without its context.
    Create,
    /// Where the world is stopped and goes on.
    Gc,
    /// Where goroutines help the garbage collector.
    Assist,
    /// Where goroutines change their state: at every switch.
    Sched,
}

/// How many there are.
pub const GROUPS: usize = 6;

impl Group {
    /// All, in the order of their value.
    pub const ALL: [Self; GROUPS] =
        [Self::Call, Self::Serve, Self::Create, Self::Gc, Self::Assist, Self::Sched];

    /// The one that a function's probe is of.
    pub fn of(function: GoFunction) -> Self {
        match function {
            GoFunction::HttpCall | GoFunction::H2Call | GoFunction::GrpcCall => Self::Call,
            GoFunction::HttpServe | GoFunction::H2Serve | GoFunction::GrpcServe => Self::Serve,
            GoFunction::Create => Self::Create,
            GoFunction::StopWorld
            | GoFunction::StartWorld
            | GoFunction::GcStart
            | GoFunction::GcMarkTermination => Self::Gc,
            GoFunction::GcAssist => Self::Assist,
            GoFunction::Status => Self::Sched,
        }
    }

    /// Whether it says for which request something is called, and, where [`Group::Sched`] is off, nothing else.
    pub fn explains_calls(self) -> bool {
        matches!(self, Self::Serve | Self::Create)
    }

    /// As the API, the log and the metrics call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Serve => "serve",
            Self::Create => "create",
            Self::Gc => "gc",
            Self::Assist => "assist",
            Self::Sched => "sched",
        }
    }

    /// Those of `groups`, as the pipeline is told.
    pub fn probes(groups: impl IntoIterator<Item = Self>) -> Probes {
        let mut probes = Probes::default();
        for group in groups {
            match group {
                Self::Call => probes.call = true,
                Self::Serve => probes.serve = true,
                Self::Create => probes.create = true,
                Self::Gc => probes.gc = true,
                Self::Assist => probes.assist = true,
                Self::Sched => probes.sched = true,
            }
        }
        probes
    }
}
