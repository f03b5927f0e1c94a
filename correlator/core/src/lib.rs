//! The pipeline from the kernel's records to exchanges, histograms and the account of every byte. A function of
//! its inputs: no clock, no I/O, no threads, so that a recording replays to the same bytes anywhere.
//!
//! One stage, one module, one type out: `decode` (ProbeEvent), `reassembly` (Chunk), `dialogue` (Exchange: what the ends
//! speak, and which response answers which request), `join` (JoinedExchange), `cause` (TracedExchange),
//! `attribute` (AttributedExchange), `aggregate` (series), `sampling` (which spans), `span` (Span). `packed` is an exchange that is kept.
#![forbid(unsafe_code)]
#![deny(clippy::disallowed_methods)]

mod aggregate;
mod attribute;
mod cause;
mod config;
mod connection;
mod correlator;
mod exchange;
mod histogram;
mod id;
mod identity;
mod input;
mod json;
mod loss;
mod packed;
mod phase;
mod ports;
mod propagation;
pub mod recording;
pub mod redact;
mod route;
mod sampling;
pub mod semconv;
mod sink;
mod snapshot;
pub mod span;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod wire;

pub use cause::{Evidence, Likely, Link};
pub use config::{Config, Limits};
pub use connection::{Connection, Tcp, Tls, TlsVersion};
pub use correlator::Correlator;
pub use exchange::{
    Anomalies, Anomaly, App, AttributedExchange, Endpoint, ErrorCode, Exchange, FlowControl, FlowId, Grpc,
    JoinedExchange, MessageSpan, Messages, Protocol, Side, TracedExchange,
};
pub use histogram::{CLASSIC_BOUNDS_NS, Histogram};
pub use id::{ExchangeId, SpanId, TraceId};
pub use identity::{Application, ClusterUpdate, Identity, Peer, Workload};
pub use input::{
    ClockOffset, DirectionCount, GoProcess, Input, KernelCounters, Ktime, Pod, Probes, ProcessUpdate,
    VantageCounters, WorkloadUpdate,
};
pub use loss::{Balance, LossReport, VantageBalance};
pub use packed::{Block, Packed, Packer, Position};
pub use phase::Phases;
pub use ports::PortFilter;
pub use propagation::Propagation;
pub use redact::StreamPlace;
pub use route::{OTHER_ROUTE, RouteConfig, Template, TemplateError};
pub use sampling::{Decision, Sampler, SamplingConfig};
pub use sink::Sink;
pub use snapshot::{
    ConnectionSnapshot, ExchangeCounts, ExponentialBuckets, HistogramSnapshot, NamedCount, PhaseSnapshot,
    PodSeries, PodSnapshot, RecordCounts, SideSnapshot, Snapshot, TableSnapshot,
};
pub use span::Span;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub use wire::fuzzing;
