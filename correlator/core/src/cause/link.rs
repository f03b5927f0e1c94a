//! What an exchange is caused by, and how that is known.
use crate::{ExchangeId, SpanId, TraceId};

/// How it is known which request caused another, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Evidence {
    /// Both messages carry the same trace or the same request id.
    Header,
    /// The goroutine that handles the one wrote the other.
    SameGoroutine,
    /// The goroutine that handles the one started the goroutine that wrote the other.
    ParentGoroutine,
    /// The goroutine that handles the one, or one that it started, called the client that sent the other.
    Probe,
    /// The context of the one is behind the context that the client was called with.
    Context,
    /// The thread that read the one wrote the other, and had nothing else to do.
    Thread,
    /// It is not known.
    None,
}

impl Evidence {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Header,
        Self::SameGoroutine,
        Self::ParentGoroutine,
        Self::Probe,
        Self::Context,
        Self::Thread,
        Self::None,
    ];

    /// As in the JSON and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::SameGoroutine => "same_goroutine",
            Self::ParentGoroutine => "parent_goroutine",
            Self::Probe => "probe",
            Self::Context => "context",
            Self::Thread => "thread",
            Self::None => "none",
        }
    }
}

/// Where an exchange's span has its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its trace.
    pub trace_id: TraceId,
    /// The span that it is a child of; absent for a root, and where none is known.
    pub parent_span_id: Option<SpanId>,
    /// How the parent is known. A server's span is the child of its own exchange's client, which needs none.
    pub evidence: Evidence,
    /// Of a client's span without a parent: the server's span that is likely to be its cause, which nothing proves.
    pub likely: Option<Likely>,
}

/// The one request that a process had read and not answered when it sent another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Likely {
    /// Its trace.
    pub trace_id: TraceId,
    /// Its server's span.
    pub span_id: SpanId,
}

/// The request that caused another: a server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    pub(super) request: ExchangeId,
    pub(super) evidence: Evidence,
}
