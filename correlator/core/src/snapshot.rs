//! Everything that the pipeline counts, at one moment, as plain data: the agent's metrics, its API and `weft top`
//! are rendered from it. Counters never go backwards while a [`Correlator`](crate::Correlator) lives.
use std::{net::IpAddr, sync::Arc};

use serde::{Serialize, Serializer};

use crate::{Identity, Ktime, LossReport};

/// What the pipeline counted since it was made.
#[derive(Clone, Debug, Serialize)]
pub struct Snapshot {
    /// The latest time that any input told.
    pub time: Ktime,
    /// What to add to `time` for ns since the epoch.
    pub clock_offset: i64,
    /// The pods, by namespace, name and netns cookie: those that are known, and netns that had traffic.
    pub pods: Vec<PodSnapshot>,
    /// Exchanges of pods beyond `Limits::pods`, together.
    pub other: PodSeries,
    /// What the pods counted that are no longer listed. With `pods` and `other` it adds up to `exchanges`.
    pub retired: PodSeries,
    /// Every exchange that left the pipeline.
    pub exchanges: ExchangeCounts,
    /// The account of every byte.
    pub loss: LossReport,
    /// What the kernel programs could not record, by reason; every reason is there.
    pub events_lost: Vec<NamedCount>,
    /// Occurrences by kind; every kind is there.
    pub anomalies: Vec<NamedCount>,
    /// Clients' exchanges by the evidence for their parent; every kind is there.
    pub parent_links: Vec<NamedCount>,
    /// Connections with payload by what they speak.
    pub flows: Vec<NamedCount>,
    /// Records of the ring by kind.
    pub records: RecordCounts,
    /// Tables and queues: how full, and what they had to let go.
    pub tables: Vec<TableSnapshot>,
    /// Pods of which the cluster did not say in time who they are.
    pub missing_identities: u64,
    /// How often an exchange or connection event had to share a series because there were `Limits::pods`.
    pub series_overflow: u64,
}

/// Something counted under a name that is a metric's label value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct NamedCount {
    /// The label's value.
    pub name: &'static str,
    /// How often.
    pub count: u64,
}

/// Exchanges that left the pipeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ExchangeCounts {
    /// Those whose pod was the server.
    pub server: u64,
    /// Those whose pod was the client.
    pub client: u64,
    /// Rows that are connections (TLS and other TCP): in none of the other counts.
    pub connections: u64,
    /// Of both, those without a complete request and response.
    pub incomplete: u64,
    /// Of both, those whose pod has no name, or none in time.
    pub without_pod: u64,
}

/// Records of the ring by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RecordCounts {
    /// TCP segments.
    pub segments: u64,
    /// Runs of segments within bodies, which the programs put together.
    pub runs: u64,
    /// Events of a connection's life.
    pub sock_events: u64,
    /// Sends and receives.
    pub sock_ios: u64,
    /// Records that are none of these, or too short.
    pub malformed: u64,
    /// Calls in Go processes whose connection is unknown.
    pub unplaced_calls: u64,
    /// Exchanges that left without the socket I/O that belongs to them.
    pub unjoined_exchanges: u64,
    /// Socket I/O of sockets whose connection is unknown.
    pub unjoined_ios: u64,
}

/// One table or queue of the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TableSnapshot {
    /// The value of the metrics' label `table`.
    pub table: &'static str,
    /// What it holds: entries, or bytes where the name says so.
    pub entries: u64,
    /// The most that it may hold.
    pub limit: u64,
    /// What had to go, or found no room.
    pub evicted: u64,
}

/// A pod, or a netns whose pod nobody named.
#[derive(Clone, Debug, Serialize)]
pub struct PodSnapshot {
    /// Netns cookie.
    pub netns: u64,
    /// Netns inode number; 0 while unknown.
    pub netns_inode: u64,
    /// Kubernetes namespace; empty while unknown.
    pub namespace: String,
    /// Pod name; empty while unknown.
    pub name: String,
    /// Kubernetes uid; empty while unknown.
    pub uid: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Who it is, as the cluster says.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shared")]
    pub identity: Option<Arc<Identity>>,
    /// Its netns is gone; the counters stay for a while.
    pub gone: bool,
    /// What was counted.
    #[serde(flatten)]
    pub series: PodSeries,
}

/// What many have, as if it were one's own.
fn shared<S: Serializer>(identity: &Option<Arc<Identity>>, serializer: S) -> Result<S::Ok, S::Error> {
    identity.as_deref().serialize(serializer)
}

/// What is counted for a pod.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PodSeries {
    /// Exchanges in which it was the server.
    pub server: SideSnapshot,
    /// Exchanges in which it was the client.
    pub client: SideSnapshot,
    /// Its connections.
    pub connections: ConnectionSnapshot,
}

/// The exchanges of a pod on one side.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SideSnapshot {
    /// Exchanges, complete or not.
    pub count: u64,
    /// Of these, those with a status of 500 and above, and the incomplete ones.
    pub errors: u64,
    /// Of these, those without a complete request and response.
    pub incomplete: u64,
    /// Bytes of request bodies, without framing.
    pub request_body_bytes: u64,
    /// Bytes of response bodies, without framing.
    pub response_body_bytes: u64,
    /// First byte of the request to last byte of the response, of complete exchanges.
    pub latency: HistogramSnapshot,
    /// Where their time went.
    pub phases: Vec<PhaseSnapshot>,
}

/// Where the time of exchanges went: one phase, of the exchanges in which it was measured.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PhaseSnapshot {
    /// Its name, see [`Phases`](crate::Phases).
    pub phase: &'static str,
    /// How long it took.
    pub time: HistogramSnapshot,
}

/// The connections of a pod, from the socket events.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ConnectionSnapshot {
    /// connect(2) until established, of connections that the pod opened.
    pub connect: HistogramSnapshot,
    /// The smoothed round-trip time that a connection had when it closed.
    pub rtt: HistogramSnapshot,
    /// Connections that closed.
    pub closed: u64,
    /// Rows that are connections of TLS.
    pub tls: u64,
    /// Rows that are other connections, or what followed a tunnel's or an upgrade's handshake.
    pub tcp: u64,
    /// Segments that the pod sent again.
    pub retransmitted_segments: u64,
}

/// A histogram of durations in ns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HistogramSnapshot {
    /// How many.
    pub count: u64,
    /// Their sum, saturating.
    pub sum_ns: u64,
    /// The shortest; absent without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_ns: Option<u64>,
    /// The longest; absent without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_ns: Option<u64>,
    /// Median, within 4.4%; absent without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_ns: Option<u64>,
    /// 90th percentile, within 4.4%; absent without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p90_ns: Option<u64>,
    /// 99th percentile, within 4.4%; absent without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99_ns: Option<u64>,
    /// Exact cumulative counts at [`CLASSIC_BOUNDS_NS`](crate::CLASSIC_BOUNDS_NS), in that order, without `+Inf`
    /// (which is `count`). Empty without any.
    pub classic: Vec<u64>,
    /// The same durations in exponential buckets.
    pub exponential: ExponentialBuckets,
}

/// Base-2 exponential buckets of durations in **seconds**, as OpenTelemetry and Prometheus' native histograms have
/// them: bucket `i` holds values in `(2^(i/2^scale), 2^((i+1)/2^scale)]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ExponentialBuckets {
    /// Scale (Prometheus: schema).
    pub scale: i32,
    /// Durations of 0 ns.
    pub zero_count: u64,
    /// OpenTelemetry's index of the first of `counts`; Prometheus names a bucket by its upper bound, so its index is one
    /// more.
    pub offset: i32,
    /// How many in each, from `offset` on.
    pub counts: Vec<u64>,
}
