//! The routes of one server, as a tree of the segments that its paths have.
use std::sync::Arc;

use hashbrown::HashMap;

use super::{OTHER_ROUTE, segment};

/// What stands for a segment that says which.
const VARIABLE: &str = "{id}";
/// What stands for the segments of a path that is deeper than [`DEEPEST`].
const REST: &str = "{rest}";
const DEEPEST: usize = 12;
/// Where one place has seen more segments than this, most of them say which.
const FANOUT: usize = 48;
/// Of these, a segment stays a word that has been asked for in one of so many requests.
const SHARE: u64 = 20;
/// Places of a tree: far more than a program has routes.
const MOST_NODES: usize = 1024;

/// A tree of bounded size: past [`MOST_NODES`] what is new is [`OTHER_ROUTE`].
#[derive(Debug)]
pub(super) struct Learned {
    nodes: Vec<Node>,
    free: Vec<u32>,
}

/// What follows one beginning.
#[derive(Debug, Default)]
struct Node {
    words: HashMap<Box<str>, u32>,
    variable: Option<u32>,
    /// Too many words came by: what is no word yet says which.
    varies: bool,
    /// Paths that came by.
    hits: u64,
    /// The route that ends here, once asked for.
    route: Option<Arc<str>>,
}

const ROOT: u32 = 0;

impl Default for Learned {
    fn default() -> Self {
        Self { nodes: vec![Node::default()], free: Vec::new() }
    }
}

/// Where a path leads.
enum Step {
    To(u32),
    /// Nobody has been there, and nothing is to be learned.
    Unknown,
    /// The tree is full.
    Full,
}

/// A path's segments; the last one of a path that is too deep stands for the others.
fn segments(path: &str) -> impl Iterator<Item = &str> {
    let mut over = false;
    path.trim_start_matches('/').split('/').enumerate().map_while(move |(depth, segment)| {
        let segment = if depth < DEEPEST { segment } else { REST };
        (!std::mem::replace(&mut over, segment == REST)).then_some(segment)
    })
}

impl Learned {
    /// The route of a path; none where it is not `found` and leads nowhere known.
    pub(super) fn route(&mut self, path: &str, found: bool) -> Option<Arc<str>> {
        let mut at = ROOT;
        for segment in segments(path) {
            match self.step(at, segment, found) {
                Step::To(next) => at = next,
                Step::Unknown => return None,
                Step::Full => return Some(OTHER_ROUTE.into()),
            }
        }
        Some(self.text(at, path))
    }

    fn step(&mut self, at: u32, segment: &str, found: bool) -> Step {
        let Some(node) = self.nodes.get_mut(at as usize) else { return Step::Unknown };
        if let Some(next) = node.words.get(segment).copied() {
            return self.arrive(next, found);
        }
        let variable = segment != REST && segment::is_variable(segment);
        if !variable && !node.varies && found && node.words.len() >= FANOUT {
            self.prune(at);
        }
        let Some(node) = self.nodes.get(at as usize) else { return Step::Unknown };
        let variable = variable || node.varies;
        match node.variable.filter(|_| variable) {
            Some(next) => self.arrive(next, found),
            None if !found => Step::Unknown,
            None => self.grow(at, segment, variable),
        }
    }

    fn arrive(&mut self, at: u32, found: bool) -> Step {
        if let Some(node) = self.nodes.get_mut(at as usize) {
            node.hits += u64::from(found);
        }
        Step::To(at)
    }

    fn grow(&mut self, at: u32, segment: &str, variable: bool) -> Step {
        let Some(next) = self.room() else { return Step::Full };
        if let Some(node) = self.nodes.get_mut(at as usize) {
            if variable {
                node.variable = Some(next);
            } else {
                node.words.insert(segment.into(), next);
            }
        }
        self.arrive(next, true)
    }

    fn room(&mut self) -> Option<u32> {
        if let Some(free) = self.free.pop() {
            return Some(free);
        }
        let next = u32::try_from(self.nodes.len()).ok().filter(|_| self.nodes.len() < MOST_NODES)?;
        self.nodes.push(Node::default());
        Some(next)
    }

    /// Of the words at a place only those stay that many ask for.
    fn prune(&mut self, at: u32) {
        let Some(node) = self.nodes.get_mut(at as usize) else { return };
        node.varies = true;
        let words = std::mem::take(&mut node.words);
        let hits = |nodes: &[Node], word: u32| nodes.get(word as usize).map_or(0, |node| node.hits);
        let all: u64 = words.values().map(|word| hits(&self.nodes, *word)).sum();
        for (word, next) in words {
            if hits(&self.nodes, next).saturating_mul(SHARE) < all {
                self.free(next);
            } else if let Some(node) = self.nodes.get_mut(at as usize) {
                node.words.insert(word, next);
            }
        }
    }

    /// Gives a subtree's places back.
    fn free(&mut self, root: u32) {
        let mut doomed = vec![root];
        while let Some(at) = doomed.pop() {
            if let Some(node) = self.nodes.get_mut(at as usize) {
                let Node { words, variable, .. } = std::mem::take(node);
                doomed.extend(words.into_values().chain(variable));
                self.free.push(at);
            }
        }
    }

    /// The route that ends at a place to which the path led.
    fn text(&mut self, end: u32, path: &str) -> Arc<str> {
        if let Some(route) = self.nodes.get(end as usize).and_then(|node| node.route.as_ref()) {
            return Arc::clone(route);
        }
        let route: Arc<str> = self.spell(path).into();
        if let Some(node) = self.nodes.get_mut(end as usize) {
            node.route = Some(Arc::clone(&route));
        }
        route
    }

    fn spell(&self, path: &str) -> String {
        let (mut at, mut route) = (ROOT, String::new());
        for segment in segments(path) {
            let Some(node) = self.nodes.get(at as usize) else { break };
            route.push('/');
            match (node.words.get(segment), node.variable) {
                (Some(next), _) => {
                    route.push_str(segment);
                    at = *next;
                }
                (None, Some(next)) => {
                    route.push_str(VARIABLE);
                    at = next;
                }
                (None, None) => break,
            }
        }
        route
    }

    /// How many places it has.
    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.nodes.len() - self.free.len()
    }
}
