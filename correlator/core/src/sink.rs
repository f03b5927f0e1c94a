use weft_abi::{FlowKey, FlowWant};

use crate::AttributedExchange;

/// Where the pipeline's results go. It knows nothing of who takes them.
pub trait Sink {
    /// An exchange that is done, in order of leaving the pipeline.
    fn exchange(&mut self, exchange: &AttributedExchange);

    /// How much payload of a flow the kernel should copy from now on; none: as much as of any other.
    fn want(&mut self, flow: FlowKey, want: Option<FlowWant>);
}
