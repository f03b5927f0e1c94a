//! What Istio's metrics tell apart within a pod.
use std::sync::Arc;

use hashbrown::Equivalent;
use weft_core::{Application, AttributedExchange, Identity, Protocol, Side, semconv};

use crate::labels::{OTHER, Status};

/// `localhost` is nobody's service.
const OWN_HOST: &str = "localhost";

/// The labels of a series, but for those of its pod: with `&str` of an exchange that is looked up, with `Arc<str>` of a series.
/// What is unknown is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key<S> {
    /// Which end the pod is.
    pub(super) side: Side,
    pub(super) traffic: Traffic,
    /// Of HTTP, and so of gRPC.
    pub(super) code: Status,
    /// Of gRPC.
    pub(super) grpc: Status,
    /// The other end.
    pub(super) peer: Workload<S>,
    /// What the client asked.
    pub(super) service: Service<S>,
}

/// `request_protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Traffic {
    Http,
    Grpc,
    Tcp,
}

/// What an end is part of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Workload<S> {
    pub(super) namespace: S,
    pub(super) name: S,
    pub(super) app: S,
    pub(super) version: S,
    /// The canonical service.
    pub(super) service: S,
    /// Its revision.
    pub(super) revision: S,
}

/// A destination's service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Service<S> {
    /// Its host, where that does not follow from name and namespace.
    pub(super) host: S,
    pub(super) name: S,
    pub(super) namespace: S,
}

impl Traffic {
    pub(super) fn of(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Http1 | Protocol::Http2 => Self::Http,
            Protocol::Grpc => Self::Grpc,
            Protocol::Tls | Protocol::Tcp => Self::Tcp,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Grpc => "grpc",
            Self::Tcp => "tcp",
        }
    }
}

impl<'a> Workload<&'a str> {
    /// Of the pod `namespace/name`. What controls it is known where the cluster has told of it, which is only of this node's; a
    /// pod that nothing controls is a workload by itself.
    pub(super) fn of(pod: Option<&'a str>, identity: Option<&'a Identity>) -> Self {
        let (namespace, pod) = pod.and_then(|pod| pod.split_once('/')).unwrap_or_default();
        let Some(Identity { workload, application, .. }) = identity else {
            return Self { namespace, ..Self::default() };
        };
        let said = |of: fn(&Application) -> &String| application.as_deref().map_or("", |all| of(all));
        let name = workload.as_ref().map_or(pod, |workload| &workload.name);
        let or = |said: &'a str, instead| if said.is_empty() { instead } else { said };
        Self {
            namespace,
            name,
            app: said(|all| &all.app),
            version: said(|all| &all.version),
            service: or(said(|all| &all.service), name),
            revision: or(said(|all| &all.revision), "latest"),
        }
    }
}

impl<'a> Service<&'a str> {
    /// What a client in the namespace `from` asked of a pod in `to`: the service whose address it asked, else what the host
    /// says. A host is a service's under the names that Kubernetes gives it; any other stands for itself, as with Istio.
    fn of(attributed: &'a AttributedExchange, from: &'a str, to: &'a str) -> Self {
        let exchange = &attributed.joined.exchange;
        let asked = attributed.peer_service.as_deref().filter(|_| exchange.side == Side::Client);
        if let Some((namespace, name)) = asked.and_then(|service| service.split_once('/')) {
            return Self { host: "", name, namespace };
        }
        let Some(authority) = exchange.authority.as_deref().filter(|authority| !authority.is_empty()) else {
            return Self { namespace: to, ..Self::default() };
        };
        let host = semconv::host_and_port(authority).0;
        Self::named(host, from, to).unwrap_or(Self { host, name: host, namespace: to })
    }

    /// `name`, `name.namespace`, `name.namespace.svc`, and what follows in the cluster's domain (kubernetes/dns,
    /// docs/specification.md; a pod's search path).
    fn named(host: &'a str, from: &'a str, to: &'a str) -> Option<Self> {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric();
        if host == OWN_HOST || !host.as_bytes().first().is_some_and(plain) {
            return None;
        }
        let own = Some(to).filter(|to| !to.is_empty());
        let mut parts = host.splitn(4, '.');
        match [parts.next(), parts.next(), parts.next(), parts.next()] {
            [Some(name), None, ..] if own == Some(from) => Some(Self { host: "", name, namespace: to }),
            [Some(name), Some(namespace), None, _] if own == Some(namespace) => {
                Some(Self { host: "", name, namespace })
            }
            [Some(name), Some(namespace), Some("svc"), domain] => {
                let own = domain.is_some_and(|domain| domain != "cluster.local");
                Some(Self { host: if own { host } else { "" }, name, namespace })
            }
            _ => None,
        }
    }
}

impl<'a> Key<&'a str> {
    pub(super) fn of(attributed: &'a AttributedExchange) -> Self {
        let exchange = &attributed.joined.exchange;
        let peer = Workload::of(attributed.peer_pod.as_deref(), attributed.peer_identity.as_deref());
        let own = attributed.pod.as_deref().and_then(|pod| pod.split_once('/')).unwrap_or_default().0;
        let (from, to) = match exchange.side {
            Side::Server => (peer.namespace, own),
            Side::Client => (own, peer.namespace),
        };
        let status = |code: Option<u32>| code.map_or(Status::Unknown, Status::Code);
        Self {
            side: exchange.side,
            traffic: Traffic::of(exchange.protocol),
            code: status(exchange.status.map(u32::from)),
            grpc: status(exchange.grpc.as_deref().and_then(|grpc| grpc.status)),
            service: Service::of(attributed, from, to),
            peer,
        }
    }

    pub(super) fn to_owned(self) -> Key<Arc<str>> {
        let Self { side, traffic, code, grpc, peer, service } = self;
        Key { side, traffic, code, grpc, peer: peer.map(Into::into), service: service.map(Into::into) }
    }

    /// With all that anybody could choose being one of too many.
    pub(super) fn other(self) -> Self {
        let (peer, service) =
            (Workload::<()>::default().map(|()| OTHER), Service::<()>::default().map(|()| OTHER));
        Self { code: Status::Other, grpc: Status::Other, peer, service, ..self }
    }
}

impl Key<Arc<str>> {
    fn borrowed(&self) -> Key<&str> {
        let Self { side, traffic, code, grpc, peer, service } = self;
        let (peer, service) = (peer.borrowed(), service.borrowed());
        Key { side: *side, traffic: *traffic, code: *code, grpc: *grpc, peer, service }
    }
}

impl Equivalent<Key<Arc<str>>> for Key<&str> {
    fn equivalent(&self, key: &Key<Arc<str>>) -> bool {
        *self == key.borrowed()
    }
}

impl<S> Workload<S> {
    pub(super) fn map<T>(self, mut of: impl FnMut(S) -> T) -> Workload<T> {
        let Self { namespace, name, app, version, service, revision } = self;
        Workload {
            namespace: of(namespace),
            name: of(name),
            app: of(app),
            version: of(version),
            service: of(service),
            revision: of(revision),
        }
    }
}

impl Workload<Arc<str>> {
    pub(super) fn borrowed(&self) -> Workload<&str> {
        let Self { namespace, name, app, version, service, revision } = self;
        Workload { namespace, name, app, version, service, revision }
    }
}

impl<S> Service<S> {
    pub(super) fn map<T>(self, mut of: impl FnMut(S) -> T) -> Service<T> {
        let Self { host, name, namespace } = self;
        Service { host: of(host), name: of(name), namespace: of(namespace) }
    }
}

impl Service<Arc<str>> {
    pub(super) fn borrowed(&self) -> Service<&str> {
        let Self { host, name, namespace } = self;
        Service { host, name, namespace }
    }
}
