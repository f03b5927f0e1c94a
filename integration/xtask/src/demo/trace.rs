//! Requests with all that they caused, as weft put them together: each pod saw its own ends only.
use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::Value;
use weft_lab::{Agent, shop};

/// How many recent exchanges are looked at.
const LIMIT: usize = 10_000;
/// Of one request: the client's end, both ends of each service's two connections, and the last service's.
const ROWS: usize = 2 * shop::SERVERS.len();

/// The traces of recent requests.
#[derive(Debug, Serialize)]
pub struct Traces {
    /// Those with every end, each below the one that caused it.
    pub complete: u64,
    /// Those without.
    pub broken: u64,
    /// One of them, every row below the one that caused it.
    #[serde(skip)]
    pub one: Tree,
}

/// A row, and what it caused.
#[derive(Debug)]
pub struct Tree {
    row: Value,
    children: Vec<Self>,
}

/// Puts recent exchanges together.
pub fn recent(agent: &Agent) -> Result<Traces> {
    let recent = agent.json_lines(&format!("/api/v1/exchanges?limit={LIMIT}"))?;
    let mut traces: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for row in inner(&recent) {
        traces.entry(text(row, "trace_id")).or_default().push(row);
    }
    let trees: Vec<_> = traces.into_values().map(tree).collect();
    let broken = trees.iter().filter(|tree| tree.is_none()).count() as u64;
    let complete: Vec<Tree> = trees.into_iter().flatten().collect();
    let last = |tree: &Tree| tree.row["response"]["last_byte"].as_u64();
    let (count, one) = (complete.len() as u64, complete.into_iter().max_by_key(last));
    Ok(Traces { complete: count, broken, one: one.context("no request's trace is whole")? })
}

/// Those that are not at the edge of what is kept, where others of their trace may just have been dropped.
fn inner(recent: &[Value]) -> impl Iterator<Item = &Value> {
    const EDGE: u64 = 200_000_000;
    let begin = |row: &Value| row["request"]["first_byte"].as_u64().unwrap_or(0);
    let (first, last) =
        (recent.iter().map(begin).min().unwrap_or(0), recent.iter().map(begin).max().unwrap_or(0));
    let edge = first + EDGE.min((last - first) / 4);
    // A trace that begins behind the edge has all its rows behind it.
    let roots = recent.iter().filter(move |row| text(row, "parent_span_id") == "-" && begin(row) >= edge);
    let traces: std::collections::BTreeSet<&str> = roots.map(|row| text(row, "trace_id")).collect();
    recent.iter().filter(move |row| traces.contains(text(row, "trace_id")))
}

/// The rows of one trace as a tree, if it is whole.
fn tree(rows: Vec<&Value>) -> Option<Tree> {
    let root = *rows.iter().find(|row| text(row, "parent_span_id") == "-")?;
    let tree = below(root, &rows);
    (tree.rows() == ROWS && rows.len() == ROWS).then_some(tree)
}

/// A row with all that name it as their parent: spans of another trace cannot be among them.
fn below(row: &Value, rows: &[&Value]) -> Tree {
    let children = rows.iter().filter(|child| child["parent_span_id"] == row["span_id"]);
    Tree { row: row.clone(), children: children.map(|child| below(child, rows)).collect() }
}

impl Tree {
    fn rows(&self) -> usize {
        1 + self.children.iter().map(Self::rows).sum::<usize>()
    }

    fn explain(&self, depth: usize) {
        let Self { row, children } = self;
        let evidence = match text(row, "evidence") {
            "none" => String::new(),
            evidence => format!("  [{evidence}]"),
        };
        eprintln!(
            "  {:<42} {} {} {}  {:>8.3} ms{}{evidence}",
            format!("{:indent$}{} {}", "", text(row, "pod"), text(row, "side"), indent = 2 * depth),
            text(row, "method"),
            text(row, "path"),
            row["status"],
            duration_ms(row),
            phases(row),
        );
        children.iter().for_each(|child| child.explain(depth + 1));
    }
}

impl Traces {
    /// How many, and one as a tree.
    pub fn explain(&self) {
        eprintln!("traces of the last requests: {} whole, {} not; one of them:", self.complete, self.broken);
        self.one.explain(0);
    }
}

/// Where a row's time went, in us.
#[expect(clippy::cast_precision_loss, reason = "for people: three digits")]
fn phases(row: &Value) -> String {
    let phase =
        |(name, ns): (&String, &Value)| format!("{name} {:.0}", ns.as_u64().unwrap_or(0) as f64 / 1e3);
    let phases: Vec<_> = row["phases_ns"].as_object().into_iter().flatten().map(phase).collect();
    if phases.is_empty() { String::new() } else { format!("  ({} us)", phases.join(", ")) }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or("-")
}

#[expect(clippy::cast_precision_loss, reason = "for people: three digits")]
fn duration_ms(exchange: &Value) -> f64 {
    let time = |message: &str, byte: &str| exchange[message][byte].as_u64().unwrap_or(0);
    time("response", "last_byte").saturating_sub(time("request", "first_byte")) as f64 / 1e6
}
