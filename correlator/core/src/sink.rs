use weft_abi::{FlowKey, FlowWant};

use crate::{AttributedExchange, StreamPlace};

/// Where the pipeline's results go. It knows nothing of who takes them.
pub trait Sink {
    /// An exchange that is done, in order of leaving the pipeline.
    fn exchange(&mut self, exchange: &AttributedExchange);

    /// How much payload of a flow the kernel should copy from now on; none: as much as of any other.
    fn want(&mut self, flow: FlowKey, want: Option<FlowWant>);

    /// These bytes may be seen at this place of a stream; only for redaction (`redact`).
    fn safe(&mut self, _place: StreamPlace, _bytes: &[u8]) {}

    /// The payload of the segment that was handled begins here; only for redaction.
    fn placed(&mut self, _place: StreamPlace) {}
}
