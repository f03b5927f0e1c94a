//! The tasks that export: one sends metrics every so often, one spans as they come.
use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval_at, timeout_at},
};
use weft_core::span::Span;
use weft_metrics::exposition::Page;

use crate::{
    counts::{Counts, Outcome, Signal},
    delivery::{Delivery, Stop},
    metrics::{Collection, Resources, Streams, Times},
    queue::{Queue, Spans, queue},
    settings::Settings,
    spans,
    transport::{Transport, TransportError},
};

/// Who has the metrics.
pub trait Source: Send + 'static {
    /// Takes note of the pods that there are.
    fn identify(&mut self, resources: &mut Resources);
    /// Writes everything.
    fn write(&mut self, page: &mut Page<'_>);
}

/// What is to be exported, before anything runs.
#[derive(Debug)]
pub struct Exporter {
    settings: Settings,
    transport: Transport,
    counts: Arc<Counts>,
    queue: Queue,
}

/// An exporter that runs.
#[derive(Debug)]
pub struct Handle {
    stop: watch::Sender<Option<Instant>>,
    limit: Duration,
    tasks: Vec<JoinHandle<()>>,
}

/// Who tells: an agent that began to count at this time, in ns since the epoch.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Since when it counts, in ns since the epoch.
    pub began: u64,
    /// Attributes of its own resource.
    pub own: Vec<(&'static str, String)>,
    /// The name of its node, where it is known.
    pub node: Option<String>,
}

impl Exporter {
    /// Prepares one; whoever has spans puts them into the queue.
    ///
    /// # Errors
    /// When there cannot be a way to the backend; it is not tried.
    pub fn new(settings: Settings, counts: Arc<Counts>) -> Result<(Self, Spans), TransportError> {
        let transport = Transport::new(&settings)?;
        let (spans, queue) = queue(settings.limits, &counts);
        Ok((Self { settings, transport, counts, queue }, spans))
    }

    /// Starts a task for each signal on the current runtime.
    pub fn start(self, identity: Identity, source: impl Source) -> Handle {
        let Self { settings, transport, counts, queue } = self;
        let (stop, stopped) = watch::channel(None);
        let endpoint = settings.endpoint.uri().to_string();
        let delivery = |signal| {
            let (transport, counts) = (transport.clone(), Arc::clone(&counts));
            Delivery::new(signal, transport, endpoint.clone(), counts, Stop(stopped.clone()))
        };
        let (limit, retry) = (settings.limits.flush, settings.limits.retry);
        let (signals, node) = (settings.signals, identity.node.clone());
        let stop_of = || Stop(stopped.clone());
        let mut tasks = Vec::new();
        if signals.metrics {
            let metrics = MetricsTask::new(settings, identity, delivery(Signal::Metrics), source);
            tasks.push(tokio::spawn(metrics.run(stop_of())));
        }
        if signals.spans {
            let delivery = delivery(Signal::Spans);
            let spans = SpansTask { queue, delivery, counts: Arc::clone(&counts), retry, node };
            tasks.push(tokio::spawn(spans.run(stop_of())));
        }
        Handle { stop, limit, tasks }
    }
}

impl Handle {
    /// Sends what is left, within a bounded time.
    pub async fn stop(self) {
        let until = Instant::now() + self.limit;
        // Nobody listens where the tasks are gone already.
        let _ = self.stop.send(Some(until));
        for task in self.tasks {
            // They end by themselves; a moment is for what they count.
            let _ = timeout_at(until + self.limit / 4, task).await;
        }
    }
}

struct MetricsTask<S> {
    settings: Settings,
    delivery: Delivery,
    source: S,
    resources: Resources,
    streams: Streams,
    began: u64,
    previous: u64,
}

impl<S: Source> MetricsTask<S> {
    fn new(settings: Settings, identity: Identity, delivery: Delivery, source: S) -> Self {
        let Identity { began, own, node } = identity;
        let own: Vec<_> = own.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let resources = Resources::new(&own, node.as_deref());
        Self { settings, delivery, source, resources, streams: Streams::default(), began, previous: began }
    }

    async fn run(mut self, mut stop: Stop) {
        let interval = self.settings.interval;
        let mut ticks = interval_at(Instant::now() + interval, interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let last = tokio::select! {
                _ = ticks.tick() => false,
                _ = stop.began() => true,
            };
            // At least one attempt, also where these come faster.
            self.export(Instant::now() + interval.max(self.settings.timeout)).await;
            if last {
                return;
            }
        }
    }

    /// Everything, once. What cannot be delivered before the next time is part of that.
    async fn export(&mut self, limit: Instant) {
        let now = now();
        let times = Times { began: self.began, previous: self.previous, now };
        self.source.identify(&mut self.resources);
        let how = (self.settings.temporality, self.settings.histograms);
        let mut collection = Collection::new(how, times, &self.resources, &mut self.streams);
        self.source.write(&mut Page::new(&mut collection));
        let batches = collection.finish();
        self.previous = now;
        for batch in batches {
            if self.delivery.deliver(&batch.request, limit).await {
                self.streams.commit(batch.taken);
            }
        }
        self.streams.forget(now);
    }
}

struct SpansTask {
    queue: Queue,
    delivery: Delivery,
    counts: Arc<Counts>,
    retry: Duration,
    node: Option<String>,
}

impl SpansTask {
    async fn run(mut self, mut stop: Stop) {
        loop {
            let batch = tokio::select! {
                biased;
                _ = stop.began() => break,
                batch = self.queue.next() => batch,
            };
            let Some(batch) = batch else { break };
            self.export(&batch.spans).await;
        }
        self.flush().await;
    }

    /// What is left; past the time for it everything is counted as given up, at once.
    async fn flush(&mut self) {
        let given_up = || self.counts.of(Signal::Spans, Outcome::GivenUp);
        let before = given_up();
        while let Some(batch) = self.queue.rest() {
            self.export(&batch.spans).await;
        }
        let left = given_up() - before;
        if left > 0 {
            tracing::warn!("export.otlp: {left} spans were left when the agent ended");
        }
    }

    async fn export(&self, spans: &[Arc<Span>]) {
        let limit = Instant::now() + self.retry;
        for request in spans::requests(spans, self.node.as_deref()) {
            self.delivery.deliver(&request, limit).await;
        }
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
