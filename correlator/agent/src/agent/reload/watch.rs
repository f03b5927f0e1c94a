//! What says that the configuration file may have changed. Folders are watched, not the file: editors and ConfigMap mounts
//! (kubelet swaps the link `..data`) put another file in its place, of which a watch on the file hears nothing.
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc::{Receiver, channel, error::TrySendError};

/// The folders that decide what a path leads to.
pub struct Watch {
    /// Absent where the kernel has no more room for watchers: then the regular look finds what changed.
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
}

impl Watch {
    /// Watches nothing yet. The other end gets a message when something happened, however much it was.
    pub fn new() -> (Self, Receiver<()>) {
        let (changed, changes) = channel(1);
        let tell = move |event: notify::Result<notify::Event>| {
            // Reading the file is an event, too, and would be the next reason to read it.
            if event.is_ok_and(|event| event.kind.is_access()) {
                return;
            }
            // Full: somebody will look anyway.
            if let Err(TrySendError::Closed(())) = changed.try_send(()) {
                tracing::debug!("nobody reads the configuration any more");
            }
        };
        let watcher = notify::recommended_watcher(tell).inspect_err(complain).ok();
        (Self { watcher, folders: BTreeSet::new() }, changes)
    }

    /// Watches what this path leads through now.
    pub fn follow(&mut self, path: &Path) {
        let Some(watcher) = &mut self.watcher else { return };
        let folders = folders(path);
        for gone in self.folders.difference(&folders) {
            // The kernel forgets the watch of a folder that is gone by itself.
            let _ = watcher.unwatch(gone);
        }
        for new in folders.difference(&self.folders) {
            let _ = watcher.watch(new, RecursiveMode::NonRecursive).inspect_err(complain);
        }
        self.folders = folders;
    }
}

fn complain(error: &notify::Error) {
    tracing::warn!(%error, "changes of the configuration file are noticed late (fs.inotify.max_user_watches, max_user_instances?)");
}

/// The folder of the path itself, and that of the file at the end of all links.
fn folders(path: &Path) -> BTreeSet<PathBuf> {
    let folder = |path: &Path| path.parent().and_then(|folder| folder.canonicalize().ok());
    let end = path.canonicalize().ok();
    [folder(path), end.as_deref().and_then(folder)].into_iter().flatten().collect()
}
