use std::{
    fs::{File, OpenOptions},
    path::Path,
};

use anyhow::{Context as _, Result, bail};
use rustix::fs::{FlockOperation, flock};
use weft_loader::{Pins, state::StateDir};

/// Held by the agent in charge: the ring has one consumer, and the state folder one owner. The kernel frees both with
/// the process.
pub struct AgentLock {
    _files: [File; 2],
}

impl AgentLock {
    /// # Errors
    /// When another agent holds one of them, or the state folder cannot be written.
    pub fn take(state: &StateDir, pins: &Pins) -> Result<Self> {
        let path = state.lock();
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("{}: cannot open", path.display()))?;
        let folder =
            File::open(pins.root()).with_context(|| format!("{}: cannot open", pins.root().display()))?;
        Ok(Self { _files: [hold(file, &path)?, hold(folder, pins.root())?] })
    }
}

fn hold(file: File, path: &Path) -> Result<File> {
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        bail!(
            "{}: another weft agent is in charge here; stop it, or give this one another paths.state_dir and \
             paths.bpffs",
            path.display()
        );
    }
    Ok(file)
}
