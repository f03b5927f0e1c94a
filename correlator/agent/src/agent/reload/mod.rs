//! The configuration while the agent runs: the file is read when it changes and when somebody asks (SIGHUP), parsed whole, and
//! applied between two events, or refused whole: then what was in force stays.
mod judge;
mod status;
mod watch;

use std::{path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tokio::{
    select,
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc::Receiver,
    task::spawn_blocking,
    time::{Instant, sleep, timeout_at},
};

pub use self::status::Status;
use self::{
    judge::{Content, InForce, Verdict, judge, read},
    watch::Watch,
};
use super::{
    custom::Custom,
    pipeline::{Live, PipelineHandle},
};
use crate::{
    config::Config,
    go::{self, GoHandle},
};

/// Files come in several steps (an editor's, `kubectl`'s): it is read when nothing has happened for so long.
const SETTLE: Duration = Duration::from_millis(100);
/// But not later than that after the first step.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it is read though nobody said that it changed: not every file system says so.
const LOOK_INTERVAL: Duration = Duration::from_secs(30);

/// What another configuration is given to.
pub struct Appliers {
    pub pipeline: PipelineHandle,
    pub go: GoHandle,
    pub custom: Custom,
}

/// The file, and what came of it.
pub struct Reloader {
    path: PathBuf,
    /// What cannot change is as it was when the agent started.
    started: Config,
    in_force: InForce,
    /// What was judged last.
    seen: Option<Content>,
    status: Arc<ArcSwap<Status>>,
    appliers: Appliers,
}

impl Reloader {
    /// For the file that the agent was started with. `status` is where others see what comes of it.
    pub fn new(path: PathBuf, started: Config, status: Arc<ArcSwap<Status>>, appliers: Appliers) -> Self {
        let in_force = InForce { config: started.clone(), restart: Vec::new() };
        Self { path, started, in_force, seen: None, status, appliers }
    }

    /// Reads the file. Where it is what was seen last, that is all, unless somebody `asked`.
    fn look(&mut self, asked: bool) {
        let content = read(&self.path);
        if !asked && self.seen.as_ref() == Some(&content) {
            return;
        }
        let first = self.seen.is_none() && !asked;
        let verdict = judge(&self.path, &content, &self.started, &self.in_force);
        self.seen = Some(content);
        // The file with which the agent was started.
        if !(first && verdict == Verdict::Unchanged) {
            self.conclude(verdict);
        }
    }

    fn conclude(&mut self, verdict: Verdict) {
        let path = self.path.display();
        let mut counts = self.status.load().counts;
        let mut refused = None;
        match verdict {
            Verdict::Apply(next) => {
                self.appliers.apply(&next.config);
                self.in_force = *next;
                counts.applied += 1;
                tracing::info!(%path, "another configuration is in force");
            }
            Verdict::Unchanged => {
                counts.unchanged += 1;
                tracing::info!(%path, "the configuration is as it was");
            }
            Verdict::Refused(why) => {
                counts.refused += 1;
                tracing::error!("configuration refused, the one before stays in force: {why}");
                refused = Some(why);
            }
        }
        let restart = self.in_force.restart.clone();
        if refused.is_none() && !restart.is_empty() {
            tracing::warn!(%path, "needs a restart to take effect: {}", restart.join(", "));
        }
        self.status.store(Arc::new(Status { counts, refused, restart }));
    }
}

impl Appliers {
    /// Returns when everything is in force.
    fn apply(&self, config: &Config) {
        self.pipeline.configure(Live::of(config));
        self.go.configure(go::Settings::of(config));
        self.custom.configure(config);
    }
}

/// Follows the file until the agent ends. Without one SIGHUP has nothing to say.
pub async fn run(reloader: Option<Reloader>) {
    // Without a handler the default action would end the process.
    let mut hangup = signal(SignalKind::hangup()).ok();
    let Some(mut reloader) = reloader else {
        loop {
            hung_up(hangup.as_mut()).await;
            tracing::info!("no configuration file: there is nothing to read anew");
        }
    };
    let (mut watch, mut changes) = Watch::new();
    watch.follow(&reloader.path);
    let mut asked = false;
    loop {
        // Applying waits for the threads that own what is to change.
        let look = spawn_blocking(move || {
            reloader.look(asked);
            reloader
        });
        let Ok(back) = look.await else { return };
        reloader = back;
        watch.follow(&reloader.path);
        asked = wait(&mut changes, hangup.as_mut()).await;
    }
}

/// Until there is a reason to look; says whether somebody asked for it.
async fn wait(changes: &mut Receiver<()>, hangup: Option<&mut Signal>) -> bool {
    select! {
        () = hung_up(hangup) => true,
        () = settled(changes) => false,
        () = sleep(LOOK_INTERVAL) => false,
    }
}

async fn settled(changes: &mut Receiver<()>) {
    if changes.recv().await.is_none() {
        // Without a watcher.
        return std::future::pending().await;
    }
    let end = Instant::now() + PATIENCE;
    while let Ok(Some(())) = timeout_at(end.min(Instant::now() + SETTLE), changes.recv()).await {}
}

async fn hung_up(hangup: Option<&mut Signal>) {
    let heard = match hangup {
        Some(hangup) => hangup.recv().await,
        None => None,
    };
    if heard.is_none() {
        std::future::pending().await
    }
}
