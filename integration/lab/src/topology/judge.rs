//! Whole traces: what weft built of each driver's request against what the services say.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use super::seen::Seen;
use super::truth::Truth;

#[cfg(test)]
mod tests;

/// Evidence from the strongest to the weakest: a trace is as good as its weakest link.
const EVIDENCE: [&str; 7] =
    ["header", "same_goroutine", "parent_goroutine", "probe", "context", "wake", "thread"];
/// How many of the traces that are not right are told in words.
const EXAMPLES: usize = 5;

/// Traces by how weft built them. Every driver's request is one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// All exchanges and links are there, and no other.
    pub right: u64,
    /// A link or an exchange is missing; none is wrong.
    pub incomplete: u64,
    /// A link leads to another request, or an exchange of another request is in the trace.
    pub wrong: u64,
    /// Right traces by their weakest evidence; `none` where there is nothing to conclude.
    pub by_evidence: BTreeMap<String, u64>,
    /// Links by their evidence, right ones.
    pub links: BTreeMap<String, u64>,
    /// Wrong links by their evidence.
    pub wrong_links: BTreeMap<String, u64>,
    /// Exchanges that the services speak of and weft did not see, on one of the sides.
    pub unseen: u64,
    /// What is not right of some of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<String>,
}

impl Verdict {
    /// Adds another one.
    pub fn add(&mut self, other: &Self) {
        let Self { right, incomplete, wrong, by_evidence, links, wrong_links, unseen, examples } = other;
        self.right += right;
        self.incomplete += incomplete;
        self.wrong += wrong;
        self.unseen += unseen;
        add(&mut self.by_evidence, by_evidence);
        add(&mut self.links, links);
        add(&mut self.wrong_links, wrong_links);
        let room = EXAMPLES.saturating_sub(self.examples.len());
        self.examples.extend(examples.iter().take(room).cloned());
    }

    /// The share of right traces.
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    pub fn right_share(&self) -> f64 {
        self.right as f64 / (self.right + self.incomplete + self.wrong).max(1) as f64
    }
}

fn add(to: &mut BTreeMap<String, u64>, from: &BTreeMap<String, u64>) {
    for (key, count) in from {
        *to.entry(key.clone()).or_default() += count;
    }
}

/// How a link or a trace is; the greater the worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Grade {
    Right,
    Incomplete,
    Wrong,
}

/// A trace while it is judged.
struct Trace {
    grade: Grade,
    /// Index into [`EVIDENCE`] of the weakest link; none without any.
    weakest: Option<usize>,
    why: Option<String>,
}

/// Everything that is asked about again and again.
struct Judge<'a> {
    truth: &'a Truth,
    caused: HashMap<&'a str, Vec<&'a str>>,
    /// By id and whether it is the server's side. More than one where a client sent its request again.
    sides: HashMap<(&'a str, bool), Vec<&'a Seen>>,
    /// Whose span each is, by its id.
    spans: HashMap<&'a str, &'a Seen>,
    /// Which drivers' requests a trace id has exchanges of.
    roots: HashMap<&'a str, HashSet<&'a str>>,
    verdict: Verdict,
}

/// Holds every driver's request of `truth` against the exchanges.
pub fn judge<'a>(truth: &'a Truth, seen: impl Iterator<Item = &'a Seen>) -> Verdict {
    let mut judge = Judge {
        truth,
        caused: truth.caused(),
        sides: HashMap::new(),
        spans: HashMap::new(),
        roots: HashMap::new(),
        verdict: Verdict::default(),
    };
    for exchange in seen.filter(|seen| truth.calls.contains_key(seen.id())) {
        judge.sides.entry((exchange.id(), exchange.side == "server")).or_default().push(exchange);
        judge.spans.insert(&exchange.span_id, exchange);
        if let Some(root) = truth.root_of(exchange.id()) {
            judge.roots.entry(&exchange.trace_id).or_default().insert(root);
        }
    }
    for root in truth.roots() {
        let trace = judge.trace(root);
        judge.count(root, trace);
    }
    judge.verdict
}

impl<'a> Judge<'a> {
    fn count(&mut self, root: &str, trace: Trace) {
        let Trace { grade, weakest, why } = trace;
        match grade {
            Grade::Right => {
                self.verdict.right += 1;
                let evidence = weakest.map_or("none", |weakest| EVIDENCE[weakest]);
                *self.verdict.by_evidence.entry(evidence.to_owned()).or_default() += 1;
            }
            Grade::Incomplete => self.verdict.incomplete += 1,
            Grade::Wrong => self.verdict.wrong += 1,
        }
        if let Some(why) = why
            && (self.verdict.examples.len() < EXAMPLES || grade == Grade::Wrong)
        {
            self.verdict.examples.push(format!("{root}: {why}"));
            // A wrong link is worth more than what follows from it, and than a missing one.
            let worth = |example: &String| (!example.contains("WRONG"), example.contains("one trace"));
            self.verdict.examples.sort_by_key(worth);
            self.verdict.examples.truncate(EXAMPLES);
        }
    }

    fn trace(&mut self, root: &'a str) -> Trace {
        let mut trace = Trace { grade: Grade::Right, weakest: None, why: None };
        let mut ids = vec![root];
        let mut next = 0;
        while let Some(id) = ids.get(next).copied() {
            self.request(id, &mut trace);
            ids.extend(self.caused.get(id).into_iter().flatten());
            next += 1;
        }
        // Last: what has the wrong parent says more.
        ids.iter().for_each(|id| self.strangers(id, &mut trace));
        trace
    }

    /// Both sides of one request, with the links to what caused them.
    fn request(&mut self, id: &'a str, trace: &mut Trace) {
        let clients = self.side(id, false);
        let servers = self.side(id, true);
        if clients.is_empty() || servers.is_empty() {
            self.verdict.unseen += 1;
            trace.worse(Grade::Incomplete, || format!("{id} was not seen from both sides"));
        }
        for server in &servers {
            let (grade, _) = grade(server, &clients);
            trace.worse(grade, || format!("the server's side of {id} and the client's are no pair"));
        }
        let Some(Some(cause)) = self.truth.calls.get(id).and_then(|call| call.cause.clone()) else {
            clients.iter().for_each(|client| self.root(client, trace));
            return;
        };
        let causes = self.side(&cause, true);
        clients.iter().for_each(|client| self.link(client, &causes, trace));
    }

    /// A driver's request has no parent that weft knows; it may have brought one in a header.
    fn root(&mut self, client: &Seen, trace: &mut Trace) {
        let Some(parent) = &client.parent_span_id else { return };
        if client.evidence == "header" && !self.spans.contains_key(parent.as_str()) {
            return;
        }
        *self.verdict.wrong_links.entry(client.evidence.clone()).or_default() += 1;
        trace.worse(Grade::Wrong, || format!("WRONG: it is linked to {}", self.parent_of(client)));
    }

    /// The link from what a service sent to what it had received.
    fn link(&mut self, client: &Seen, causes: &[&Seen], trace: &mut Trace) {
        let (grade, torn) = grade(client, causes);
        let tally = match grade {
            Grade::Right => Some(&mut self.verdict.links),
            Grade::Incomplete => None,
            Grade::Wrong => Some(&mut self.verdict.wrong_links),
        };
        if let Some(tally) = tally {
            *tally.entry(client.evidence.clone()).or_default() += 1;
        }
        trace.rest_on(&client.evidence);
        let id = client.id();
        trace.worse(grade, || match grade {
            Grade::Wrong => format!("WRONG: {id} is linked to {}", self.parent_of(client)),
            _ if torn => format!("{id} is in another trace than what caused it"),
            _ => format!("{id} ({}) is linked to nothing", client.pod),
        });
    }

    /// Exchanges of other drivers' requests under the same trace id.
    fn strangers(&self, id: &str, trace: &mut Trace) {
        let sides = [self.side(id, false), self.side(id, true)].concat();
        let roots = sides.iter().filter_map(|seen| self.roots.get(seen.trace_id.as_str()));
        for others in roots.filter(|roots| roots.len() > 1) {
            trace.worse(Grade::Wrong, || format!("WRONG: {others:?} are one trace"));
        }
    }

    fn side(&self, id: &str, server: bool) -> Vec<&'a Seen> {
        self.sides.get(&(id, server)).cloned().unwrap_or_default()
    }

    /// Whom an exchange is linked to, in words.
    fn parent_of(&self, seen: &Seen) -> String {
        let parent = seen.parent_span_id.as_ref().and_then(|span| self.spans.get(span.as_str()));
        let goroutine = |seen: &Seen| seen.app.goid.map_or_else(|| "?".to_owned(), |goid| goid.to_string());
        let named = |parent: &&Seen| {
            let Seen { side, pod, .. } = parent;
            format!("the {side}'s side of {} in {pod} (goroutine {})", parent.id(), goroutine(parent))
        };
        let parent = parent.map_or_else(|| "a span that nobody has".to_owned(), named);
        format!("{parent}, by {} (goroutine {})", seen.evidence, goroutine(seen))
    }
}

impl Trace {
    fn worse(&mut self, grade: Grade, why: impl FnOnce() -> String) {
        if grade > self.grade {
            self.grade = grade;
            self.why = Some(why());
        }
    }

    fn rest_on(&mut self, evidence: &str) {
        let weakness = EVIDENCE.iter().position(|known| *known == evidence);
        self.weakest = self.weakest.max(weakness);
    }
}

/// The link from `child` to one of `parents`, which are sides of the same request; and whether only the trace ids differ.
fn grade(child: &Seen, parents: &[&Seen]) -> (Grade, bool) {
    let Some(parent) = &child.parent_span_id else { return (Grade::Incomplete, false) };
    let Some(found) = parents.iter().find(|seen| seen.span_id == *parent) else {
        // Without any side of the request the link may well be right.
        let grade = if parents.is_empty() { Grade::Incomplete } else { Grade::Wrong };
        return (grade, false);
    };
    let torn = found.trace_id != child.trace_id;
    (if torn { Grade::Incomplete } else { Grade::Right }, torn)
}
