//! Metrics of the operator's own (`metrics.custom`): pinned maps of other people's programs, read when somebody asks for
//! metrics, and no more often than once a second however many ask. A map is opened anew each time: a program that is started
//! again pins another one at the same place.
use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Result;
use weft_core::Ktime;
use weft_loader::{ForeignError, ForeignMap};
use weft_metrics::{
    Registry,
    custom::{Bounds, Definition, Table, View},
};

use crate::{
    clock,
    config::{Config, definitions},
};

/// Entries of all maps together. So many take some 100 ms of one processor each time, and a counter remembers each: in some 160
/// bytes.
const MOST_ENTRIES: usize = 1 << 18;
/// Between two readings, in ns.
const INTERVAL: u64 = 1_000_000_000;

/// All of them, for whoever reads or changes them.
#[derive(Clone)]
pub struct Custom(Arc<Shared>);

struct Shared {
    /// Where all series are counted.
    registry: Arc<Registry>,
    metrics: Mutex<Metrics>,
}

#[derive(Default)]
struct Metrics {
    metrics: Vec<Metric>,
    /// The last ones, and when that was.
    readings: Option<(Ktime, Arc<Readings>)>,
}

struct Metric {
    pin: PathBuf,
    table: Table,
    results: Results,
    /// What came of the last reading.
    last: Option<&'static str>,
}

/// What was read at one time.
pub struct Readings {
    pub metrics: Vec<Reading>,
}

/// Of one metric.
pub struct Reading {
    pub name: String,
    pub view: View,
    pub results: Results,
    /// Entries that joined `other`.
    overflow: u64,
}

/// What can come of reading a map.
const RESULTS: [&str; 6] = [
    "read", // Nothing is pinned there.
    "missing", "denied",
    // It is no map that can be counted, or keys and values are not as large as the configuration has it.
    "unfit", // There are more entries than are read.
    "too_many", "failed",
];

/// How often a map was read, by what came of it.
#[derive(Clone, Copy, Default)]
pub struct Results([u64; RESULTS.len()]);

/// Why a map was not read.
enum Unread {
    Map(ForeignError),
    /// What does not fit.
    Layout(String),
}

impl Custom {
    /// Of a configuration; nothing is read yet.
    ///
    /// # Errors
    /// When it is not valid.
    pub fn new(registry: Arc<Registry>, config: &Config) -> Result<Self> {
        let metrics = Metrics { metrics: metrics(definitions(&config.metrics.custom)?.maps), readings: None };
        Ok(Self(Arc::new(Shared { registry, metrics: Mutex::new(metrics) })))
    }

    /// Another configuration, which is valid. Metrics that it leaves as they were go on.
    pub fn configure(&self, config: &Config) {
        let Ok(definitions) = definitions(&config.metrics.custom) else { return };
        self.with(|metrics, registry| metrics.configure(definitions.maps, registry));
    }

    /// What there is now, or was within the last second.
    pub fn read(&self) -> Arc<Readings> {
        self.with(|metrics, registry| metrics.read(registry, clock::monotonic()))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Metrics, &Registry) -> T) -> T {
        let Shared { registry, metrics } = &*self.0;
        act(&mut metrics.lock().unwrap_or_else(PoisonError::into_inner), registry)
    }
}

fn metrics(definitions: Vec<(PathBuf, Definition)>) -> Vec<Metric> {
    let one = |(pin, definition)| Metric {
        pin,
        table: Table::new(definition),
        results: Results::default(),
        last: None,
    };
    definitions.into_iter().map(one).collect()
}

impl Metrics {
    fn configure(&mut self, definitions: Vec<(PathBuf, Definition)>, registry: &Registry) {
        let mut before = std::mem::take(&mut self.metrics);
        self.metrics = metrics(definitions);
        for metric in &mut self.metrics {
            if let Some(same) = before.iter().position(|before| before.is_same(metric)) {
                *metric = before.swap_remove(same);
            }
        }
        before.iter_mut().for_each(|metric| metric.table.clear(registry));
        self.readings = None;
    }

    fn read(&mut self, registry: &Registry, now: Ktime) -> Arc<Readings> {
        if let Some((at, readings)) = &self.readings
            && now.since(*at) < INTERVAL
        {
            return Arc::clone(readings);
        }
        let bounds = Bounds { registry, now };
        let mut left = MOST_ENTRIES;
        let metrics = self.metrics.iter_mut().map(|metric| metric.read(bounds, &mut left)).collect();
        let readings = Arc::new(Readings { metrics });
        self.readings = Some((now, Arc::clone(&readings)));
        readings
    }
}

impl Metric {
    fn is_same(&self, other: &Self) -> bool {
        self.pin == other.pin && self.table.definition() == other.table.definition()
    }

    /// Reads no more than what is `left` of all entries.
    fn read(&mut self, bounds: Bounds<'_>, left: &mut usize) -> Reading {
        let outcome = self.try_read(bounds, *left).map(|read| *left -= read);
        if outcome.is_err() {
            self.table.clear(bounds.registry);
        }
        self.conclude(&outcome);
        let name = self.table.definition().name.clone();
        let (view, overflow) = (self.table.view(), self.table.overflow());
        Reading { name, view, results: self.results, overflow }
    }

    fn try_read(&mut self, bounds: Bounds<'_>, limit: usize) -> Result<usize, Unread> {
        let map = ForeignMap::open(&self.pin)?;
        let layout = &self.table.definition().layout;
        layout.fits(map.key_size(), map.value_size()).map_err(Unread::Layout)?;
        let mut reading = self.table.read(bounds);
        let read = map.read(limit, |key, of_cpus| reading.entry(key, of_cpus))?;
        reading.finish();
        Ok(read)
    }

    /// Counts what came of it, and says so where it is not what it was.
    fn conclude(&mut self, outcome: &Result<(), Unread>) {
        let result = result(outcome);
        self.results.count(result);
        if self.last.replace(result) == Some(result) {
            return;
        }
        let (metric, pin) = (&self.table.definition().name, self.pin.display());
        match outcome {
            Ok(()) => tracing::info!(%metric, %pin, "metrics.custom: the map is read"),
            Err(why) => {
                tracing::warn!(%metric, %pin, "metrics.custom: no such metric until its map can be read: {why}");
            }
        }
    }
}

impl From<ForeignError> for Unread {
    fn from(error: ForeignError) -> Self {
        Self::Map(error)
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Map(error) => error.fmt(f),
            Self::Layout(why) => f.write_str(why),
        }
    }
}

impl Readings {
    /// Entries that joined `other`, by metric.
    pub fn overflow(&self) -> impl Iterator<Item = (&str, u64)> {
        self.metrics.iter().map(|metric| (metric.name.as_str(), metric.overflow))
    }
}

impl Results {
    /// By name.
    pub fn named(self) -> impl Iterator<Item = (&'static str, u64)> {
        RESULTS.into_iter().zip(self.0)
    }

    fn count(&mut self, result: &str) {
        let counts = RESULTS.iter().zip(&mut self.0);
        counts.filter(|(name, _)| **name == result).for_each(|(_, count)| *count += 1);
    }
}

/// One of [`RESULTS`].
fn result(outcome: &Result<(), Unread>) -> &'static str {
    match outcome {
        Ok(()) => "read",
        Err(Unread::Map(ForeignError::Missing)) => "missing",
        Err(Unread::Map(ForeignError::Denied)) => "denied",
        Err(Unread::Map(ForeignError::TooMany(_))) => "too_many",
        Err(Unread::Map(ForeignError::Kernel { .. })) => "failed",
        Err(
            Unread::Layout(_)
            | Unread::Map(ForeignError::NoMap | ForeignError::Kind(_) | ForeignError::TooLarge(_)),
        ) => "unfit",
    }
}
