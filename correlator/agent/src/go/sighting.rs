//! One look at a process.
use std::{fs::File, io};

use super::{
    file_id::FileId,
    pods::{PodNetns, Pods},
    proc::{self, ProcDir},
};

/// A process of a pod, as it was a moment ago.
pub struct Sighting {
    /// Its folder.
    pub folder: ProcDir,
    /// When it started.
    pub started: u64,
    /// Its pod.
    pub pod: PodNetns,
    /// What it executes.
    pub executable: File,
    /// Which file that is.
    pub file: FileId,
}

/// What a look gives.
pub enum Look {
    /// A process of a pod.
    Of(Box<Sighting>),
    /// It is gone, of no pod, or executes nothing.
    Nothing,
    /// It is a process of this pod and may not be looked at.
    Refused {
        /// When it started; 0 where not even that may be asked.
        started: u64,
        /// Its pod.
        pod: PodNetns,
        /// What the kernel says.
        error: io::Error,
    },
}

impl Look {
    /// Looks at a process.
    pub fn at(pid: u32, pods: &Pods) -> Self {
        // Gone, or in a netns that may not be looked at, which is no pod's: those were all entered.
        let Ok(folder) = ProcDir::open(pid) else { return Self::Nothing };
        let Some(pod) = folder.netns().ok().and_then(|inode| pods.at(inode)) else { return Self::Nothing };
        let started = folder.stat().map_or(0, |stat| stat.started);
        match of(folder, started, pod) {
            Ok(sighting) => Self::Of(Box::new(sighting)),
            Err(error) if proc::is_gone(&error) => Self::Nothing,
            Err(error) => Self::Refused { started, pod: pod.clone(), error },
        }
    }
}

fn of(folder: ProcDir, started: u64, pod: &PodNetns) -> io::Result<Sighting> {
    let executable = folder.executable()?;
    let file = FileId::of(&executable)?;
    Ok(Sighting { folder, started, pod: pod.clone(), executable, file })
}
