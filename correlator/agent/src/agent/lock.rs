use std::fs::{File, OpenOptions};

use anyhow::{Context as _, Result, bail};
use rustix::fs::{FlockOperation, flock};
use weft_loader::state::StateDir;

/// Held by the agent in charge: the ring has one consumer. The kernel frees it with the process.
pub struct AgentLock {
    _file: File,
}

impl AgentLock {
    /// # Errors
    /// When another agent holds it, or the state folder cannot be written.
    pub fn take(state: &StateDir) -> Result<Self> {
        let path = state.lock();
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("{}: cannot open", path.display()))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            bail!(
                "{}: another weft agent is in charge of this state folder; stop it, or give this one another \
                 paths.state_dir and paths.bpffs",
                path.display()
            );
        }
        Ok(Self { _file: file })
    }
}
