//! The probes in one binary, for all processes that execute it.
use std::{
    collections::BTreeMap,
    fs::File,
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use weft_abi::GoCallLayout;
use weft_core::Probes;
use weft_gobin::{GoBinary, NamedFunction};
use weft_loader::{
    LoaderError,
    go::{GoAttachment, GoProbes},
};

use super::{
    budget::{Change, Governor, Spent, State},
    file_id::FileId,
    functions::{Functions, Place, Places},
    group::Group,
    policy::Policy,
    probe::Probe,
    proc::ProcDir,
    process::Process,
    view::ProbeState,
};

/// When attaching is tried again after the file of no process could be opened: they are all about to end.
const AGAIN: Duration = Duration::from_secs(1);
/// Where it is told of which request a context is.
const SERVE: Probe = Probe::Group(Group::Serve);

/// A binary that processes of pods execute.
pub struct Listening {
    binary: Arc<GoBinary>,
    /// What the process executes that was the first: for the log.
    path: String,
    file: FileId,
    policy: Policy,
    /// With their CPU time when they were last measured.
    processes: BTreeMap<u32, Duration>,
    governor: Governor,
    /// Of the metrics' functions.
    places: Places,
    attached: BTreeMap<Probe, Vec<Attached>>,
    /// What the kernel refused, and what it said.
    failed: BTreeMap<Probe, String>,
    /// Not before then.
    attach_at: Instant,
    /// One of its processes was seen to call somebody.
    calls: bool,
}

/// A place that is attached to.
struct Attached {
    attachment: GoAttachment,
    emulated: bool,
    layout: GoCallLayout,
    /// How often it was come by until it was last measured.
    hits: u64,
}

impl Listening {
    /// What the process executes. Nothing is attached yet, and will not be before `attach_at`.
    pub fn new(process: &Process, policy: Policy, functions: &Functions, attach_at: Instant) -> Self {
        let binary = Arc::clone(&process.binary);
        let mut places = Places::default();
        places.configure(functions);
        Self {
            governor: governor(&binary, policy, &places, attach_at),
            places,
            binary,
            path: process.path.clone(),
            file: process.file,
            policy,
            processes: BTreeMap::new(),
            attached: BTreeMap::new(),
            failed: BTreeMap::new(),
            attach_at,
            calls: false,
        }
    }

    /// Another policy is in force: what it has no place for is detached, what is new is attached in its turn, and what was too
    /// dear under the other one gets another chance.
    pub fn configure(&mut self, policy: Policy, loader: &GoProbes, now: Instant) {
        self.policy = policy;
        self.governor = governor(&self.binary, policy, &self.places, now);
        self.detach(loader);
        self.attach_at = self.attach_at.max(now);
    }

    /// These are the metrics of functions now.
    pub fn define(&mut self, functions: &Functions) {
        for probe in self.places.configure(functions).into_iter().map(Probe::Function) {
            self.attached.remove(&probe);
            self.failed.remove(&probe);
            self.governor.remove(probe);
        }
    }

    /// Has the file asked where functions are, by `ask`, which says whether there was room; says the same.
    pub fn seek(&mut self, ask: impl FnOnce(FileId, &str, File, Vec<String>) -> bool) -> bool {
        let names = if self.policy.allows_functions() { self.places.unknown() } else { Vec::new() };
        if names.is_empty() {
            return true;
        }
        // Where the file of no process can be opened they are all about to end: another one's is asked for then.
        let Some(executable) = self.open() else { return true };
        let asked = ask(self.file, &self.path, executable, names);
        if asked {
            self.places.asked();
        }
        asked
    }

    /// Where functions with these names are in it.
    pub fn learn(&mut self, names: &[String], found: &Result<Vec<NamedFunction>, String>) {
        for number in self.places.learn(names, found) {
            if self.policy.allows_functions() {
                self.governor.add(Probe::Function(number));
            }
        }
    }

    /// What is known of the binary.
    pub fn binary(&self) -> &GoBinary {
        &self.binary
    }

    /// The path of what is executed, as one of the processes has it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The processes that execute it.
    pub fn processes(&self) -> impl Iterator<Item = u32> {
        self.processes.keys().copied()
    }

    /// One more process executes it.
    pub fn join(&mut self, pid: u32) {
        self.processes.insert(pid, cpu(pid).unwrap_or_default());
    }

    /// A process no longer does; says whether others do.
    pub fn leave(&mut self, pid: u32) -> bool {
        self.processes.remove(&pid);
        !self.processes.is_empty()
    }

    /// When [`Self::attach`] has something to do.
    pub fn attach_at(&self) -> Option<Instant> {
        self.wanted().map(|_| self.attach_at)
    }

    /// Attaches the most valuable probe that is to be on and is not yet; says which, and what the kernel says.
    pub fn attach(&mut self, loader: &mut GoProbes, now: Instant) -> Option<(Probe, Result<(), String>)> {
        let probe = self.wanted().filter(|_| self.attach_at <= now)?;
        let Some(executable) = self.open() else {
            self.attach_at = now + AGAIN;
            return None;
        };
        let result = self.attach_all(probe, &executable, loader).map_err(|error| error.to_string());
        let result = match result {
            Ok(attached) => {
                self.attached.insert(probe, attached);
                self.governor.begin(now);
                self.follow_contexts(loader, self.attached.contains_key(&SERVE));
                Ok(())
            }
            Err(says) => {
                self.failed.insert(probe, says.clone());
                Err(says)
            }
        };
        Some((probe, result))
    }

    /// Looks at what the probes cost since the last time, and turns off and on what the budget says.
    pub fn measure(&mut self, loader: &GoProbes, now: Instant) -> Vec<Change> {
        let spent = Spent { cpu: self.cpu(), probes: self.spent(loader) };
        let calls = self.call_sites().any(|site| site.hits > 0);
        self.calls |= calls;
        let changes = self.governor.measured(spent, now);
        self.detach(loader);
        changes
    }

    /// Detaches what is not to be on. Contexts are let be before nobody tells any more whose they are: detaching takes the kernel a
    /// while, and meanwhile the memory of one that is gone may be another request's.
    fn detach(&mut self, loader: &GoProbes) {
        if self.attached.contains_key(&SERVE) && !self.governor.is_on(SERVE) {
            self.follow_contexts(loader, false);
        }
        let Self { governor, attached, .. } = self;
        attached.retain(|probe, _| governor.is_on(*probe));
    }

    /// Which request a context is of is told where one is served: while nobody listens there, calls' contexts say nothing, and
    /// reading them is half of what a call's probe costs.
    fn follow_contexts(&self, loader: &GoProbes, served: bool) {
        for Attached { attachment, layout, .. } in self.call_sites() {
            if let Err(error) = loader.follow_contexts(attachment, *layout, served) {
                tracing::debug!(path = self.path, %error, "cannot say whether contexts are followed");
            }
        }
    }

    /// What is listened at.
    pub fn probes(&self) -> Probes {
        Group::probes(self.attached.keys().filter_map(|probe| match probe {
            Probe::Group(group) => Some(*group),
            Probe::Function(_) => None,
        }))
    }

    /// How it is about a group.
    pub fn state(&self, group: Group) -> ProbeState {
        self.known_state(Probe::Group(group)).unwrap_or_else(|| {
            if self.points(group).next().is_none() {
                ProbeState::Absent
            } else {
                ProbeState::Off(self.policy.why_off())
            }
        })
    }

    /// How it is about the functions of metrics, by the metrics' numbers and names.
    pub fn functions(&self) -> impl Iterator<Item = (u32, &str, ProbeState)> {
        self.places.all().map(|(number, metric, place)| {
            let state = self.known_state(Probe::Function(number)).unwrap_or_else(|| match place {
                Place::Absent => ProbeState::Absent,
                Place::Unfit(why) => ProbeState::Failed(why.clone()),
                _ if !self.policy.allows_functions() => ProbeState::Off(self.policy.why_off()),
                Place::Unknown | Place::Asked | Place::At(_) => ProbeState::Waiting,
            });
            (number, metric.name.as_str(), state)
        })
    }

    fn known_state(&self, probe: Probe) -> Option<ProbeState> {
        if self.attached.contains_key(&probe) {
            return Some(ProbeState::On);
        }
        if let Some(says) = self.failed.get(&probe) {
            return Some(ProbeState::Failed(says.clone()));
        }
        Some(match self.governor.state(probe)? {
            State::TooDear { share, .. } => ProbeState::OverBudget(self.policy.too_dear(share)),
            State::On if self.sleeps(probe) => ProbeState::Off("its processes have called nobody yet"),
            State::On => ProbeState::Waiting,
        })
    }

    fn points(&self, group: Group) -> impl Iterator<Item = &weft_gobin::ProbePoint> {
        self.binary.points.iter().filter(move |point| Group::of(point.function) == group)
    }

    fn wanted(&self) -> Option<Probe> {
        let tried = |probe: &Probe| self.attached.contains_key(probe) || self.failed.contains_key(probe);
        self.governor.on().find(|probe| !tried(probe) && !self.sleeps(*probe))
    }

    /// It waits for the first call: what explains calls says nothing of processes that only answer, and would be hit by each
    /// request of theirs.
    fn sleeps(&self, probe: Probe) -> bool {
        let explains = matches!(probe, Probe::Group(group) if group.explains_calls());
        let would_see = self.attached.contains_key(&Probe::Group(Group::Call));
        explains && would_see && !self.calls && self.policy.saves()
    }

    /// Where clients send requests, if that is listened at.
    fn call_sites(&self) -> impl Iterator<Item = &Attached> {
        self.attached.get(&Probe::Group(Group::Call)).into_iter().flatten()
    }

    /// The binary, through whichever process still executes it: a process id alone may be another's by now, and a breakpoint
    /// in another file would break it.
    fn open(&self) -> Option<File> {
        self.processes().find_map(|pid| {
            let executable = ProcDir::open(pid).and_then(|folder| folder.executable()).ok()?;
            FileId::of(&executable).is_ok_and(|file| file == self.file).then_some(executable)
        })
    }

    /// All of a group or none: half of it would be taken for the whole.
    fn attach_all(
        &self,
        probe: Probe,
        executable: &File,
        loader: &mut GoProbes,
    ) -> Result<Vec<Attached>, LoaderError> {
        let path = PathBuf::from(format!("/proc/self/fd/{}", executable.as_raw_fd()));
        let group = match probe {
            Probe::Group(group) => group,
            Probe::Function(number) => return self.attach_count(number, &path, loader),
        };
        self.points(group)
            .map(|point| {
                let attachment = match group {
                    Group::Sched => loader.attach_status(&path, point.file_offset),
                    _ => loader.attach(&path, point.file_offset, point.layout),
                }?;
                Ok(Attached { attachment, emulated: point.emulated, layout: point.layout, hits: 0 })
            })
            .collect()
    }

    fn attach_count(
        &self,
        number: u32,
        path: &Path,
        loader: &mut GoProbes,
    ) -> Result<Vec<Attached>, LoaderError> {
        let Some(Place::At(offset)) = self.places.get(number) else { return Ok(Vec::new()) };
        let attachment = loader.attach_count(path, *offset, number)?;
        Ok(vec![Attached { attachment, emulated: true, layout: GoCallLayout::default(), hits: 0 }])
    }

    /// The processes' CPU time since the last time. One that has ended meanwhile is not counted.
    fn cpu(&mut self) -> Duration {
        let since = |(pid, before): (&u32, &mut Duration)| {
            let now = cpu(*pid)?;
            Some(now.saturating_sub(std::mem::replace(before, now)))
        };
        self.processes.iter_mut().filter_map(since).sum()
    }

    /// The time that was spent in each probe since the last time.
    fn spent(&mut self, loader: &GoProbes) -> BTreeMap<Probe, Duration> {
        let policy = self.policy;
        let since = |attached: &mut Attached| {
            let hits = loader.hits(&attached.attachment);
            let since = hits.saturating_sub(std::mem::replace(&mut attached.hits, hits));
            policy.cost(attached.emulated, since)
        };
        self.attached.iter_mut().map(|(probe, all)| (*probe, all.iter_mut().map(since).sum())).collect()
    }
}

/// All groups that the policy has a place for and the binary has a function of; behind them the metrics' functions.
fn governor(binary: &GoBinary, policy: Policy, places: &Places, now: Instant) -> Governor {
    let there = |group: &Group| binary.points.iter().any(|point| Group::of(point.function) == *group);
    let groups = policy.groups().filter(there).map(Probe::Group);
    let functions =
        places.all().filter(|(_, _, place)| policy.allows_functions() && matches!(place, Place::At(_)));
    let functions = functions.map(|(number, ..)| Probe::Function(number));
    Governor::new(policy.limit(), groups.chain(functions), now)
}

fn cpu(pid: u32) -> Option<Duration> {
    ProcDir::open(pid).and_then(|folder| folder.stat()).ok().map(|stat| stat.cpu)
}
