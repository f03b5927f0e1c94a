//! From paths to routes: what can be a label's value, however many paths there are. What an operator wrote comes first; the
//! rest is learned from the traffic of each server.
use std::sync::Arc;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use crate::{Endpoint, snapshot::TableSnapshot};

mod learned;
mod segment;
mod template;
#[cfg(test)]
mod tests;

use learned::Learned;
pub use template::{Template, TemplateError};

/// What stands for paths whose server has too many routes to tell them apart.
pub const OTHER_ROUTE: &str = "other";

/// How routes are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RouteConfig {
    /// What an operator wrote; the one with the longest literal beginning wins.
    pub templates: Vec<Template>,
    /// Also learn from what is asked.
    pub learn: bool,
}

impl Default for RouteConfig {
    fn default() -> Self {
        Self { templates: Vec::new(), learn: true }
    }
}

/// Whose paths they are: clients and servers of one pod see the same routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Server {
    /// A pod of this node, by its netns.
    Pod(u64),
    /// Anybody else.
    Address(Endpoint),
}

/// Tells the routes of all servers, of which at most `limit` have routes of their own; further ones share them.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    templates: Vec<Template>,
    learn: bool,
    servers: HashMap<Server, Learned>,
    shared: Learned,
    limit: usize,
    /// Paths that found no room.
    overflowed: u64,
}

impl Routes {
    pub(crate) fn configure(&mut self, config: &RouteConfig, limit: usize) {
        self.templates.clone_from(&config.templates);
        // Stable: of two that begin alike the first wins.
        self.templates.sort_by_key(|template| std::cmp::Reverse(template.literals()));
        self.learn = config.learn;
        self.limit = limit;
    }

    /// The route of a request's target (RFC 9112, 3.2), where it has one. `found`: its server knew the path. What it did not
    /// know teaches nothing: scanners ask for anything.
    pub(crate) fn route(&mut self, server: Server, target: &str, found: bool) -> Option<Arc<str>> {
        let path = path_of(target)?;
        if let Some(template) = self.templates.iter().find(|template| template.matches(path)) {
            return Some(template.text());
        }
        if !self.learn {
            return None;
        }
        let learned = if self.servers.len() < self.limit || self.servers.contains_key(&server) {
            self.servers.entry(server).or_default()
        } else {
            &mut self.shared
        };
        let route = learned.route(path, found);
        self.overflowed += u64::from(route.as_deref() == Some(OTHER_ROUTE));
        route
    }

    /// A pod was forgotten.
    pub(crate) fn forget(&mut self, netns: u64) {
        self.servers.remove(&Server::Pod(netns));
    }

    pub(crate) fn table(&self) -> TableSnapshot {
        let (entries, limit) = (self.servers.len() as u64, self.limit as u64);
        TableSnapshot { table: "routed_servers", entries, limit, evicted: self.overflowed }
    }
}

/// The path of a target in origin or absolute form, without its query. CONNECT's authority and the asterisk have none.
fn path_of(target: &str) -> Option<&str> {
    let path = match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => &rest[rest.find('/')?..],
        _ => target,
    };
    let end = path.find(['?', '#']).unwrap_or(path.len());
    path.starts_with('/').then(|| &path[..end])
}
