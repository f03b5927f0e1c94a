//! The Go processes of all pods: found, told to the programs and the pipeline, and forgotten when they are gone.
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
    time::Instant,
};

use weft_abi::GoCountKey;
use weft_core::{Input, ProcessUpdate};
use weft_gobin::GoBinary;
use weft_loader::LoaderError;

use super::{
    binaries::{Answer, Binaries},
    file_id::FileId,
    functions::{Settings, Wishes},
    listeners::Listeners,
    log_limit::LogLimit,
    pods::{PodNetns, Pods},
    proc::{self, ProcDir},
    process::Process,
    read::ReadFile,
    recent::Recent,
    sighting::{Look, Sighting},
    view::{Counts, ProbeState},
};
use crate::agent::PipelineHandle;

/// Processes that may not be looked at and are remembered.
const REFUSED: usize = 4096;

/// What is known of them.
pub struct Processes {
    pub(super) known: BTreeMap<u32, Process>,
    pub(super) listeners: Listeners,
    pub(super) binaries: Binaries,
    pipeline: PipelineHandle,
    /// Processes that may not be looked at, by their id and when they started: it was said of them, once.
    refused: Recent<(u32, u64)>,
    pub(super) counts: Counts,
    log: LogLimit,
    /// What was published is out of date.
    pub(super) changed: bool,
    /// Something found no room: all processes have to be looked at again.
    look: bool,
}

impl Processes {
    /// None yet.
    pub fn new(listeners: Listeners, binaries: Binaries, pipeline: PipelineHandle, now: Instant) -> Self {
        Self {
            known: BTreeMap::new(),
            listeners,
            binaries,
            pipeline,
            refused: Recent::new(REFUSED),
            counts: Counts::default(),
            log: LogLimit::new(now),
            changed: true,
            look: false,
        }
    }

    /// Another configuration is in force.
    pub fn configure(&mut self, settings: Settings, now: Instant) {
        for file in self.listeners.configure(settings, now) {
            self.tell_of(file);
        }
        self.changed = true;
    }

    /// Does what is to be done for metrics of functions, where there are any.
    pub fn look_after_functions(&mut self, pods: &Pods) {
        let Self { listeners, binaries, .. } = self;
        let seek = |file, path: &str, executable, names| binaries.seek(file, path, executable, names);
        self.look |= !listeners.seek(seek);
        let wishes = self.wishes();
        self.changed |= self.listeners.settle(&wishes, pods);
    }

    fn wishes(&self) -> Wishes {
        let mut wishes = Wishes::new();
        for process in self.known.values() {
            for (metric, _, state) in self.listeners.function_states(process.file) {
                let wish = match state {
                    ProbeState::On => true,
                    ProbeState::Off(_) | ProbeState::OverBudget(_) | ProbeState::Failed(_) => false,
                    ProbeState::Waiting | ProbeState::Absent => continue,
                };
                let key = GoCountKey { metric, pad: 0, netns: process.pod.netns };
                *wishes.entry(key).or_insert(true) &= wish;
            }
        }
        wishes
    }

    /// Whether something has changed since [`Self::view`].
    pub fn changed(&self) -> bool {
        self.changed
    }

    /// Whether all processes have to be looked at again; no longer from now on.
    pub fn take_demand(&mut self) -> bool {
        std::mem::take(&mut self.look)
    }

    /// Looks at a process.
    pub fn look(&mut self, pid: u32, pods: &Pods, now: Instant) {
        match Look::at(pid, pods) {
            Look::Of(sighting) => self.seen(&sighting, now),
            Look::Nothing => self.gone(pid, now),
            Look::Refused { started, pod, error } => self.refuse((pid, started), &pod, &error, now),
        }
    }

    /// Looks at all processes of the node.
    pub fn look_at_all(&mut self, pods: &Pods, now: Instant) {
        let pids: BTreeSet<u32> = match proc::all() {
            Ok(pids) => pids.into_iter().collect(),
            Err(error) => return tracing::error!(%error, "/proc cannot be read: Go processes are not found"),
        };
        let gone: Vec<u32> = self.known.keys().filter(|pid| !pids.contains(pid)).copied().collect();
        gone.into_iter().for_each(|pid| self.gone(pid, now));
        pids.into_iter().for_each(|pid| self.look(pid, pods, now));
        self.changed = true;
    }

    /// A binary was read: those that waited for it are looked at again.
    pub fn read(&mut self, read: ReadFile, pods: &Pods, now: Instant) {
        self.changed = true;
        if !read.names.is_empty() {
            let ReadFile { file, names, outcome, path: _ } = read;
            return self.listeners.learn(file, &names, &outcome.functions());
        }
        for pid in self.binaries.read(read, now) {
            self.look(pid, pods, now);
        }
    }

    /// The process is gone, or is another one by now.
    pub fn gone(&mut self, pid: u32, now: Instant) {
        let Some(process) = self.known.remove(&pid) else { return };
        self.listeners.remove(&process, now);
        self.pipeline.input(Input::Process(ProcessUpdate::Gone { pid }));
        self.changed = true;
    }

    /// When [`Self::attach`] has something to do.
    pub fn attach_at(&self) -> Option<Instant> {
        self.listeners.attach_at()
    }

    /// Attaches one thing that is to be attached by now.
    pub fn attach(&mut self, now: Instant) {
        if let Some(file) = self.listeners.attach(now) {
            self.tell_of(file);
        }
    }

    /// Measures what the probes cost, and does what the budget says.
    pub fn measure(&mut self, now: Instant) {
        for file in self.listeners.measure(now) {
            self.tell_of(file);
        }
    }

    /// Asks the runtimes of all processes.
    pub fn count(&mut self) {
        self.known.values_mut().for_each(Process::count);
        self.changed |= !self.known.is_empty();
    }

    fn seen(&mut self, sighting: &Sighting, now: Instant) {
        let pid = sighting.folder.pid();
        let same = |process: &&Process| process.started == sighting.started && process.file == sighting.file;
        if self.known.get(&pid).filter(same).is_some_and(|process| self.listeners.knows(process)) {
            return;
        }
        self.gone(pid, now);
        match self.binaries.of(sighting) {
            Ok(Answer::Go(binary)) => self.adopt(sighting, binary, now),
            Ok(Answer::Nothing | Answer::Wait) => {}
            Ok(Answer::NoRoom) => self.no_room(),
            Err(error) => self.refuse((pid, sighting.started), &sighting.pod, &error, now),
        }
    }

    fn adopt(&mut self, sighting: &Sighting, binary: Arc<GoBinary>, now: Instant) {
        let mut process = Process::new(sighting, binary, now);
        if let Err(error) = self.listeners.add(&process, now) {
            return self.leave_out(&process, &error, now);
        }
        tracing::debug!(pid = process.pid, pod = %process.pod.label, path = process.path, "a Go process");
        process.count();
        self.tell(&process);
        self.known.insert(process.pid, process);
        self.changed = true;
    }

    /// The programs cannot be told of it: it is gone meanwhile, or there are too many.
    fn leave_out(&mut self, process: &Process, error: &LoaderError, now: Instant) {
        if ProcDir::open(process.pid).is_err() {
            return;
        }
        self.counts.overflow.processes += 1;
        if let Some(left_out) = self.log.line(now) {
            let (pid, pod) = (process.pid, &process.pod.label);
            tracing::warn!(pid, pod, left_out, "its goroutines stay unknown: {error}");
        }
    }

    fn refuse(&mut self, (pid, started): (u32, u64), pod: &PodNetns, error: &io::Error, now: Instant) {
        self.gone(pid, now);
        if !self.refused.insert((pid, started)) {
            return;
        }
        self.binaries.counts.unreadable += 1;
        self.changed = true;
        if let Some(left_out) = self.log.line(now) {
            tracing::warn!(pid, pod = %pod.label, left_out, "what the process executes cannot be read: {error}");
        }
    }

    fn no_room(&mut self) {
        self.look = true;
        self.changed = true;
    }

    /// What is listened at in a binary has changed.
    fn tell_of(&mut self, file: FileId) {
        let (pids, _) = self.listeners.of(file);
        pids.iter().filter_map(|pid| self.known.get(pid)).for_each(|process| self.tell(process));
        self.changed = true;
    }

    fn tell(&self, process: &Process) {
        let (_, probes) = self.listeners.of(process.file);
        self.pipeline.input(Input::Process(ProcessUpdate::Go(process.update(probes))));
    }
}
