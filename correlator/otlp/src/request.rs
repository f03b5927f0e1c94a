//! Requests of OTLP as bytes, put together from the messages of resources.
use bytes::Bytes;
use prost::{Message, encoding};

/// What a request should not be larger than, before it is compressed: backends refuse 4 MiB (gRPC's usual bound), and what is
/// larger costs more memory than it saves.
pub(crate) const ENOUGH_BYTES: usize = 1 << 20;

/// The only member of `ExportMetricsServiceRequest` and of `ExportTraceServiceRequest`: `resource_metrics`, `resource_spans`.
const RESOURCES: u32 = 1;

/// What is sent at once.
#[derive(Clone, Debug)]
pub struct Request {
    /// `ExportMetricsServiceRequest` or `ExportTraceServiceRequest`.
    pub bytes: Bytes,
    /// Data points or spans.
    pub items: u64,
}

/// A request in the making: the messages of its resources follow each other.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    bytes: Vec<u8>,
    items: u64,
}

impl Builder {
    /// Adds a resource (`ResourceMetrics` or `ResourceSpans`) with so many items.
    pub(crate) fn add(&mut self, resource: &impl Message, items: u64) {
        encoding::message::encode(RESOURCES, resource, &mut self.bytes);
        self.items += items;
    }

    pub(crate) fn is_enough(&self) -> bool {
        self.bytes.len() >= ENOUGH_BYTES
    }

    /// What there is so far; nothing is left.
    pub(crate) fn take(&mut self) -> Option<Request> {
        let Self { bytes, items } = std::mem::take(self);
        (items > 0).then(|| Request { bytes: bytes.into(), items })
    }
}
