//! What an exchange is counted under, beside its pod.
use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use hashbrown::Equivalent;
use weft_core::{AttributedExchange, OTHER_ROUTE, Protocol, Side};

use crate::{family::Family, method};

/// The value of labels that have too many: that of routes is given by the pipeline.
pub const OTHER: &str = OTHER_ROUTE;
/// The value of a label for what makes no sense (as the conventions' `http.request.method` has it).
const NONSENSE: &str = "_OTHER";
/// The most bytes of a DNS name (RFC 1035, 2.3.4); also enough for a method of gRPC.
const LONGEST: usize = 253;

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
            Side::Client => exchange.authority.as_deref().map_or("", host),
        };
        let (method, route, status) = if family.is_rpc() {
            let status = exchange.grpc.as_deref().and_then(|grpc| grpc.status);
            ("", rpc_method(&exchange.path), status)
        } else {
            let route = attributed.route.as_deref().unwrap_or("");
            (method::label(&exchange.method), route, exchange.status.map(u32::from))
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

    pub(crate) fn to_labels(self) -> Labels {
        let Self { method, route, status, peer, service, server, version } = self;
        Labels {
            method,
            route: route.into(),
            status,
            peer: peer.into(),
            service: service.into(),
            server: server.into(),
            version,
        }
    }
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
        self.route == &**route
            && self.status == *status
            && self.peer == &**peer
            && self.service == &**service
            && self.server == &**server
            && self.method == *method
            && self.version == *version
    }
}

/// `/package.Service/Method` without its first slash (semantic conventions, `rpc.method`).
fn rpc_method(path: &str) -> &str {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    match path.strip_prefix('/') {
        Some(method)
            if method.len() <= LONGEST
                && method.bytes().filter(|byte| *byte == b'/').count() == 1
                && method.bytes().all(plain) =>
        {
            method
        }
        _ => NONSENSE,
    }
}

/// An authority (RFC 3986, 3.2) without its port.
fn host(authority: &str) -> &str {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte) || address.is_some();
    let bytes = host.trim_start_matches('[').trim_end_matches(']').bytes();
    let known = host.len() <= LONGEST && bytes.clone().all(|byte| plain(byte) && byte.is_ascii_graphic());
    if known { address.unwrap_or(host) } else { NONSENSE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_a_host_or_nonsense() {
        for (authority, expected) in [
            ("orders:8080", "orders"),
            ("orders.shop.svc", "orders.shop.svc"),
            ("[fd00::1]:80", "fd00::1"),
            ("10.0.0.1", "10.0.0.1"),
            ("", ""),
            ("a\"b", NONSENSE),
            ("a\nb:80", NONSENSE),
            ("caf\u{e9}", NONSENSE),
            ("[a b]", NONSENSE),
        ] {
            assert_eq!(host(authority), expected, "{authority:?}");
        }
        assert_eq!(host(&"a".repeat(300)), NONSENSE);
    }

    #[test]
    fn a_method_of_grpc_is_a_service_and_a_method() {
        for (path, expected) in [
            ("/shop.v1.Orders/Get", "shop.v1.Orders/Get"),
            ("shop.v1.Orders/Get", NONSENSE),
            ("/a/b/c", NONSENSE),
            ("/a", NONSENSE),
            ("/a/\u{7}", NONSENSE),
        ] {
            assert_eq!(rpc_method(path), expected, "{path:?}");
        }
    }
}
