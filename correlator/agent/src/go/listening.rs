//! The probes in one binary, for all processes that execute it.
use std::{
    collections::BTreeMap,
    fs::File,
    os::fd::AsRawFd as _,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use weft_abi::GoCallLayout;
use weft_core::Probes;
use weft_gobin::GoBinary;
use weft_loader::{
    LoaderError,
    go::{GoAttachment, GoProbes},
};

use super::{
    budget::{Change, Governor, Spent, State},
    file_id::FileId,
    group::Group,
    policy::Policy,
    proc::ProcDir,
    process::Process,
    view::ProbeState,
};

/// When attaching is tried again after the file of no process could be opened: they are all about to end.
const AGAIN: Duration = Duration::from_secs(1);

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
    attached: BTreeMap<Group, Vec<Attached>>,
    /// Groups that the kernel refused, and what it said.
    failed: BTreeMap<Group, String>,
    /// Not before then.
    attach_at: Instant,
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
    pub fn new(process: &Process, policy: Policy, attach_at: Instant) -> Self {
        let binary = Arc::clone(&process.binary);
        Self {
            governor: governor(&binary, policy, attach_at),
            binary,
            path: process.path.clone(),
            file: process.file,
            policy,
            processes: BTreeMap::new(),
            attached: BTreeMap::new(),
            failed: BTreeMap::new(),
            attach_at,
        }
    }

    /// Another policy is in force: what it has no place for is detached, what is new is attached in its turn, and what was too
    /// dear under the other one gets another chance.
    pub fn configure(&mut self, policy: Policy, loader: &GoProbes, now: Instant) {
        self.policy = policy;
        self.governor = governor(&self.binary, policy, now);
        let Self { governor, attached, .. } = self;
        attached.retain(|group, _| governor.on().any(|on| on == *group));
        self.attach_at = self.attach_at.max(now);
        self.follow_contexts(loader);
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

    /// Attaches the most valuable group that is to be on and is not yet; says which, and what the kernel says.
    pub fn attach(&mut self, loader: &mut GoProbes, now: Instant) -> Option<(Group, Result<(), String>)> {
        let group = self.wanted().filter(|_| self.attach_at <= now)?;
        let Some(executable) = self.open() else {
            self.attach_at = now + AGAIN;
            return None;
        };
        let result = self.attach_all(group, &executable, loader).map_err(|error| error.to_string());
        let result = match result {
            Ok(attached) => {
                self.attached.insert(group, attached);
                self.governor.begin(now);
                self.follow_contexts(loader);
                Ok(())
            }
            Err(says) => {
                self.failed.insert(group, says.clone());
                Err(says)
            }
        };
        Some((group, result))
    }

    /// Looks at what the probes cost since the last time, and turns off and on what the budget says.
    pub fn measure(&mut self, loader: &GoProbes, now: Instant) -> Vec<Change> {
        let spent = Spent { cpu: self.cpu(), probes: Group::ALL.map(|group| self.spent(group, loader)) };
        let changes = self.governor.measured(spent, now);
        for change in &changes {
            if let Change::Off(group, _) = change {
                self.attached.remove(group);
            }
        }
        if !changes.is_empty() {
            self.follow_contexts(loader);
        }
        changes
    }

    /// Which request a context is of is told where one is served: while nobody listens there, calls' contexts say nothing, and
    /// reading them is half of what a call's probe costs.
    fn follow_contexts(&self, loader: &GoProbes) {
        let served = self.attached.contains_key(&Group::Serve);
        for Attached { attachment, layout, .. } in self.attached.get(&Group::Call).into_iter().flatten() {
            if let Err(error) = loader.follow_contexts(attachment, *layout, served) {
                tracing::debug!(path = self.path, %error, "cannot say whether contexts are followed");
            }
        }
    }

    /// What is listened at.
    pub fn probes(&self) -> Probes {
        Group::probes(self.attached.keys().copied())
    }

    /// How it is about a group.
    pub fn state(&self, group: Group) -> ProbeState {
        if self.attached.contains_key(&group) {
            return ProbeState::On;
        }
        if let Some(says) = self.failed.get(&group) {
            return ProbeState::Failed(says.clone());
        }
        match self.governor.state(group) {
            Some(State::TooDear { share, .. }) => ProbeState::OverBudget(self.policy.too_dear(share)),
            Some(State::On) => ProbeState::Waiting,
            None if self.points(group).next().is_none() => ProbeState::Absent,
            None => ProbeState::Off(self.policy.why_off()),
        }
    }

    fn points(&self, group: Group) -> impl Iterator<Item = &weft_gobin::ProbePoint> {
        self.binary.points.iter().filter(move |point| Group::of(point.function) == group)
    }

    fn wanted(&self) -> Option<Group> {
        self.governor
            .on()
            .find(|group| !self.attached.contains_key(group) && !self.failed.contains_key(group))
    }

    /// The binary, through whichever process still executes it: a process id alone may be another's by now, and a breakpoint
    /// in another file would break it.
    fn open(&self) -> Option<File> {
        self.processes().find_map(|pid| {
            let executable = ProcDir::open(pid).and_then(|folder| folder.executable()).ok()?;
            FileId::of(&executable).is_ok_and(|file| file == self.file).then_some(executable)
        })
    }

    /// All of the group or none: half of it would be taken for the whole.
    fn attach_all(
        &self,
        group: Group,
        executable: &File,
        loader: &mut GoProbes,
    ) -> Result<Vec<Attached>, LoaderError> {
        let path = PathBuf::from(format!("/proc/self/fd/{}", executable.as_raw_fd()));
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

    /// The processes' CPU time since the last time. One that has ended meanwhile is not counted.
    fn cpu(&mut self) -> Duration {
        let since = |(pid, before): (&u32, &mut Duration)| {
            let now = cpu(*pid)?;
            Some(now.saturating_sub(std::mem::replace(before, now)))
        };
        self.processes.iter_mut().filter_map(since).sum()
    }

    /// The time that was spent in the group's probes since the last time.
    fn spent(&mut self, group: Group, loader: &GoProbes) -> Duration {
        let policy = self.policy;
        let since = |attached: &mut Attached| {
            let hits = loader.hits(&attached.attachment);
            let since = hits.saturating_sub(std::mem::replace(&mut attached.hits, hits));
            policy.cost(attached.emulated, since)
        };
        self.attached.get_mut(&group).into_iter().flatten().map(since).sum()
    }
}

/// All groups that the policy has a place for and the binary has a function of.
fn governor(binary: &GoBinary, policy: Policy, now: Instant) -> Governor {
    let there = |group: &Group| binary.points.iter().any(|point| Group::of(point.function) == *group);
    Governor::new(policy.limit(), policy.groups().filter(there), now)
}

fn cpu(pid: u32) -> Option<Duration> {
    ProcDir::open(pid).and_then(|folder| folder.stat()).ok().map(|stat| stat.cpu)
}
