//! Stage 7: whose exchange it is. Late metadata is waited for, a bounded time, and then the exchange goes on without.
use std::{collections::VecDeque, sync::Arc};

use ipnetwork::IpNetwork;

use crate::{
    AttributedExchange, ClusterUpdate, Config, Exchange, Identity, Ktime, Pod, Protocol, Side,
    TracedExchange, WorkloadUpdate,
    route::{Routes, Server},
    snapshot::TableSnapshot,
};

mod cluster;
mod pods;
#[cfg(test)]
mod tests;
mod waiting;

use cluster::Cluster;
pub(crate) use pods::Pods;
use waiting::Waiting;

/// Gives exchanges the names of their two ends.
#[derive(Debug)]
pub(crate) struct Attribution {
    pods: Pods,
    cluster: Cluster,
    routes: Routes,
    /// Longest prefix first.
    networks: Vec<(IpNetwork, Arc<str>)>,
    clock_offset: i64,
    identity_wait: u64,
    limit: usize,
    /// In order of coming, at most `Limits::waiting_exchanges`; past it the oldest goes on without a name.
    waiting: VecDeque<Waiting>,
    overflowed: u64,
    /// Pods of which the cluster did not say in time who they are.
    missing: u64,
}

impl Attribution {
    pub(crate) fn new(config: &Config) -> Self {
        let mut attribution = Self {
            pods: Pods::new(0),
            cluster: Cluster::default(),
            routes: Routes::default(),
            networks: Vec::new(),
            clock_offset: 0,
            identity_wait: 0,
            limit: 0,
            waiting: VecDeque::new(),
            overflowed: 0,
            missing: 0,
        };
        attribution.configure(config);
        attribution
    }

    pub(crate) fn configure(&mut self, config: &Config) {
        self.pods.set_limit(config.limits.pods);
        self.cluster.set_limits(config.limits.pods, config.limits.addresses);
        self.routes.configure(&config.routes, config.limits.pods);
        self.identity_wait = config.limits.identity_wait;
        self.limit = config.limits.waiting_exchanges;
        self.networks =
            config.networks.iter().map(|(network, name)| (*network, name.as_str().into())).collect();
        // Stable: of two names for one network the first wins.
        self.networks.sort_by_key(|(network, _)| std::cmp::Reverse(network.prefix()));
    }

    pub(crate) fn set_clock_offset(&mut self, offset: i64) {
        self.clock_offset = offset;
    }

    pub(crate) fn clock_offset(&self) -> i64 {
        self.clock_offset
    }

    pub(crate) fn pods(&self) -> &Pods {
        &self.pods
    }

    /// Pods of which the cluster did not say in time who they are.
    pub(crate) fn missing(&self) -> u64 {
        self.missing
    }

    /// An exchange came: it leaves at once when it is known whose it is, else it waits.
    pub(crate) fn exchange(
        &mut self,
        traced: TracedExchange,
        now: Ktime,
        out: &mut impl FnMut(AttributedExchange),
    ) {
        if self.is_known(traced.joined.exchange.flow.netns) {
            return out(self.attributed(traced));
        }
        while self.waiting.len() >= self.limit.max(1) {
            self.overflowed += 1;
            self.release_front(out);
        }
        self.waiting.push_back(Waiting { until: now.after(self.identity_wait), traced });
    }

    /// A netns got a name, or is gone. Gives the netns that had to be forgotten to remember it.
    pub(crate) fn workload(
        &mut self,
        update: WorkloadUpdate,
        now: Ktime,
        out: &mut impl FnMut(AttributedExchange),
    ) -> Option<u64> {
        let forgotten = match update {
            WorkloadUpdate::Pod(pod) => self.pod(pod),
            WorkloadUpdate::Gone { netns } => self.pods.mark_gone(netns, now),
            WorkloadUpdate::Cluster(ClusterUpdate::Address { address, peer }) => {
                // Nobody waits for the name of the other end, which many have not.
                self.cluster.set_address(address, peer);
                return None;
            }
            WorkloadUpdate::Cluster(ClusterUpdate::Pod { namespace, name, identity }) => {
                self.identity(format!("{namespace}/{name}"), identity);
                None
            }
        };
        self.release_known(out);
        forgotten.inspect(|netns| self.routes.forget(*netns))
    }

    /// Lets go what waited long enough. Call [`Self::forget`] until it gives nothing, too.
    pub(crate) fn expire(&mut self, now: Ktime, out: &mut impl FnMut(AttributedExchange)) {
        while self.waiting.front().is_some_and(|waiting| waiting.until <= now) {
            self.release_front(out);
        }
    }

    /// Forgets the next pod that is gone for long enough.
    pub(crate) fn forget(&mut self, now: Ktime) -> Option<u64> {
        self.pods.expire(now).inspect(|netns| self.routes.forget(*netns))
    }

    /// Lets go everything that waits.
    pub(crate) fn flush(&mut self, out: &mut impl FnMut(AttributedExchange)) {
        while !self.waiting.is_empty() {
            self.release_front(out);
        }
    }

    /// When [`Self::expire`] or [`Self::forget`] is useful.
    pub(crate) fn next_deadline(&self) -> Option<Ktime> {
        self.waiting.front().map(|waiting| waiting.until).into_iter().chain(self.pods.next_deadline()).min()
    }

    pub(crate) fn tables(&self) -> [TableSnapshot; 5] {
        let (entries, limit) = (self.waiting.len() as u64, self.limit as u64);
        let [identities, addresses] = self.cluster.tables();
        [
            self.pods.table(),
            self.routes.table(),
            TableSnapshot { table: "identity_waiting", entries, limit, evicted: self.overflowed },
            identities,
            addresses,
        ]
    }

    /// A pod is there. Gives the netns that had to be forgotten for it.
    fn pod(&mut self, pod: Pod) -> Option<u64> {
        let netns = pod.netns;
        let forgotten = self.pods.insert(pod);
        if let Some(entry) = self.pods.get_mut(netns) {
            entry.identity =
                entry.label.as_deref().and_then(|label| self.cluster.identity(label, &entry.pod));
        }
        forgotten
    }

    /// The cluster says who the pod `namespace/name` is.
    fn identity(&mut self, label: String, identity: Option<Identity>) {
        self.cluster.set_identity(label.clone(), identity);
        for entry in self.pods.iter_mut().filter(|entry| entry.label.as_deref() == Some(label.as_str())) {
            // Who is gone stays who he was.
            let identity = self.cluster.identity(&label, &entry.pod);
            entry.identity = identity.or_else(|| entry.identity.take());
        }
    }

    fn attributed(&mut self, traced: TracedExchange) -> AttributedExchange {
        let TracedExchange { joined, link, phases } = traced;
        let own = self.pods.get(joined.exchange.flow.netns);
        let address = joined.exchange.flow.peer.ip();
        let peer = self.pods.at(address);
        let own_peer = peer.and_then(|entry| entry.label.clone());
        let peer_identity = peer.and_then(|entry| entry.identity.clone());
        let (peer_pod, peer_service) = self.cluster.names(own_peer, address);
        let route = route(&mut self.routes, &joined.exchange, peer.map(|entry| entry.pod.netns));
        let network = || self.networks.iter().find(|(network, _)| network.contains(address));
        let nameless = peer_pod.is_none() && peer_service.is_none();
        let peer_network = if nameless { network().map(|(_, name)| Arc::clone(name)) } else { None };
        AttributedExchange {
            pod: own.and_then(|entry| entry.label.clone()),
            owner: own.map(|entry| Arc::clone(&entry.pod)),
            route,
            netns_inode: own.map_or(0, |entry| entry.pod.netns_inode),
            identity: own.and_then(|entry| entry.identity.clone()),
            peer_pod,
            peer_identity,
            peer_service,
            peer_network,
            clock_offset: self.clock_offset,
            joined,
            link,
            phases,
        }
    }
}

/// A call of gRPC has a method, and a connection nothing of that kind. `peer`: the netns of the pod at the other end.
fn route(routes: &mut Routes, exchange: &Exchange, peer: Option<u64>) -> Option<Arc<str>> {
    if !matches!(exchange.protocol, Protocol::Http1 | Protocol::Http2) {
        return None;
    }
    let Exchange { flow, side, path, status, .. } = exchange;
    let server = match side {
        Side::Server => Server::Pod(flow.netns),
        Side::Client => peer.map_or(Server::Address(flow.peer), Server::Pod),
    };
    // Of a client's fault (RFC 9110, 15.5) the path is the likeliest.
    let found = status.is_some_and(|status| !(400..500).contains(&status));
    routes.route(server, path, found)
}
