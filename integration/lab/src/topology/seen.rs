//! What weft says of the mesh's requests: the exchanges of both sides, collected while they come.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::Agent;

/// The most that the agent gives in one answer.
const LIMIT: usize = 100_000;
/// Exchanges come in the order of their completion, which is not that of their last bytes: how much an answer
/// overlaps with the one before it.
const OVERLAP: Duration = Duration::from_millis(700);

/// One side of an exchange, as far as a trace is made of it.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Seen {
    /// The same on both sides.
    pub exchange_id: String,
    /// `client` or `server`.
    pub side: String,
    /// With the query.
    #[serde(default)]
    pub path: String,
    /// `namespace/name`.
    #[serde(default)]
    pub pod: String,
    /// Of all exchanges of a trace.
    pub trace_id: String,
    /// Of this side.
    pub span_id: String,
    /// The side that caused this one.
    pub parent_span_id: Option<String>,
    /// What the parent was concluded from.
    #[serde(default)]
    pub evidence: String,
    /// Who read and wrote.
    #[serde(default)]
    pub app: App,
    #[serde(default)]
    pub(super) request: Message,
    #[serde(default)]
    pub(super) response: Message,
}

/// Who read and wrote an exchange.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct App {
    /// The goroutine.
    pub goid: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct Message {
    last_byte: u64,
}

impl Seen {
    /// The request's id: its path.
    pub fn id(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }

    fn ended(&self) -> u64 {
        self.request.last_byte.max(self.response.last_byte)
    }
}

/// Collects all exchanges that end after its creation.
#[derive(Debug)]
pub struct Collector {
    since: u64,
    newest: u64,
    seen: HashMap<(String, String), Seen>,
}

impl Collector {
    /// From now on.
    ///
    /// # Errors
    /// When the clock is before 1970.
    pub fn new() -> Result<Self> {
        let since = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())?;
        Ok(Self { since, newest: since, seen: HashMap::new() })
    }

    /// Takes what ended since the last call, or shortly before.
    ///
    /// # Errors
    /// Without an answer.
    pub fn poll(&mut self, agent: &Agent) -> Result<()> {
        let overlap = u64::try_from(OVERLAP.as_nanos()).unwrap_or(u64::MAX);
        self.take(agent, self.newest.saturating_sub(overlap).max(self.since))
    }

    /// Takes everything that the agent still has.
    ///
    /// # Errors
    /// Without an answer.
    pub fn poll_all(&mut self, agent: &Agent) -> Result<()> {
        self.take(agent, self.since)
    }

    fn take(&mut self, agent: &Agent, since: u64) -> Result<()> {
        let answer = agent.get(&format!("/api/v1/exchanges?since={since}&limit={LIMIT}"))?;
        for line in answer.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let seen: Seen = serde_json::from_slice(line).context("a line is no exchange")?;
            self.newest = self.newest.max(seen.ended());
            self.seen.insert((seen.exchange_id.clone(), seen.side.clone()), seen);
        }
        Ok(())
    }

    /// What was collected.
    pub fn seen(&self) -> impl Iterator<Item = &Seen> {
        self.seen.values()
    }
}
