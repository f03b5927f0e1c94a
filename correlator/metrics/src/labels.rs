//! What an exchange is counted under, beside its pod.
use std::{
    hash::{Hash, Hasher},
    ptr,
    sync::Arc,
};

use hashbrown::Equivalent;
use weft_core::{AttributedExchange, OTHER_ROUTE, Protocol, Side, semconv};

use crate::family::Family;

/// The value of labels that have too many: that of routes is given by the pipeline.
pub const OTHER: &str = OTHER_ROUTE;

/// The labels of a series within its pod. What is unknown is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// Of HTTP: one of the methods that are known, or `_OTHER`.
    pub method: &'static str,
    /// Of HTTP: the route. Of gRPC: `package.Service/Method`.
    pub route: Arc<str>,
    /// What the response says.
    pub status: Status,
    /// `namespace/name` of the pod at the other end, or the name of its network.
    pub peer: Arc<str>,
    /// `namespace/name` of the service at the other end.
    pub service: Arc<str>,
    /// Whom a client asked for; a server's is empty.
    pub server: Arc<str>,
    /// `1.1` or `2`.
    pub version: &'static str,
}

/// The status of a response: of HTTP, or of gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// None was seen.
    Unknown,
    /// This one.
    Code(u32),
    /// One of too many.
    Other,
}

impl Status {
    /// The number as it is on the wire; nothing where none was seen.
    pub(crate) fn number(self) -> String {
        match self {
            Self::Unknown => String::new(),
            Self::Code(code) => code.to_string(),
            Self::Other => OTHER.to_owned(),
        }
    }
}

/// The same, of an exchange that is looked up: nothing is copied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) method: &'static str,
    pub(crate) route: &'a str,
    pub(crate) status: Status,
    pub(crate) peer: &'a str,
    pub(crate) service: &'a str,
    pub(crate) server: &'a str,
    pub(crate) version: &'static str,
}

impl<'a> Wanted<'a> {
    pub(crate) fn of(attributed: &'a AttributedExchange, family: Family) -> Self {
        let exchange = &attributed.joined.exchange;
        let peer = attributed.peer_pod.as_deref().or(attributed.peer_network.as_deref());
        let service = attributed.peer_service.as_deref().unwrap_or("");
        let server = match exchange.side {
            Side::Server => "",
            Side::Client => {
                exchange.authority.as_deref().map_or("", |authority| semconv::host_and_port(authority).0)
            }
        };
        let (method, route, status) = if family.is_rpc() {
            let status = exchange.grpc.as_deref().and_then(|grpc| grpc.status);
            ("", semconv::rpc_method(&exchange.path), status)
        } else {
            let route = attributed.route.as_deref().unwrap_or("");
            (semconv::http_method(&exchange.method), route, exchange.status.map(u32::from))
        };
        let version = if exchange.protocol == Protocol::Http1 { "1.1" } else { "2" };
        let status = status.map_or(Status::Unknown, Status::Code);
        Self { method, route, status, peer: peer.unwrap_or(""), service, server, version }
    }

    /// With all that anybody could choose being one of too many.
    pub(crate) fn other() -> Self {
        Self {
            method: OTHER,
            route: OTHER,
            status: Status::Other,
            peer: OTHER,
            service: OTHER,
            server: OTHER,
            version: OTHER,
        }
    }

    /// Texts that the exchange shares with others are kept as they are: the next one that has them is then found without a look
    /// at them, which are cold.
    pub(crate) fn to_labels(self, attributed: &AttributedExchange) -> Labels {
        let Self { method, route, status, peer, service, server, version } = self;
        let AttributedExchange { route: routed, peer_pod, peer_network, peer_service, .. } = attributed;
        Labels {
            method,
            route: owned(route, routed.as_ref()),
            status,
            peer: owned(peer, peer_pod.as_ref().or(peer_network.as_ref())),
            service: owned(service, peer_service.as_ref()),
            server: server.into(),
            version,
        }
    }
}

/// `text`, shared where it is that of `shared`.
fn owned(text: &str, shared: Option<&Arc<str>>) -> Arc<str> {
    shared.filter(|shared| ptr::eq(&***shared, text)).map_or_else(|| text.into(), Arc::clone)
}

/// What is in the same place is the same, and is not read.
fn same(one: &str, other: &str) -> bool {
    one.len() == other.len() && (one.is_empty() || ptr::eq(one.as_ptr(), other.as_ptr()) || one == other)
}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { method, route, status, peer, service, server, version } = self;
        (*method, &**route, *status, &**peer, &**service, &**server, *version).hash(state);
    }
}

impl Hash for Wanted<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { method, route, status, peer, service, server, version } = *self;
        (method, route, status, peer, service, server, version).hash(state);
    }
}

impl Equivalent<Labels> for Wanted<'_> {
    fn equivalent(&self, labels: &Labels) -> bool {
        let Labels { method, route, status, peer, service, server, version } = labels;
        self.status == *status
            && same(self.route, route)
            && same(self.peer, peer)
            && same(self.service, service)
            && same(self.server, server)
            && same(self.method, method)
            && same(self.version, version)
    }
}
