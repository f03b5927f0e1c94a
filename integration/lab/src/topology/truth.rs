//! What the services themselves say of which request caused which.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use anyhow::{Context, Result};

/// A request, by its id: the path, which no other request has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// The request that caused it; none for a driver's. The outer option: whether its sender said so at all.
    pub cause: Option<Option<String>>,
    /// Whether the called service has got it.
    pub received: bool,
    /// Whether its sender gave it up, and may never have sent it.
    pub given_up: bool,
}

/// All requests of a run.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    /// By id.
    pub calls: HashMap<String, Call>,
}

/// The logs of all processes, read as they grow.
#[derive(Debug, Default)]
pub struct Logs {
    files: Vec<(PathBuf, u64)>,
}

impl Logs {
    /// Also reads this file, from its beginning.
    pub fn add(&mut self, path: PathBuf) {
        self.files.push((path, 0));
    }

    /// Adds what was written since the last call.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn read_into(&mut self, truth: &mut Truth) -> Result<()> {
        for (path, position) in &mut self.files {
            let text =
                read_from(path, *position).with_context(|| format!("cannot read {}", path.display()))?;
            // The last line may not be there to its end.
            let whole = text.rfind('\n').map_or(0, |end| end + 1);
            *position += whole as u64;
            text[..whole].lines().for_each(|line| truth.line(line));
        }
        Ok(())
    }
}

fn read_from(path: &PathBuf, position: u64) -> Result<String> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(position))?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}

impl Truth {
    /// Takes a line of a log; `topology/truth.go` says what there is.
    pub fn line(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["C", cause, id] => {
                self.call(id).cause = Some(Some(cause.to_owned()).filter(|cause| cause != "-"))
            }
            ["R", id] => self.call(id).received = true,
            ["X", id] => self.call(id).given_up = true,
            _ => {}
        }
    }

    /// What is missing until of every request that was sent it is known what became of it, and `roots` of them are
    /// drivers'; nothing when the logs are whole.
    pub fn missing(&self, roots: u64) -> Option<String> {
        let settled = |call: &Call| call.cause.is_some() && (call.received || call.given_up);
        let unsettled: Vec<_> = self.calls.iter().filter(|(_, call)| !settled(call)).take(5).collect();
        let sent = self.roots().count() as u64;
        (sent != roots || !unsettled.is_empty()).then(|| {
            format!("{sent} of {roots} drivers' requests, and these are on their way: {unsettled:?}")
        })
    }

    /// Forgets requests of earlier runs, which a service may receive, and their sender give up, late.
    pub fn without(&mut self, earlier: &HashSet<String>) {
        self.calls.retain(|id, call| call.cause.is_some() || !earlier.contains(id));
    }

    /// The drivers' requests.
    pub fn roots(&self) -> impl Iterator<Item = &String> {
        self.calls.iter().filter(|(_, call)| call.cause == Some(None)).map(|(id, _)| id)
    }

    /// Which requests have come of each, of those that were received.
    pub fn caused(&self) -> HashMap<&str, Vec<&str>> {
        let mut caused: HashMap<&str, Vec<&str>> = HashMap::new();
        for (id, call) in self.calls.iter().filter(|(_, call)| call.received) {
            if let Some(Some(cause)) = &call.cause {
                caused.entry(cause).or_default().push(id);
            }
        }
        caused
    }

    /// The driver's request behind a request; none where a link of the chain is missing.
    pub fn root_of<'a>(&'a self, id: &'a str) -> Option<&'a str> {
        let mut id = id;
        // Longer than any chain of the mesh.
        for _ in 0..16 {
            match self.calls.get(id)?.cause.as_ref()? {
                None => return Some(id),
                Some(cause) => id = cause,
            }
        }
        None
    }

    fn call(&mut self, id: &str) -> &mut Call {
        if !self.calls.contains_key(id) {
            self.calls.insert(id.to_owned(), Call::default());
        }
        self.calls.entry(id.to_owned()).or_default()
    }
}
