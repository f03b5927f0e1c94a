//! libcni's result cache, moved into the lab. cnitool cannot be told another folder than `/var/lib/cni`, and an agent
//! that reads the host's would find, and trace, the pods of every other lab.

use std::fs;
use std::path::Path;
use std::thread;

use anyhow::{Context, Result, anyhow};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

/// Where libcni keeps results when nobody tells it otherwise (libcni/api.go, `CacheDir`): here a mount point only.
pub(crate) const CNI_CACHE: &str = "/var/lib/cni";

/// Runs `action` where [`CNI_CACHE`] is the folder `dir`: on a thread with a mount namespace of its own, which the
/// processes that it starts are born into.
///
/// # Errors
/// When the folders cannot be made, the mounts are refused, or `action` panics.
pub(crate) fn within<T: Send>(dir: &Path, action: impl FnOnce() -> T + Send) -> Result<T> {
    for folder in [dir, Path::new(CNI_CACHE)] {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let inside = || -> Result<T> {
        move_cache(dir)?;
        Ok(action())
    };
    thread::scope(|scope| scope.spawn(inside).join())
        .map_err(|_| anyhow!("a thread with the cache {} panicked", dir.display()))?
}

fn move_cache(dir: &Path) -> Result<()> {
    let none = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS).context("unshare(2) refused a new mount namespace (root?)")?;
    // Slave: the host sees nothing of the mount below, and namespaces that it unmounts meanwhile go here too.
    mount(none, "/", none, MsFlags::MS_SLAVE | MsFlags::MS_REC, none).context("cannot part the mounts")?;
    mount(Some(dir), CNI_CACHE, none, MsFlags::MS_BIND, none)
        .with_context(|| format!("cannot mount {} on {CNI_CACHE}", dir.display()))
}
