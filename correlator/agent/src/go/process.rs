//! A Go process that is known.
use std::{io, sync::Arc, time::Instant};

use weft_core::Probes;
use weft_gobin::GoBinary;

use super::{
    file_id::FileId,
    memory::{Counted, LoadBias},
    pods::PodNetns,
    proc::ProcDir,
    sighting::Sighting,
};
use crate::clock;

/// What is known of it.
pub struct Process {
    pub pid: u32,
    /// In clock ticks since boot: with the id, what tells it from others.
    pub started: u64,
    pub pod: PodNetns,
    pub file: FileId,
    /// The path of what it executes, in its own root.
    pub path: String,
    pub binary: Arc<GoBinary>,
    /// Since when it is known.
    pub since: Instant,
    /// When it started, in ns since the epoch, by what the clocks said when it was found: always the same.
    pub began: u64,
    /// Where it was loaded; nothing where it may not be asked.
    bias: Option<LoadBias>,
    /// What its runtime counted when it was last asked.
    pub counted: Counted,
}

impl Process {
    /// A process that executes this binary.
    pub fn new(sighting: &Sighting, binary: Arc<GoBinary>, now: Instant) -> Self {
        let Sighting { folder, started, pod, executable, file } = sighting;
        let path = folder.executable_path().map(|path| path.display().to_string());
        Self {
            pid: folder.pid(),
            started: *started,
            pod: pod.clone(),
            file: *file,
            path: path.unwrap_or_default(),
            binary,
            since: now,
            began: clock::of_boot(*started),
            bias: LoadBias::of(folder, executable).ok(),
            counted: Counted::default(),
        }
    }

    /// As the pipeline knows it.
    pub fn update(&self, probes: Probes) -> weft_core::GoProcess {
        let version = self.binary.version.to_string();
        weft_core::GoProcess { pid: self.pid, netns: self.pod.netns, version, probes }
    }

    /// Asks its runtime. What cannot be read is absent from then on.
    pub fn count(&mut self) {
        self.counted = self.counted().unwrap_or_default();
    }

    fn counted(&self) -> io::Result<Counted> {
        let Some(bias) = self.bias else { return Ok(Counted::default()) };
        let folder = ProcDir::open(self.pid)?;
        if folder.stat()?.started != self.started {
            return Ok(Counted::default());
        }
        Ok(bias.memory(&folder)?.counted(&self.binary))
    }
}
