//! Ids that every vantage computes for itself, without talking to another.
use std::fmt;

use crate::{Exchange, Side};

/// Raised when anything below changes: two nodes agree on an id only when they agree on this.
const VERSION: u64 = 1;

// Domains of the hash: the same numbers give unrelated ids. ASCII, so that a dump of the binary explains them.
const EXCHANGE: u64 = u64::from_be_bytes(*b"exchange");
const CLIENT_SPAN: u64 = u64::from_be_bytes(*b"clt.span");
const SERVER_SPAN: u64 = u64::from_be_bytes(*b"srv.span");
const TRACE_HIGH: u64 = u64::from_be_bytes(*b"trace.hi");
const TRACE_LOW: u64 = u64::from_be_bytes(*b"trace.lo");

/// The id of an exchange: the same at its client's and its server's vantage, because the sequence and acknowledgement
/// numbers it is made of survive NAT, GSO and GRO. Known as soon as the request starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub u64);

/// The id of a span (W3C Trace Context: parent-id); never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId(pub u64);

/// The id of a trace (W3C Trace Context: trace-id); never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId(pub u128);

impl ExchangeId {
    /// From the TCP sequence number of the request's first byte, the acknowledgement number of the segment that first
    /// carried it, and the HTTP/2 stream (0 on HTTP/1).
    pub fn new(request_seq: u32, request_ack: u32, stream_id: u32) -> Self {
        let sequence = u64::from(request_seq) << 32 | u64::from(request_ack);
        Self(hash(EXCHANGE, &[sequence, VERSION << 32 | u64::from(stream_id)]))
    }

    /// The span that the client's side of the exchange is.
    pub fn client_span_id(self) -> SpanId {
        SpanId(not_zero(hash(CLIENT_SPAN, &[self.0]), CLIENT_SPAN))
    }

    /// The span that the server's side of the exchange is. Its parent is the client's span.
    pub fn server_span_id(self) -> SpanId {
        SpanId(not_zero(hash(SERVER_SPAN, &[self.0]), SERVER_SPAN))
    }

    /// The trace whose root the exchange is, where nobody gave it another.
    pub fn trace_id(self) -> TraceId {
        let high = not_zero(hash(TRACE_HIGH, &[self.0]), TRACE_HIGH);
        TraceId(u128::from(high) << 64 | u128::from(hash(TRACE_LOW, &[self.0])))
    }
}

impl Exchange {
    /// Its id.
    pub fn id(&self) -> ExchangeId {
        ExchangeId::new(self.request_seq, self.request_ack, self.stream_id)
    }

    /// The span that this side of it is.
    pub fn span_id(&self) -> SpanId {
        match self.side {
            Side::Server => self.id().server_span_id(),
            Side::Client => self.id().client_span_id(),
        }
    }
}

impl fmt::Display for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Absorbs the words one by one. Each step is a bijection of the state, so that ids of one domain differ wherever
/// one word does.
fn hash(domain: u64, words: &[u64]) -> u64 {
    words.iter().fold(domain, |state, word| splitmix64(state ^ word))
}

/// One step of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014), whose
/// output function is variant 13 of Stafford's improved 64-bit finalisers of MurmurHash3.
fn splitmix64(state: u64) -> u64 {
    let z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn not_zero(id: u64, instead: u64) -> u64 {
    if id == 0 { instead } else { id }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The outputs of the published generator for seed 1234567.
    #[test]
    fn mixer_is_splitmix64() {
        let published = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        let mut state = 1_234_567_u64;
        for expected in published {
            assert_eq!(splitmix64(state), expected);
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        }
    }

    #[test]
    fn zero_is_replaced() {
        assert_eq!(not_zero(0, SERVER_SPAN), SERVER_SPAN);
        assert_eq!(not_zero(7, SERVER_SPAN), 7);
    }
}
