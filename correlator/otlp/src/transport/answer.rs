//! The messages that OTLP's answers are.
use opentelemetry_proto::tonic::collector::{
    metrics::v1::ExportMetricsServiceResponse, trace::v1::ExportTraceServiceResponse,
};
use prost::Message;

use super::Accepted;

/// What a backend says when it has something.
pub(super) trait Answer: Message + Default + 'static {
    fn accepted(self) -> Accepted;
}

/// A backend that counts below zero rejected nothing.
fn accepted(rejected: i64, message: String) -> Accepted {
    Accepted { rejected: u64::try_from(rejected).unwrap_or(0), message }
}

impl Answer for ExportMetricsServiceResponse {
    fn accepted(self) -> Accepted {
        let partial = self.partial_success.unwrap_or_default();
        accepted(partial.rejected_data_points, partial.error_message)
    }
}

impl Answer for ExportTraceServiceResponse {
    fn accepted(self) -> Accepted {
        let partial = self.partial_success.unwrap_or_default();
        accepted(partial.rejected_spans, partial.error_message)
    }
}
