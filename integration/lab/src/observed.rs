//! What a weft agent says it saw, in the terms that tests and the demo compare.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Agent;
use crate::account::{self, Account};

/// Exchanges of one pod by the side that it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sides {
    /// It got the request.
    pub server: u64,
    /// It sent the request.
    pub client: u64,
}

/// Latency quantiles in ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Quantiles {
    /// Median.
    pub p50: f64,
    /// 90%.
    pub p90: f64,
    /// 99%.
    pub p99: f64,
}

/// The account of every byte, and the records that were lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// The kernel programs' own count.
    pub bytes_seen: u64,
    /// Of messages.
    pub bytes_decoded: u64,
    /// Of what is no message.
    pub bytes_opaque: u64,
    /// Seen before.
    pub bytes_duplicate: u64,
    /// Missing.
    pub bytes_lost: u64,
    /// Records that found no room or no agent.
    pub events_lost: u64,
}

impl Loss {
    /// What came since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            bytes_seen: self.bytes_seen.saturating_sub(earlier.bytes_seen),
            bytes_decoded: self.bytes_decoded.saturating_sub(earlier.bytes_decoded),
            bytes_opaque: self.bytes_opaque.saturating_sub(earlier.bytes_opaque),
            bytes_duplicate: self.bytes_duplicate.saturating_sub(earlier.bytes_duplicate),
            bytes_lost: self.bytes_lost.saturating_sub(earlier.bytes_lost),
            events_lost: self.events_lost.saturating_sub(earlier.events_lost),
        }
    }
}

/// Everything at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// Exchanges by `namespace/name`.
    pub exchanges: BTreeMap<String, Sides>,
    /// Latency by `namespace/name`: as a server where it was one, else as a client.
    pub latency: BTreeMap<String, Quantiles>,
    /// The account of all vantages and directions together.
    pub loss: Loss,
    /// The account of each direction of each vantage.
    pub accounts: Vec<Account>,
    /// Those of them, and of their sums, that do not add up yet.
    pub unsettled: Vec<Account>,
    /// Records that found no room or no agent, by reason, without the reasons that did not occur.
    pub events_lost: BTreeMap<String, u64>,
    /// Anomalies by kind, without those that did not occur.
    pub anomalies: BTreeMap<String, u64>,
}

impl Observed {
    /// Asks the agent.
    ///
    /// # Errors
    /// Without an answer.
    pub fn now(agent: &Agent) -> Result<Self> {
        let pods = agent.json("/api/v1/pods")?;
        let loss = agent.json("/api/v1/loss")?;
        let mut observed = Self {
            loss: read_loss(&loss),
            accounts: account::read(&loss),
            unsettled: account::unsettled(&loss),
            events_lost: read_counts(&loss["events_lost"]),
            anomalies: read_counts(&loss["anomalies"]),
            ..Self::default()
        };
        for pod in pods["pods"].as_array().into_iter().flatten() {
            let name = label(pod);
            let count = |side: &str| pod[side]["count"].as_u64().unwrap_or(0);
            let sides = Sides { server: count("server"), client: count("client") };
            let side = if sides.server > 0 { "server" } else { "client" };
            observed.latency.insert(name.clone(), quantiles(&pod[side]["latency"]));
            observed.exchanges.insert(name, sides);
        }
        Ok(observed)
    }

    /// Asks until `done` says so, or `limit` passes; gives what was seen last. The agent publishes every half second,
    /// its counters a moment apart.
    ///
    /// # Errors
    /// Without an answer.
    pub fn wait(agent: &Agent, limit: Duration, done: impl Fn(&Self) -> bool) -> Result<Self> {
        let end = Instant::now() + limit;
        loop {
            let observed = Self::now(agent)?;
            if done(&observed) || Instant::now() >= end {
                return Ok(observed);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Whether of every vantage, in every direction, every byte has its place: nothing waits, nothing is unexplained.
    pub fn adds_up(&self) -> bool {
        self.unsettled.is_empty()
    }

    /// The exchanges of one pod.
    pub fn pod(&self, name: &str) -> Sides {
        self.exchanges.get(name).copied().unwrap_or_default()
    }
}

/// `namespace/name`; a netns that nobody named by its cookie.
fn label(pod: &Value) -> String {
    match (pod["namespace"].as_str(), pod["name"].as_str()) {
        (Some(namespace), Some(name)) if !name.is_empty() => format!("{namespace}/{name}"),
        _ => format!("netns {}", pod["netns"]),
    }
}

fn quantiles(latency: &Value) -> Quantiles {
    #[expect(clippy::cast_precision_loss, reason = "for people: three digits")]
    let ms = |name: &str| latency[name].as_u64().unwrap_or(0) as f64 / 1e6;
    Quantiles { p50: ms("p50_ns"), p90: ms("p90_ns"), p99: ms("p99_ns") }
}

fn read_loss(answer: &Value) -> Loss {
    let total = |name: &str| answer["bytes"]["total"][name].as_u64().unwrap_or(0);
    Loss {
        bytes_seen: total("seen"),
        bytes_decoded: total("decoded"),
        bytes_opaque: total("opaque"),
        bytes_duplicate: total("duplicate"),
        bytes_lost: total("lost"),
        events_lost: read_counts(&answer["events_lost"]).values().sum(),
    }
}

fn read_counts(object: &Value) -> BTreeMap<String, u64> {
    let members = object.as_object().into_iter().flatten();
    members
        .filter_map(|(name, count)| Some((name.clone(), count.as_u64().filter(|count| *count > 0)?)))
        .collect()
}
