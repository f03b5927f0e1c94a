//! The thread that owns the core: it drains the ring on a timer, and everything else comes to it through one bounded
//! channel. What it knows leaves through the store of exchanges and the published snapshot.
mod configure;

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::Result;
use arc_swap::ArcSwap;
use weft_abi::{FlowKey, FlowWant, SLOTS};
use weft_core::{
    AttributedExchange, Correlator, Input, KernelCounters, Ktime, SamplingConfig, Sink, Snapshot,
    TableSnapshot, WorkloadUpdate,
};
use weft_loader::{Flows, GatheredRun, ProbeRing};
use weft_metrics::Registry;
use weft_otlp::Spans;

pub use self::configure::Live;
use super::{
    charge::Charge,
    cpu_budget::CpuBudget,
    known::Known,
    recorder::{Recorder, SpanCounts},
    store::TraceStore,
    tee::{Tee, TeeWriter},
};
use crate::{clock, go::GoHandle};

/// How long the thread sleeps when the ring is empty: a wake-up a record would cost the traced CPU an interrupt each, and
/// each time the caches are somebody else's. A program that fills the ring faster ends the sleep.
const DRAIN_INTERVAL: Duration = Duration::from_millis(10);
/// Records between two looks at the channel.
const BATCH: usize = 4096;
/// How often the kernel's counters are read and the snapshot is published.
const PUBLISH_INTERVAL: u64 = 500_000_000;
/// How often it is seen which series count nothing any more.
const EXPIRE_INTERVAL: u64 = 10_000_000_000;
/// Commands that wait; whoever sends one more waits with it.
const COMMANDS: usize = 256;

/// What the rest of the agent says to the thread.
enum Command {
    Input(Input<'static>),
    /// Take what is left of a pod, then forget it.
    Retire {
        netns: u64,
        done: SyncSender<()>,
    },
    /// Another configuration is in force.
    Configure {
        live: Box<Live>,
        done: SyncSender<()>,
    },
    Record(Tee),
    /// Publish what is known now.
    Publish {
        done: SyncSender<()>,
    },
    Stop,
}

/// The way to the thread.
#[derive(Clone)]
pub struct PipelineHandle {
    commands: SyncSender<Command>,
}

impl PipelineHandle {
    /// Hands an input over.
    pub fn input(&self, input: Input<'static>) {
        self.send(Command::Input(input));
    }

    /// Returns when everything recorded of the pod so far was taken and its counters were read.
    pub fn retire(&self, netns: u64) {
        let (done, wait) = sync_channel(1);
        self.send(Command::Retire { netns, done });
        // The thread is gone when the agent stops: then there is nothing to wait for.
        let _ = wait.recv();
    }

    /// Returns when everything that was handed over so far is published.
    pub fn publish(&self) {
        let (done, wait) = sync_channel(1);
        self.send(Command::Publish { done });
        let _ = wait.recv();
    }

    /// Returns when this is in force.
    pub fn configure(&self, live: Live) {
        let (done, wait) = sync_channel(1);
        self.send(Command::Configure { live: Box::new(live), done });
        let _ = wait.recv();
    }

    /// Starts a copy of all inputs.
    pub fn record(&self, tee: Tee) {
        self.send(Command::Record(tee));
    }

    /// Ends the thread.
    pub fn stop(&self) {
        self.send(Command::Stop);
    }

    fn send(&self, command: Command) {
        // Fails only when the agent is stopping and the thread is gone.
        let _ = self.commands.send(command);
    }
}

/// What the thread publishes.
#[derive(Clone)]
pub struct Published {
    /// Recent exchanges, by their traces.
    pub store: Arc<TraceStore>,
    /// What became of spans.
    pub spans: Arc<SpanCounts>,
    /// Everything that the pipeline counts.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// What is counted of exchanges by what was asked for.
    pub registry: Arc<Registry>,
}

/// Where exchanges go, and how much of them.
pub struct Results {
    pub store: Arc<TraceStore>,
    pub registry: Arc<Registry>,
    pub sampling: SamplingConfig,
    /// How much of a processor the agent may take: 0.05 is 5 %.
    pub cpu: Option<f64>,
    /// Where spans leave the node, where they do.
    pub export: Option<Spans>,
}

/// Starts the thread.
///
/// # Errors
/// When the thread cannot be started.
pub fn start(
    config: Arc<weft_core::Config>,
    ring: ProbeRing,
    (flows, left): (Flows, Vec<GatheredRun>),
    charge: Charge,
    go: GoHandle,
    results: Results,
) -> Result<(PipelineHandle, Published, JoinHandle<()>)> {
    let (commands, receiver) = sync_channel(COMMANDS);
    let correlator = Correlator::new(Arc::clone(&config));
    let Results { store, registry, sampling, cpu, export } = results;
    let recorder = Recorder::new(Arc::clone(&registry), Arc::clone(&store), sampling, export);
    let published = Published {
        store,
        spans: recorder.counts(),
        snapshot: Arc::new(ArcSwap::from_pointee(correlator.snapshot())),
        registry,
    };
    let pipeline = Pipeline {
        correlator,
        ring,
        sink: AgentSink { flows, runs: left, recorder },
        charge,
        published: published.clone(),
        commands: receiver,
        known: Known::new(config),
        go,
        tee: None,
        cpu: CpuBudget::new(cpu),
        publish_at: Ktime(0),
        expire_at: Ktime(0),
    };
    let thread = thread::Builder::new().name("weft-core".into()).spawn(move || pipeline.run())?;
    Ok((PipelineHandle { commands }, published, thread))
}

/// Where the core's results go.
struct AgentSink {
    flows: Flows,
    /// What was gathered of flows when their wants ended: inputs that nobody has taken yet.
    runs: Vec<GatheredRun>,
    recorder: Recorder,
}

impl Sink for AgentSink {
    fn exchange(&mut self, exchange: &AttributedExchange) {
        self.recorder.take(exchange);
    }

    fn want(&mut self, flow: FlowKey, want: Option<FlowWant>) {
        self.runs.extend(self.flows.set(flow, want));
    }
}

/// Advances the pipeline by one input, and by what that input made the kernel give back.
fn handle(input: Input<'_>, correlator: &mut Correlator, sink: &mut AgentSink, tee: &mut Option<TeeWriter>) {
    let mut one = |input: Input<'_>, sink: &mut AgentSink| {
        if let Some(tee) = tee {
            tee.input(&input);
        }
        correlator.handle(input, sink);
    };
    one(input, sink);
    while let Some(run) = sink.runs.pop() {
        one(Input::Probe(run.as_bytes()), sink);
    }
}

struct Pipeline {
    correlator: Correlator,
    ring: ProbeRing,
    sink: AgentSink,
    charge: Charge,
    published: Published,
    commands: Receiver<Command>,
    known: Known,
    /// Who wants to know of processes that come and go.
    go: GoHandle,
    tee: Option<TeeWriter>,
    cpu: CpuBudget,
    publish_at: Ktime,
    expire_at: Ktime,
}

impl Pipeline {
    fn run(mut self) {
        let left = std::mem::take(&mut self.sink.runs);
        let counters = self.charge.counters();
        self.count(counters);
        // Before the ring: what is recorded behind them must not wait for them.
        for run in left {
            self.handle(Input::Probe(run.as_bytes()));
        }
        loop {
            let drained = self.drain();
            if !self.obey() {
                break;
            }
            self.keep_time(drained < BATCH);
            if drained < BATCH {
                self.ring.wait(DRAIN_INTERVAL);
            }
        }
        // What was recorded until now is not lost: it waits in the ring for the next agent.
        self.publish();
    }

    fn drain(&mut self) -> usize {
        let Self { ring, correlator, sink, tee, go, .. } = self;
        let drained = ring.drain(BATCH, |record| {
            go.record(record);
            handle(Input::Probe(record), correlator, sink, tee);
        });
        sink.recorder.flush();
        drained
    }

    /// Takes everything that the programs recorded so far, and what they still gather: its place is behind the ring's.
    fn drain_all(&mut self) {
        while self.drain() == BATCH {}
        self.take_gathered();
    }

    fn take_gathered(&mut self) {
        let Self { correlator, sink, tee, .. } = self;
        for run in sink.flows.gathered() {
            handle(Input::Probe(run.as_bytes()), correlator, sink, tee);
        }
    }

    fn handle(&mut self, input: Input<'_>) {
        let Self { correlator, sink, tee, .. } = self;
        handle(input, correlator, sink, tee);
    }

    /// Carries out what was asked; says whether to go on.
    fn obey(&mut self) -> bool {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Input(input)) => self.take(input),
                Ok(Command::Retire { netns, done }) => {
                    self.retire(netns);
                    let _ = done.send(());
                }
                Ok(Command::Configure { live, done }) => {
                    self.configure(*live);
                    let _ = done.send(());
                }
                Ok(Command::Record(tee)) => self.begin(tee),
                Ok(Command::Publish { done }) => {
                    self.publish();
                    let _ = done.send(());
                }
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => return false,
                Err(TryRecvError::Empty) => return true,
            }
        }
    }

    fn take(&mut self, input: Input<'static>) {
        self.known.take(&input);
        self.handle(input);
    }

    fn retire(&mut self, netns: u64) {
        self.drain_all();
        let counters = self.charge.counters();
        self.count(counters);
        self.take(Input::Workload(WorkloadUpdate::Gone { netns }));
    }

    /// A recording begins with what the pipeline knows by now besides the connections. One at a time: a second one gets
    /// nothing, and says so.
    fn begin(&mut self, tee: Tee) {
        if self.tee.as_ref().is_some_and(|tee| !tee.is_over()) {
            return;
        }
        // What lies in the ring is counted already: it is not of the recording's time.
        self.drain_all();
        let counters = self.charge.counters();
        let mut writer = TeeWriter::new(tee, counters.clone());
        writer.input(&self.known.config());
        writer.input(&Input::Clock(clock::offset()));
        writer.input(&Input::KernelCounters(counters));
        self.known.inputs().for_each(|input| writer.input(&input));
        self.tee = Some(writer);
    }

    /// `drained`: the ring was seen empty.
    fn keep_time(&mut self, drained: bool) {
        let now = clock::monotonic();
        if self.correlator.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.handle(Input::Tick(now));
        }
        if self.tee.as_mut().is_some_and(|tee| !tee.flush()) {
            self.tee = None;
        }
        if now >= self.publish_at {
            if drained {
                self.take_gathered();
            }
            self.publish_at = now.after(PUBLISH_INTERVAL);
            self.forget_idle_series(now);
            let counters = self.charge.beat(now);
            self.count(counters);
            self.sink.recorder.shrink(self.cpu.share(now));
            self.publish();
        }
    }

    fn forget_idle_series(&mut self, now: Ktime) {
        if now >= self.expire_at {
            self.expire_at = now.after(EXPIRE_INTERVAL);
            self.published.registry.expire(now);
        }
    }

    /// Takes the kernel's counters, and reads both clocks.
    fn count(&mut self, counters: KernelCounters) {
        self.handle(Input::Clock(clock::offset()));
        self.handle(Input::KernelCounters(counters));
    }

    fn publish(&mut self) {
        self.sink.recorder.flush();
        let mut snapshot = self.correlator.snapshot();
        let flows = &self.sink.flows;
        let (entries, evicted) = (flows.used(), flows.evicted());
        snapshot.tables.push(TableSnapshot { table: "flow_slots", entries, limit: SLOTS.into(), evicted });
        snapshot.tables.extend(self.published.store.tables());
        self.published.snapshot.store(Arc::new(snapshot));
    }
}
