//! `weft agent`: puts the parts together.
mod charge;
mod cpu_budget;
mod custom;
mod discover;
mod export;
mod hints;
mod http;
mod known;
mod kubernetes;
mod listener;
mod lock;
mod metrics;
mod pipeline;
mod reconcile;
mod recorder;
mod reload;
mod reported;
mod store;
pub mod tee;
mod traces;

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, sync_channel},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use arc_swap::ArcSwap;
use tokio::signal::unix::{SignalKind, signal};
use weft_loader::{
    Flows, InstallOptions, Pins, ProbeRing, ensure_bpffs,
    go::{GoCounts, GoProbes},
    install,
    state::StateDir,
};
use weft_metrics::Registry;

use self::{
    charge::Charge, custom::Custom, export::Export, http::Api, lock::AgentLock, metrics::Origin,
    pipeline::Results, reconcile::Reconciler, store::TraceStore,
};
pub use self::{pipeline::PipelineHandle, store::Bounds};
use crate::{
    config::Config,
    doctor::{Verdict, examine},
    go,
};

/// How often the pods are looked at when nobody said that anything changed.
const RECONCILE_INTERVAL: Duration = Duration::from_secs(5);

/// Runs until SIGTERM or SIGINT. `file` is where the configuration is from, and is followed.
///
/// # Errors
/// When something that the agent needs is missing, each named with what to do; or when another agent is in charge.
pub fn run(config: &Config, file: Option<PathBuf>) -> Result<()> {
    let export = export::prepare(config)?;
    refuse_without_means(config)?;
    let state = StateDir::new(&config.paths.state_dir);
    state.create().context("paths.state_dir cannot be used")?;
    if ensure_bpffs(&config.paths.bpffs)? {
        tracing::info!(path = %config.paths.bpffs.display(), "mounted the BPF file system");
    }
    let pins = Pins::new(&config.paths.bpffs);
    pins.create()?;
    let _lock = AgentLock::take(&state, &pins)?;
    load_programs(config, &pins)?;
    weft_loader::give_back();
    let core_config = config.core();
    let (charge, undrained) = Charge::take(&pins, &state, &core_config.ports)?;
    complain(&undrained);
    let (go, go_thread) = go::prepare();
    let (pipeline, published, core) = pipeline::start(
        core_config,
        ProbeRing::open(&pins)?,
        Flows::take_over(&pins)?,
        charge,
        go.clone(),
        Results {
            store: Arc::new(TraceStore::new(config.store())),
            registry: Arc::new(Registry::new(config.registry())),
            sampling: config.sampling.core(),
            cpu: config.sampling.adaptive.cpu(),
            export: export.as_ref().and_then(Export::spans),
        },
    )?;
    look_after_go(config, &pins, &pipeline, &published.registry, go_thread);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let configuration = Arc::new(ArcSwap::from_pointee(reload::Status::default()));
    let custom = Custom::new(Arc::clone(&published.registry), config)?;
    let appliers = reload::Appliers { pipeline: pipeline.clone(), go: go.clone(), custom: custom.clone() };
    let status = Arc::clone(&configuration);
    let reloader = file.map(|file| reload::Reloader::new(file, config.clone(), status, appliers));
    runtime.spawn(reload::run(reloader));
    let cluster = Arc::new(weft_kube::Status::default());
    runtime.spawn(kubernetes::run(config.identity.clone(), Arc::clone(&cluster), pipeline.clone()));
    let origin = Origin {
        published,
        custom,
        go,
        configuration,
        cluster,
        node: config.identity.node(),
        export: export.as_ref().map(Export::counts),
        profiles: config.metrics.profiles.shown(),
    };
    let exporting = export.map(|export| {
        let _entered = runtime.enter();
        export.start(origin.clone())
    });
    let api = Api { origin, ready: Arc::default() };
    let served = runtime.block_on(serve(config, &state, pins, &pipeline, api));
    pipeline.stop();
    // A panic in the core has aborted the process already.
    let _ = core.join();
    // Behind the core: what it counted last is sent, too.
    if let Some(exporting) = exporting {
        runtime.block_on(exporting.stop());
    }
    runtime.shutdown_background();
    let _ = fs::remove_file(state.listen());
    served
}

/// Of what was not recorded before this agent came.
fn complain(undrained: &charge::Undrained) {
    if *undrained != charge::Undrained::default() {
        tracing::warn!(
            segments = undrained.segments,
            socket_records = undrained.socket_records,
            "nobody drained the ring for a while: so many records were not written, and their bytes are counted as lost"
        );
    }
}

/// Names everything that is missing before anything is touched.
fn refuse_without_means(config: &Config) -> Result<()> {
    let checks = examine(config);
    let mut missing = false;
    for check in checks.iter().filter(|check| check.verdict != Verdict::Ok) {
        if check.verdict == Verdict::Missing {
            missing = true;
            tracing::error!("{}: {}; {}", check.name, check.seen, check.remedy);
        } else {
            tracing::warn!("{}: {}; {}", check.name, check.seen, check.remedy);
        }
    }
    if missing {
        bail!("the agent cannot run here; `weft doctor` shows the whole list");
    }
    Ok(())
}

fn load_programs(config: &Config, pins: &Pins) -> Result<()> {
    let options = InstallOptions { ring_bytes: config.capture.ring_bytes, cgroup: config.cgroup() };
    let installed = install(pins, &options)?;
    for error in &installed.missing {
        tracing::warn!("works without: {error}");
    }
    let what = if installed.loaded { "loaded the programs" } else { "took over the programs that are there" };
    tracing::info!(pins = %pins.root().display(), "{what}");
    Ok(())
}

/// Go processes are an addition: the wire is traced without what cannot be had of them.
fn look_after_go(
    config: &Config,
    pins: &Pins,
    pipeline: &PipelineHandle,
    registry: &Arc<Registry>,
    thread: go::Thread,
) {
    let started = GoProbes::open(pins)
        .and_then(|loader| Ok((loader, GoCounts::open(pins)?)))
        .map_err(anyhow::Error::from)
        .and_then(|maps| {
            Ok(thread.start(go::Settings::of(config), maps, pipeline.clone(), Arc::clone(registry))?)
        });
    if let Err(error) = started {
        tracing::warn!("goroutines stay unknown: {error:#}");
    }
}

async fn serve(
    config: &Config,
    state: &StateDir,
    pins: Pins,
    pipeline: &PipelineHandle,
    api: Api,
) -> Result<()> {
    let (look, looks) = sync_channel(1);
    let reconciler = Reconciler::new(
        pins,
        state.clone(),
        config.paths.cni_cache.clone(),
        config.attach_mode()?,
        pipeline.clone(),
        api.origin.go.clone(),
    )?;
    let first = Arc::clone(&api.ready);
    thread::Builder::new()
        .name("weft-reconcile".into())
        .spawn(move || reconcile_loop(reconciler, &looks, &first))?;
    tokio::spawn(hints::from_plugin(state.hint(), look.clone()));
    tokio::spawn(hints::from_links(look));
    tokio::spawn(tee::serve(tee::listen(state.path())?, pipeline.clone()));
    let listener = http::bind(config.metrics.listen).await?;
    let address = listener.local_addr()?;
    if let Err(error) = fs::write(state.listen(), format!("{address}\n")) {
        // Only `weft top` looks there.
        tracing::warn!(%error, path = %state.listen().display(), "the listener's address cannot be written");
    }
    tracing::info!("listening on http://{address}");
    tokio::select! {
        result = http::serve(listener, api) => result,
        () = stop_signal() => Ok(()),
    }
}

async fn stop_signal() {
    // Without handlers the default action ends the process just the same.
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Looks at the pods when somebody says so, and every few seconds.
fn reconcile_loop(mut reconciler: Reconciler, looks: &Receiver<()>, ready: &AtomicBool) {
    loop {
        reconciler.run();
        ready.store(true, Ordering::Release);
        match looks.recv_timeout(RECONCILE_INTERVAL) {
            Ok(()) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
