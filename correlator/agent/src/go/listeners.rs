//! The probes in all binaries: attached when a process executes one, detached when the last process is gone, and kept within
//! the budget in between. Each decision is a line of the log.
use std::{
    collections::BTreeMap,
    fs::File,
    time::{Duration, Instant},
};

use weft_core::Probes;
use weft_gobin::NamedFunction;
use weft_loader::{LoaderError, go::GoProbes};

use super::{
    budget::Change,
    file_id::FileId,
    functions::{Functions, Numbers, Series, Settings, Wishes, define},
    group::Group,
    listening::Listening,
    pods::Pods,
    policy::Policy,
    probe::Probe,
    process::Process,
    recent::Recent,
    view::ProbeState,
};
use crate::config::FunctionMetric;

/// A process that lives no longer is not worth attaching to: of a binary that has had one, others have to live as long first.
const SHORT_LIFE: Duration = Duration::from_secs(3);
/// Binaries whose processes do not live long that are remembered.
const SHORT_LIVED: usize = 1024;

/// All of them.
pub struct Listeners {
    loader: GoProbes,
    policy: Policy,
    numbers: Numbers,
    /// What the numbers are of.
    functions: Functions,
    series: Series,
    by_file: BTreeMap<FileId, Listening>,
    /// Binaries of which a process did not live long.
    short_lived: Recent<FileId>,
}

impl Listeners {
    /// None yet. Measures what a probe costs here, where it is to be known.
    pub fn start(mut loader: GoProbes, settings: Settings, series: Series) -> Self {
        let policy = Policy::measured(&mut loader, settings.go);
        let mut numbers = Numbers::default();
        numbers.configure(settings.functions);
        let functions = numbers.all();
        define(&mut loader, &functions);
        let (by_file, short_lived) = (BTreeMap::new(), Recent::new(SHORT_LIVED));
        Self { loader, policy, numbers, functions, series, by_file, short_lived }
    }

    /// Another configuration is in force: what it has no place for is detached at once. Gives the binaries of which it is to be
    /// told.
    pub fn configure(&mut self, settings: Settings, now: Instant) -> Vec<FileId> {
        self.define(settings.functions);
        if !self.policy.configure(&mut self.loader, settings.go) {
            return Vec::new();
        }
        for listening in self.by_file.values_mut() {
            listening.configure(self.policy, &self.loader, now);
        }
        self.files().collect()
    }

    /// Nothing is attached and nothing is counted under a number when it comes to mean something else.
    fn define(&mut self, metrics: Vec<FunctionMetric>) {
        let freed = self.numbers.configure(metrics);
        self.functions = self.numbers.all();
        self.by_file.values_mut().for_each(|listening| listening.define(&self.functions));
        self.series.end(&mut self.loader, &freed);
        define(&mut self.loader, &self.functions);
    }

    /// Has the files of all binaries asked where the metrics' functions are. Says whether there was room for all.
    pub fn seek(&mut self, mut ask: impl FnMut(FileId, &str, File, Vec<String>) -> bool) -> bool {
        self.by_file.values_mut().all(|listening| listening.seek(&mut ask))
    }

    /// Where functions with these names are in a file.
    pub fn learn(&mut self, file: FileId, names: &[String], found: &Result<Vec<NamedFunction>, String>) {
        if let Some(listening) = self.by_file.get_mut(&file) {
            listening.learn(names, found);
        }
    }

    /// Begins and ends to count for pods; says whether anything has changed.
    pub fn settle(&mut self, wishes: &Wishes, pods: &Pods) -> bool {
        let functions = if self.policy.allows_functions() { self.functions.as_slice() } else { &[] };
        self.series.settle(&mut self.loader, functions, wishes, pods)
    }

    /// The metrics of functions that there are.
    pub fn functions(&self) -> &Functions {
        &self.functions
    }

    /// What is counted.
    pub fn series(&self) -> &Series {
        &self.series
    }

    /// How it is about the metrics' functions in a binary, by the metrics' numbers and names.
    pub fn function_states(&self, file: FileId) -> impl Iterator<Item = (u32, &str, ProbeState)> {
        self.by_file.get(&file).into_iter().flat_map(Listening::functions)
    }

    /// Tells the programs where the process's goroutines are found, and listens to it; or says why that cannot be.
    pub fn add(&mut self, process: &Process, now: Instant) -> Result<(), LoaderError> {
        if knows_goroutines(process) {
            self.loader.set_process(process.pid, process.binary.process)?;
        }
        let patience = if self.short_lived.contains(process.file) { SHORT_LIFE } else { Duration::ZERO };
        let new = || Listening::new(process, self.policy, &self.functions, now + patience);
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
        let (probe, result) = listening.attach(&mut self.loader, now)?;
        let (version, path, what) =
            (listening.binary().version, listening.path(), name(probe, &self.functions));
        match result {
            Ok(()) => tracing::info!(%version, path, "probes of {what} are on"),
            Err(error) => tracing::warn!(%version, path, "probes of {what} are off: {error}"),
        }
        Some(*file)
    }

    /// Measures, and turns on and off what the budget says. Gives the binaries of which what is listened at has changed.
    pub fn measure(&mut self, now: Instant) -> Vec<FileId> {
        let mut changed = Vec::new();
        for (file, listening) in &mut self.by_file {
            for change in listening.measure(&self.loader, now) {
                changed.push(*file);
                report(change, listening.path(), &self.policy, &self.functions);
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

fn report(change: Change, path: &str, policy: &Policy, functions: &Functions) {
    match change {
        Change::Off(probe, share) => {
            tracing::info!(path, "probes of {} are off: {}", name(probe, functions), policy.too_dear(share));
        }
        Change::On(probe) => tracing::info!(path, "probes of {} are tried again", name(probe, functions)),
    }
}

/// A group's name, or its metric's.
fn name(probe: Probe, functions: &Functions) -> &str {
    match probe {
        Probe::Group(group) => group.name(),
        Probe::Function(number) => {
            let metric = functions.iter().find(|(known, _)| *known == number);
            metric.map_or("a function", |(_, metric)| &metric.name)
        }
    }
}
