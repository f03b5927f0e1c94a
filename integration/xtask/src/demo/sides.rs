//! One exchange as its client's pod and its server's pod saw it, each by itself.
use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::Value;
use weft_lab::Agent;

/// How many recent exchanges are looked at.
const LIMIT: usize = 10_000;

/// The two sides, and how many exchanges had both.
#[derive(Debug, Serialize)]
pub struct Sides {
    /// The client's.
    pub client: Value,
    /// The server's.
    pub server: Value,
    /// Recent exchanges that both sides saw under the same id.
    pub both: u64,
    /// Those that only one side saw.
    pub one: u64,
}

/// Looks for both sides of recent exchanges.
pub fn one_exchange(agent: &Agent) -> Result<Sides> {
    let recent = agent.json_lines(&format!("/api/v1/exchanges?limit={LIMIT}"))?;
    let id = |exchange: &Value| exchange["exchange_id"].as_str().map(str::to_owned);
    let mut ids: std::collections::BTreeMap<String, Vec<&Value>> = std::collections::BTreeMap::new();
    for exchange in inner(&recent) {
        ids.entry(id(exchange).context("an exchange without an id")?).or_default().push(exchange);
    }
    let side =
        |exchanges: &[&Value], side: &str| exchanges.iter().find(|e| e["side"] == side).map(|e| (*e).clone());
    let pairs: Vec<_> = ids
        .values()
        .filter_map(|exchanges| Some((side(exchanges, "client")?, side(exchanges, "server")?)))
        .collect();
    let both = pairs.len() as u64;
    let one = ids.len() as u64 - both;
    let last = pairs.into_iter().max_by_key(|(client, _)| client["response"]["last_byte"].as_u64());
    let (client, server) = last.context("no exchange was seen from both sides")?;
    Ok(Sides { client, server, both, one })
}

/// Those that are not at the edge of what is kept, where the other side may just have been dropped or not yet be there.
fn inner(recent: &[Value]) -> impl Iterator<Item = &Value> {
    const EDGE: u64 = 200_000_000;
    let end = |exchange: &Value| exchange["response"]["last_byte"].as_u64().unwrap_or(0);
    let (first, last) =
        (recent.iter().map(end).min().unwrap_or(0), recent.iter().map(end).max().unwrap_or(0));
    // At the end of the load nothing more comes: only its beginning is cut off.
    recent.iter().filter(move |exchange| end(exchange) >= first + EDGE.min((last - first) / 4))
}

impl Sides {
    /// The same exchange, twice.
    pub fn explain(&self) {
        eprintln!(
            "one exchange from both sides (id {}):",
            self.client["exchange_id"].as_str().unwrap_or("?")
        );
        for side in [&self.client, &self.server] {
            eprintln!(
                "  {:<6} {:<16} {} {} {}  {:>9.3} ms  span {} parent {}",
                text(side, "side"),
                text(side, "pod"),
                text(side, "method"),
                text(side, "path"),
                side["status"],
                duration_ms(side),
                text(side, "span_id"),
                text(side, "parent_span_id"),
            );
        }
        eprintln!(
            "  on the way between the two pods: {:.3} ms",
            duration_ms(&self.client) - duration_ms(&self.server)
        );
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or("-")
}

#[expect(clippy::cast_precision_loss, reason = "for people: three digits")]
fn duration_ms(exchange: &Value) -> f64 {
    let time = |message: &str, byte: &str| exchange[message][byte].as_u64().unwrap_or(0);
    time("response", "last_byte").saturating_sub(time("request", "first_byte")) as f64 / 1e6
}
