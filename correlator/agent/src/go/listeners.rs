//! The probes in all binaries: attached when a process executes one, detached when the last process is gone, and kept within
//! the budget in between. Each decision is a line of the log.
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use weft_core::Probes;
use weft_loader::{LoaderError, go::GoProbes};

use super::{
    budget::Change, file_id::FileId, group::Group, listening::Listening, policy::Policy, process::Process,
    recent::Recent, view::ProbeState,
};
use crate::config::Go;

/// A process that lives no longer is not worth attaching to: of a binary that has had one, others have to live as long first.
const SHORT_LIFE: Duration = Duration::from_secs(3);
/// Binaries whose processes do not live long that are remembered.
const SHORT_LIVED: usize = 1024;

/// All of them.
pub struct Listeners {
    loader: GoProbes,
    policy: Policy,
    by_file: BTreeMap<FileId, Listening>,
    /// Binaries of which a process did not live long.
    short_lived: Recent<FileId>,
}

impl Listeners {
    /// None yet. Measures what a probe costs here, where it is to be known.
    pub fn start(mut loader: GoProbes, go: Go) -> Self {
        let policy = Policy::measured(&mut loader, go);
        Self { loader, policy, by_file: BTreeMap::new(), short_lived: Recent::new(SHORT_LIVED) }
    }

    /// Another configuration is in force: what it has no place for is detached at once. Gives the binaries of which it is to be
    /// told.
    pub fn configure(&mut self, go: Go, now: Instant) -> Vec<FileId> {
        if !self.policy.configure(&mut self.loader, go) {
            return Vec::new();
        }
        for listening in self.by_file.values_mut() {
            listening.configure(self.policy, &self.loader, now);
        }
        self.files().collect()
    }

    /// Tells the programs where the process's goroutines are found, and listens to it; or says why that cannot be.
    pub fn add(&mut self, process: &Process, now: Instant) -> Result<(), LoaderError> {
        if knows_goroutines(process) {
            self.loader.set_process(process.pid, process.binary.process)?;
        }
        let patience = if self.short_lived.contains(process.file) { SHORT_LIFE } else { Duration::ZERO };
        let new = || Listening::new(process, self.policy, now + patience);
        self.by_file.entry(process.file).or_insert_with(new).join(process.pid);
        Ok(())
    }

    /// The process is gone. With the last one of its binary nothing is attached any more, at once: who writes another
    /// program into the file must find no breakpoints there.
    pub fn remove(&mut self, process: &Process, now: Instant) {
        self.loader.remove_process(process.pid);
        if self.by_file.get_mut(&process.file).is_some_and(|listening| !listening.leave(process.pid)) {
            self.by_file.remove(&process.file);
        }
        if now.saturating_duration_since(process.since) < SHORT_LIFE {
            self.short_lived.insert(process.file);
        } else {
            self.short_lived.remove(process.file);
        }
    }

    /// Whether the programs know what they are to know of the process: they forget it by themselves when it executes another
    /// program.
    pub fn knows(&self, process: &Process) -> bool {
        !knows_goroutines(process) || self.loader.has_process(process.pid)
    }

    /// When [`Self::attach`] has something to do.
    pub fn attach_at(&self) -> Option<Instant> {
        self.by_file.values().filter_map(Listening::attach_at).min()
    }

    /// Attaches one group of one binary: it takes the kernel a while, and others wait. Gives the binary when what is listened
    /// at has changed.
    pub fn attach(&mut self, now: Instant) -> Option<FileId> {
        let due = |listening: &Listening| listening.attach_at().is_some_and(|at| at <= now);
        let (file, listening) = self.by_file.iter_mut().find(|(_, listening)| due(listening))?;
        let (group, result) = listening.attach(&mut self.loader, now)?;
        let (version, path, group) = (listening.binary().version, listening.path(), group.name());
        match result {
            Ok(()) => tracing::info!(%version, path, "probes of {group} are on"),
            Err(error) => tracing::warn!(%version, path, "probes of {group} are off: {error}"),
        }
        Some(*file)
    }

    /// Measures, and turns on and off what the budget says. Gives the binaries of which what is listened at has changed.
    pub fn measure(&mut self, now: Instant) -> Vec<FileId> {
        let mut changed = Vec::new();
        for (file, listening) in &mut self.by_file {
            for change in listening.measure(&self.loader, now) {
                changed.push(*file);
                report(change, listening.path(), &self.policy);
            }
        }
        changed
    }

    /// The processes that execute a binary, and what is listened at in it.
    pub fn of(&self, file: FileId) -> (Vec<u32>, Probes) {
        let listening = self.by_file.get(&file);
        listening.map(|listening| (listening.processes().collect(), listening.probes())).unwrap_or_default()
    }

    /// How it is about the groups of a binary.
    pub fn states(&self, file: FileId) -> Vec<(Group, ProbeState)> {
        let states = |listening: &Listening| Group::ALL.map(|group| (group, listening.state(group))).to_vec();
        self.by_file.get(&file).map(states).unwrap_or_default()
    }

    /// All binaries that processes execute.
    pub fn files(&self) -> impl Iterator<Item = FileId> {
        self.by_file.keys().copied()
    }
}

/// Of a version that nobody has looked at it is not known where a goroutine has its id.
fn knows_goroutines(process: &Process) -> bool {
    process.binary.process.goid != 0
}

fn report(change: Change, path: &str, policy: &Policy) {
    match change {
        Change::Off(group, share) => {
            tracing::info!(path, "probes of {} are off: {}", group.name(), policy.too_dear(share));
        }
        Change::On(group) => tracing::info!(path, "probes of {} are tried again", group.name()),
    }
}
