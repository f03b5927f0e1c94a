//! Stage 7: what is counted for each pod. Exact: every exchange that leaves the pipeline is counted, none is sampled.
use hashbrown::HashMap;

use crate::{
    AttributedExchange, Evidence, Exchange, Histogram, Phases, Pod, Protocol, Side,
    attribute::Pods,
    snapshot::{
        ConnectionSnapshot, ExchangeCounts, NamedCount, PhaseSnapshot, PodSeries, PodSnapshot, SideSnapshot,
        TableSnapshot,
    },
    wire::ConnectionEvent,
};

#[cfg(test)]
mod tests;

/// The first status code that is the server's fault (RFC 9110, 15.6).
const SERVER_ERROR: u16 = 500;

/// Series by netns, at most `Limits::pods`; what further ones count is counted together. A pod that is gone and
/// forgotten leaves its counts in `retired`.
#[derive(Debug, Default)]
pub(crate) struct Aggregate {
    limit: usize,
    series: HashMap<u64, Series>,
    other: Series,
    retired: Series,
    overflow: u64,
    counts: ExchangeCounts,
    links: [u64; Evidence::ALL.len()],
}

#[derive(Clone, Debug, Default)]
struct Series {
    server: SideSeries,
    client: SideSeries,
    connections: Connections,
}

#[derive(Clone, Debug, Default)]
struct SideSeries {
    count: u64,
    errors: u64,
    incomplete: u64,
    request_body_bytes: u64,
    response_body_bytes: u64,
    latency: Histogram,
    phases: [Histogram; Phases::COUNT],
}

#[derive(Clone, Debug, Default)]
struct Connections {
    connect: Histogram,
    rtt: Histogram,
    closed: u64,
    tls: u64,
    tcp: u64,
    retransmitted_segments: u64,
}

impl Aggregate {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Counts an exchange that leaves the pipeline. A connection is no request: it is counted apart.
    pub(crate) fn exchange(&mut self, attributed: &AttributedExchange) {
        let exchange = &attributed.joined.exchange;
        if exchange.protocol.is_connection() {
            self.counts.connections += 1;
            return self.series(exchange.flow.netns).connections.row(exchange.protocol);
        }
        self.counts.incomplete += u64::from(!exchange.complete);
        self.counts.without_pod += u64::from(attributed.pod.is_none());
        match exchange.side {
            Side::Server => self.counts.server += 1,
            Side::Client => self.counts.client += 1,
        }
        if let (Side::Client, Some(links)) =
            (exchange.side, self.links.get_mut(attributed.link.evidence as usize))
        {
            *links += 1;
        }
        self.series(exchange.flow.netns).side(exchange.side).exchange(exchange, &attributed.phases);
    }

    /// Counts what happened to a connection.
    pub(crate) fn connection(&mut self, event: ConnectionEvent) {
        match event {
            ConnectionEvent::Connected { netns, latency_ns } => {
                self.series(netns).connections.connect.record(latency_ns);
            }
            ConnectionEvent::Retransmitted { netns, segments } => {
                self.series(netns).connections.retransmitted_segments += u64::from(segments);
            }
            // The connection's retransmitted segments were counted when they happened.
            ConnectionEvent::Closed { netns, srtt_us, retransmitted_segments: _ } => {
                self.series(netns).connections.close(srtt_us);
            }
        }
    }

    /// A pod was forgotten.
    pub(crate) fn retire(&mut self, netns: u64) {
        if let Some(series) = self.series.remove(&netns) {
            self.retired.merge(&series);
        }
    }

    /// Clients' exchanges by how their parent is known.
    pub(crate) fn links(&self) -> Vec<NamedCount> {
        let links = Evidence::ALL.iter().zip(self.links);
        links.map(|(evidence, count)| NamedCount { name: evidence.name(), count }).collect()
    }

    pub(crate) fn counts(&self) -> ExchangeCounts {
        self.counts
    }

    /// How often a series had to be shared.
    pub(crate) fn overflow(&self) -> u64 {
        self.overflow
    }

    pub(crate) fn other(&self) -> PodSeries {
        self.other.snapshot()
    }

    pub(crate) fn retired(&self) -> PodSeries {
        self.retired.snapshot()
    }

    /// Pods that are known, and netns that have series, by namespace, name and netns.
    pub(crate) fn pods(&self, pods: &Pods) -> Vec<PodSnapshot> {
        let known = pods.iter().map(|entry| entry.pod.netns);
        let unknown = self.series.keys().copied().filter(|netns| pods.get(*netns).is_none());
        let mut all: Vec<_> = known.chain(unknown).map(|netns| self.pod(netns, pods)).collect();
        all.sort_by(|a, b| (&a.namespace, &a.name, a.netns).cmp(&(&b.namespace, &b.name, b.netns)));
        all
    }

    pub(crate) fn table(&self) -> TableSnapshot {
        let (entries, limit) = (self.series.len() as u64, self.limit as u64);
        TableSnapshot { table: "series", entries, limit, evicted: self.overflow }
    }

    fn series(&mut self, netns: u64) -> &mut Series {
        if self.series.len() >= self.limit && !self.series.contains_key(&netns) {
            self.overflow += 1;
            return &mut self.other;
        }
        self.series.entry(netns).or_default()
    }

    fn pod(&self, netns: u64, pods: &Pods) -> PodSnapshot {
        let entry = pods.get(netns);
        let pod = entry.map(|entry| Pod::clone(&entry.pod)).unwrap_or_default();
        PodSnapshot {
            netns,
            netns_inode: pod.netns_inode,
            namespace: pod.namespace,
            name: pod.name,
            uid: pod.uid,
            addresses: pod.addresses,
            identity: entry.and_then(|entry| entry.identity.clone()),
            gone: entry.is_some_and(|entry| entry.gone),
            series: self.series.get(&netns).map(Series::snapshot).unwrap_or_default(),
        }
    }
}

impl Series {
    fn side(&mut self, side: Side) -> &mut SideSeries {
        match side {
            Side::Server => &mut self.server,
            Side::Client => &mut self.client,
        }
    }

    fn merge(&mut self, other: &Self) {
        let Self { server, client, connections } = other;
        self.server.merge(server);
        self.client.merge(client);
        self.connections.merge(connections);
    }

    fn snapshot(&self) -> PodSeries {
        PodSeries {
            server: self.server.snapshot(),
            client: self.client.snapshot(),
            connections: self.connections.snapshot(),
        }
    }
}

impl SideSeries {
    fn exchange(&mut self, exchange: &Exchange, phases: &Phases) {
        for (histogram, (_, ns)) in self.phases.iter_mut().zip(phases.by_name()) {
            ns.into_iter().for_each(|ns| histogram.record(ns));
        }
        let call_failed = exchange.grpc.as_deref().is_some_and(|grpc| grpc.status.unwrap_or(0) != 0);
        let failed = call_failed || exchange.status.is_some_and(|status| status >= SERVER_ERROR);
        self.count += 1;
        self.errors += u64::from(failed || !exchange.complete);
        self.incomplete += u64::from(!exchange.complete);
        self.request_body_bytes = self.request_body_bytes.saturating_add(exchange.request.body_bytes);
        let Some(response) = &exchange.response else { return };
        self.response_body_bytes = self.response_body_bytes.saturating_add(response.body_bytes);
        if exchange.complete {
            self.latency.record(response.last_byte.since(exchange.request.first_byte));
        }
    }

    fn merge(&mut self, other: &Self) {
        let Self { count, errors, incomplete, request_body_bytes, response_body_bytes, latency, phases } =
            other;
        self.count += count;
        self.errors += errors;
        self.incomplete += incomplete;
        self.request_body_bytes = self.request_body_bytes.saturating_add(*request_body_bytes);
        self.response_body_bytes = self.response_body_bytes.saturating_add(*response_body_bytes);
        self.latency.merge(latency);
        self.phases.iter_mut().zip(phases).for_each(|(own, other)| own.merge(other));
    }

    fn snapshot(&self) -> SideSnapshot {
        SideSnapshot {
            count: self.count,
            errors: self.errors,
            incomplete: self.incomplete,
            request_body_bytes: self.request_body_bytes,
            response_body_bytes: self.response_body_bytes,
            latency: self.latency.snapshot(),
            phases: self.phases(),
        }
    }

    fn phases(&self) -> Vec<PhaseSnapshot> {
        let names = Phases::default().by_name().map(|(name, _)| name);
        let snapshot =
            |(phase, histogram): (_, &Histogram)| PhaseSnapshot { phase, time: histogram.snapshot() };
        names.into_iter().zip(&self.phases).map(snapshot).collect()
    }
}

impl Connections {
    fn row(&mut self, protocol: Protocol) {
        match protocol {
            Protocol::Tls => self.tls += 1,
            _ => self.tcp += 1,
        }
    }

    /// A round-trip time of 0 means that none was measured.
    fn close(&mut self, srtt_us: u32) {
        self.closed += 1;
        if srtt_us > 0 {
            self.rtt.record(u64::from(srtt_us) * 1000);
        }
    }

    fn merge(&mut self, other: &Self) {
        let Self { connect, rtt, closed, tls, tcp, retransmitted_segments } = other;
        self.connect.merge(connect);
        self.rtt.merge(rtt);
        self.closed += closed;
        self.tls += tls;
        self.tcp += tcp;
        self.retransmitted_segments += retransmitted_segments;
    }

    fn snapshot(&self) -> ConnectionSnapshot {
        ConnectionSnapshot {
            connect: self.connect.snapshot(),
            rtt: self.rtt.snapshot(),
            closed: self.closed,
            tls: self.tls,
            tcp: self.tcp,
            retransmitted_segments: self.retransmitted_segments,
        }
    }
}
