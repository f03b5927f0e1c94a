//! weft's decoding held against decoders that nobody here wrote. Real programs talk to each other in pods; tcpdump
//! keeps what passed the server pod's device; then weft's live exchanges, weft's replay of the capture and tshark's
//! reading of it are compared, exchange by exchange. Where they differ, the scenario says why, or it fails
//! (docs/ORACLE.md).

mod bench;
mod check;
mod compare;
mod peers;
mod replay;
mod scenario;
mod tshark;
mod tshark_http1;
mod tshark_http2;
mod weft;

pub use bench::Bench;
pub use check::check;
pub use compare::{ABSENT, Difference, compare};
pub use peers::{Server, port};
pub use scenario::{Claim, Explained, Scenario};

use std::fmt;
use std::net::SocketAddr;

/// A request and its final response, as one decoder saw them. Absent is what it did not see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Who asked.
    pub client: SocketAddr,
    /// Who was asked.
    pub server: SocketAddr,
    /// HTTP/2 stream; 0 on HTTP/1.
    pub stream_id: u32,
    /// When the request passed, in ns since the epoch: to tell scenarios apart, and for the order on a connection.
    pub began: u64,
    /// `http/1.1`, `http/2` or `grpc`.
    pub protocol: &'static str,
    /// Method, as it was sent.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Host or `:authority`.
    pub authority: Option<String>,
    /// The final response's status.
    pub status: Option<u16>,
    /// gRPC's status.
    pub grpc_status: Option<u32>,
    /// The name of the error with which one end broke the stream off.
    pub reset: Option<String>,
    /// gRPC messages of the request and of the response; tshark does not count them.
    pub messages: [Option<u64>; 2],
    /// When the request's last byte passed, and the response's, in ns since the epoch. Of live exchanges nothing: tcpdump
    /// looks at another place, some microseconds away.
    pub ends: [Option<u64>; 2],
    /// Bytes of the request's body, without framing.
    pub request_body: Option<u64>,
    /// Bytes of the response's body, without framing.
    pub response_body: Option<u64>,
}

impl Seen {
    /// A request that nothing else is known of.
    fn begun(client: SocketAddr, server: SocketAddr, stream_id: u32, began: u64) -> Self {
        Self {
            client,
            server,
            stream_id,
            began,
            protocol: "http/1.1",
            method: String::new(),
            path: String::new(),
            authority: None,
            status: None,
            grpc_status: None,
            reset: None,
            messages: [None; 2],
            ends: [None; 2],
            request_body: None,
            response_body: None,
        }
    }

    /// Where it belongs: exchanges of one connection and stream are compared in their order.
    fn key(&self) -> (SocketAddr, SocketAddr, u32) {
        (self.client, self.server, self.stream_id)
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, server, stream_id, method, path, .. } = self;
        write!(f, "{client} -> {server} stream {stream_id}: {method} {path:.120}")
    }
}
