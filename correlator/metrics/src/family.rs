use weft_core::{Protocol, Side};

/// Series of one kind: whose labels are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Requests of HTTP that a pod got.
    HttpServer,
    /// Requests of HTTP that a pod sent.
    HttpClient,
    /// Calls of gRPC that a pod got.
    RpcServer,
    /// Calls of gRPC that a pod made.
    RpcClient,
}

impl Family {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::HttpServer, Self::HttpClient, Self::RpcServer, Self::RpcClient];

    /// What an exchange is counted in; a connection is in none.
    pub const fn of(protocol: Protocol, side: Side) -> Option<Self> {
        Some(match (protocol, side) {
            (Protocol::Http1 | Protocol::Http2, Side::Server) => Self::HttpServer,
            (Protocol::Http1 | Protocol::Http2, Side::Client) => Self::HttpClient,
            (Protocol::Grpc, Side::Server) => Self::RpcServer,
            (Protocol::Grpc, Side::Client) => Self::RpcClient,
            (Protocol::Tls | Protocol::Tcp, _) => return None,
        })
    }

    /// The histogram of durations, as the conventions name it.
    pub const fn duration(self) -> &'static str {
        match self {
            Self::HttpServer => "http.server.request.duration",
            Self::HttpClient => "http.client.request.duration",
            Self::RpcServer => "rpc.server.call.duration",
            Self::RpcClient => "rpc.client.call.duration",
        }
    }

    /// The histograms of bodies' sizes, of requests and of responses: HTTP has them.
    pub const fn bodies(self) -> Option<[&'static str; 2]> {
        match self {
            Self::HttpServer => Some(["http.server.request.body.size", "http.server.response.body.size"]),
            Self::HttpClient => Some(["http.client.request.body.size", "http.client.response.body.size"]),
            Self::RpcServer | Self::RpcClient => None,
        }
    }

    /// Which end the pod is.
    pub const fn side(self) -> Side {
        match self {
            Self::HttpServer | Self::RpcServer => Side::Server,
            Self::HttpClient | Self::RpcClient => Side::Client,
        }
    }

    /// Whether these are calls of gRPC.
    pub const fn is_rpc(self) -> bool {
        matches!(self, Self::RpcServer | Self::RpcClient)
    }
}
