//! Stage 7: whose exchange it is. Late metadata is waited for, a bounded time, and then the exchange goes on without.
use std::{collections::VecDeque, sync::Arc};

use ipnetwork::IpNetwork;

use crate::{
    AttributedExchange, Config, Exchange, Ktime, Protocol, Side, TracedExchange, WorkloadUpdate,
    route::{Routes, Server},
    snapshot::TableSnapshot,
};

mod pods;
#[cfg(test)]
mod tests;

pub(crate) use pods::Pods;

/// Gives exchanges the names of their two ends.
#[derive(Debug)]
pub(crate) struct Attribution {
    pods: Pods,
    routes: Routes,
    /// Longest prefix first.
    networks: Vec<(IpNetwork, Arc<str>)>,
    clock_offset: i64,
    identity_wait: u64,
    limit: usize,
    /// Exchanges of unknown netns, in order of coming, at most `Limits::waiting_exchanges`; past it the oldest goes on
    /// without a name.
    waiting: VecDeque<Waiting>,
    overflowed: u64,
}

#[derive(Debug)]
struct Waiting {
    until: Ktime,
    traced: TracedExchange,
}

impl Attribution {
    pub(crate) fn new(config: &Config) -> Self {
        let mut attribution = Self {
            pods: Pods::new(0),
            routes: Routes::default(),
            networks: Vec::new(),
            clock_offset: 0,
            identity_wait: 0,
            limit: 0,
            waiting: VecDeque::new(),
            overflowed: 0,
        };
        attribution.configure(config);
        attribution
    }

    pub(crate) fn configure(&mut self, config: &Config) {
        self.pods.set_limit(config.limits.pods);
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

    /// An exchange came: it leaves at once when its netns is known, else it waits.
    pub(crate) fn exchange(
        &mut self,
        traced: TracedExchange,
        now: Ktime,
        out: &mut impl FnMut(AttributedExchange),
    ) {
        if self.pods.get(traced.joined.exchange.flow.netns).is_some() {
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
        let (netns, forgotten) = match update {
            WorkloadUpdate::Pod(pod) => (pod.netns, self.pods.insert(pod)),
            WorkloadUpdate::Gone { netns } => (netns, self.pods.mark_gone(netns, now)),
        };
        self.release_netns(netns, out);
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

    pub(crate) fn tables(&self) -> [TableSnapshot; 3] {
        let (entries, limit) = (self.waiting.len() as u64, self.limit as u64);
        [
            self.pods.table(),
            self.routes.table(),
            TableSnapshot { table: "identity_waiting", entries, limit, evicted: self.overflowed },
        ]
    }

    fn release_front(&mut self, out: &mut impl FnMut(AttributedExchange)) {
        if let Some(Waiting { until: _, traced }) = self.waiting.pop_front() {
            out(self.attributed(traced));
        }
    }

    fn release_netns(&mut self, netns: u64, out: &mut impl FnMut(AttributedExchange)) {
        let is_its = |waiting: &Waiting| waiting.traced.joined.exchange.flow.netns == netns;
        if !self.waiting.iter().any(is_its) {
            return;
        }
        let (released, waiting): (VecDeque<_>, _) =
            std::mem::take(&mut self.waiting).into_iter().partition(is_its);
        self.waiting = waiting;
        for Waiting { until: _, traced } in released {
            out(self.attributed(traced));
        }
    }

    fn attributed(&mut self, traced: TracedExchange) -> AttributedExchange {
        let TracedExchange { joined, link, phases } = traced;
        let own = self.pods.get(joined.exchange.flow.netns);
        let address = joined.exchange.flow.peer.ip();
        let peer = self.pods.at(address);
        let peer_pod = peer.and_then(|entry| entry.label.clone());
        let route = route(&mut self.routes, &joined.exchange, peer.map(|entry| entry.pod.netns));
        let network = || self.networks.iter().find(|(network, _)| network.contains(address));
        let peer_network =
            if peer_pod.is_none() { network().map(|(_, name)| Arc::clone(name)) } else { None };
        AttributedExchange {
            pod: own.and_then(|entry| entry.label.clone()),
            identity: own.map(|entry| Arc::clone(&entry.pod)),
            route,
            netns_inode: own.map_or(0, |entry| entry.pod.netns_inode),
            peer_pod,
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
