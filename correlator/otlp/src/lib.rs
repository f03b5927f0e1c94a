//! What weft knows, to a backend that speaks OTLP (opentelemetry.io/docs/specs/otlp).
//!
//! Two halves. `metrics` and `spans` say what is sent: pure, the time is a parameter. `transport`, `delivery` and `exporter` bring
//! it there: gRPC or HTTP, TLS, retries, and queues that are bounded, so that a backend in trouble costs memory that is known
//! beforehand, a counter, and nothing else.
//!
//! The messages are those of `opentelemetry-proto`. They are encoded here, once, as they are gathered, and sent as bytes: a retry
//! costs nothing, and what waits has a size. The exporters of the SDK (`opentelemetry-otlp`) have one resource each and cannot
//! be given exponential histograms; an agent speaks for many pods.
#![forbid(unsafe_code)]

mod attributes;
mod counts;
mod delivery;
mod exporter;
pub mod headers;
mod metrics;
mod queue;
mod request;
mod retry;
mod settings;
mod spans;
mod transport;

pub use counts::{Counts, Outcome, Signal};
pub use exporter::{Exporter, Handle, Identity, Source};
pub use metrics::{Batch, Collection, Resources, Streams, Times};
pub use queue::Spans;
pub use request::Request;
pub use settings::{
    Compression, Endpoint, EndpointError, Histograms, Limits, Protocol, Settings, Signals, Temporality,
};
pub use transport::TransportError;
