use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use crate::{PortFilter, RouteConfig};

/// The part of the configuration that the pipeline needs. Immutable: another one replaces it whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Which connections are wanted at all.
    pub ports: PortFilter,
    /// The most bytes of a message's head (start line and header fields) that are buffered and parsed whole. Of a longer one of
    /// HTTP/1 what matters is read all the same; one of HTTP/2 is kept up to 64 KiB.
    pub max_header_bytes: usize,
    /// Whether the query string is cut from a path before anyone sees it.
    pub redact_query: bool,
    /// Fields whose values a redacted recording masks.
    pub redact_headers: Vec<String>,
    /// Names for addresses that are no pod's; the most specific network wins.
    pub networks: Vec<(IpNetwork, String)>,
    /// How paths become routes.
    pub routes: RouteConfig,
    /// The bounds of the pipeline's tables.
    pub limits: Limits,
}

/// Bounds of tables and queues. What happens at each is said at the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Connections; the one that was silent for longest gives way.
    pub flows: usize,
    /// Requests of one connection that wait for their response; further ones are dropped and counted.
    pub pending_requests: usize,
    /// Bytes of segments of one direction that wait for an earlier one; past it the gap is given up.
    pub out_of_order_bytes: usize,
    /// The same, of all connections together; past half of it only a 32nd of the former may wait in each.
    pub out_of_order_bytes_total: usize,
    /// How long a gap may stay open, in ns of the records' time.
    pub gap_timeout: u64,
    /// How long a connection may be silent before it is forgotten, in ns.
    pub flow_idle: u64,
    /// How long a finished exchange waits for the socket I/O that belongs to it, in ns.
    pub join_wait: u64,
    /// The same for a client to read its response, when all else is known; nothing waits for such an exchange. In ns.
    pub read_wait: u64,
    /// How long an exchange waits for the name of its pod, and for what the cluster says of it, in ns.
    pub identity_wait: u64,
    /// Exchanges that wait for each of these; the oldest goes on without.
    pub waiting_exchanges: usize,
    /// Requests that are open or were lately, at both ends, for what they cause; the one that ended first gives way.
    pub requests: usize,
    /// Vantages whose bytes are accounted for; further ones are counted together.
    pub vantages: usize,
    /// Addresses that the cluster says something of; further ones stay unknown.
    pub addresses: usize,
    /// Pods that have series of their own; further ones share one.
    pub pods: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ports: PortFilter::default(),
            max_header_bytes: 8192,
            redact_query: true,
            redact_headers: ["authorization", "cookie", "set-cookie"].map(str::to_owned).into(),
            networks: Vec::new(),
            routes: RouteConfig::default(),
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            flows: 131_072,
            pending_requests: 1024,
            // A receiver's window is at most 6 MiB unless somebody configured more (tcp(7), tcp_rmem).
            out_of_order_bytes: 8 * 1024 * 1024,
            out_of_order_bytes_total: 32 * 1024 * 1024,
            // Of a segment that is lost four times the fifth copy comes after 3 s: the first time-out is 200 ms
            // (Linux, TCP_RTO_MIN), and each is twice the one before (RFC 6298, 5.5).
            gap_timeout: 5_000_000_000,
            flow_idle: 600_000_000_000,
            join_wait: 20_000_000,
            // Less than what it caused is remembered for.
            read_wait: 1_000_000_000,
            identity_wait: 1_000_000_000,
            waiting_exchanges: 16_384,
            requests: 131_072,
            vantages: 8192,
            addresses: 65_536,
            pods: 4096,
        }
    }
}
