//! The series of one metric, from one reading of its map to the next.
use std::sync::Arc;

use hashbrown::HashMap;
use weft_core::Ktime;

use super::{
    Definition,
    view::{Number, View},
};
use crate::{
    Registry,
    exposition::Kind,
    guard::{Guard, Value, forget_idle},
};

/// The values of a series' labels.
pub(super) type Values = Arc<[Arc<str>]>;

/// Series by their labels. A gauge has those of which the last reading found entries. A counter remembers its entries, because
/// programs remove some (and an LRU map does so by itself), and a sum that falls looks like a restart: what an entry that is
/// gone had counted stays in its series, until nothing is found of that for as long as any series may be idle.
#[derive(Debug)]
pub struct Table {
    definition: Arc<Definition>,
    series: HashMap<Values, Series>,
    guards: Vec<Guard<Arc<str>>>,
    /// A counter's, by their keys.
    entries: HashMap<Box<[u8]>, Entry>,
    readings: u64,
    overflow: u64,
}

#[derive(Debug, Default)]
struct Series {
    /// What entries have now.
    live: i128,
    /// What those had counted that are gone or began anew.
    gone: i128,
    /// What the first reading found: it was counted before.
    inherited: i128,
    /// When an entry of it was read last.
    seen: Ktime,
}

#[derive(Debug)]
struct Entry {
    value: i128,
    series: Values,
    reading: u64,
}

/// What bounds a table.
#[derive(Clone, Copy, Debug)]
pub struct Bounds<'r> {
    /// Where all series are counted.
    pub registry: &'r Registry,
    /// Now.
    pub now: Ktime,
}

/// A reading that is not complete yet.
#[derive(Debug)]
pub struct Reading<'t> {
    table: &'t mut Table,
    bounds: Bounds<'t>,
}

impl Table {
    /// One of which nothing was read.
    pub fn new(definition: Definition) -> Self {
        let guards = definition.layout.labels.iter().map(|_| Guard::default()).collect();
        let (series, entries) = Default::default();
        Self { definition: Arc::new(definition), series, guards, entries, readings: 0, overflow: 0 }
    }

    /// What it is of.
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// Entries that were read and joined `other`, each time that they were.
    pub fn overflow(&self) -> u64 {
        self.overflow
    }

    /// Begins to read the map anew.
    pub fn read<'t>(&'t mut self, bounds: Bounds<'t>) -> Reading<'t> {
        self.readings += 1;
        self.series.values_mut().for_each(|series| series.live = 0);
        Reading { table: self, bounds }
    }

    /// The map is not there, or cannot be read: nothing is known, and nothing is shown.
    pub fn clear(&mut self, registry: &Registry) {
        registry.release(self.series.len());
        let Self { definition: _, series, guards, entries, readings, overflow: _ } = self;
        series.clear();
        entries.clear();
        guards.iter_mut().for_each(Guard::forget);
        *readings = 0;
    }

    /// What there is to show.
    pub fn view(&self) -> View {
        let series = self.series.iter().map(|(values, series)| (Arc::clone(values), self.number(series)));
        View { definition: Arc::clone(&self.definition), series: series.collect() }
    }

    fn number(&self, series: &Series) -> Number {
        let Series { live, gone, inherited, seen: _ } = *series;
        if self.is_counter() {
            Number::Counter { value: saturated(live + gone), inherited: saturated(inherited) }
        } else if live < 0 {
            Number::Below(i64::try_from(live).unwrap_or(i64::MIN))
        } else {
            Number::Gauge(saturated(live))
        }
    }

    fn is_counter(&self) -> bool {
        self.definition.kind == Kind::Counter
    }

    /// The series of an entry that has none yet: its own, or `other`.
    fn admit(&mut self, key: &[u8], registry: &Registry) -> Values {
        let mut labels = self.definition.layout.labels(key);
        if let Some(values) = self.known(&labels) {
            return values;
        }
        let limit = registry.settings().label_cardinality_limit;
        for (guard, value) in self.guards.iter_mut().zip(&mut labels) {
            guard.bound(value, limit);
        }
        if let Some(values) = self.known(&labels) {
            return values;
        }
        if registry.reserve() {
            return labels.into();
        }
        labels = self.guards.iter().map(|_| Value::other()).collect();
        self.known(&labels).unwrap_or_else(|| {
            registry.reserve_anyway();
            labels.into()
        })
    }

    /// The labels of a series that there is, as its entries share them.
    fn known(&self, labels: &[Arc<str>]) -> Option<Values> {
        self.series.get_key_value(labels).map(|(values, _)| Arc::clone(values))
    }

    /// Values of labels are forgotten with the last series that has them.
    fn rebuild_guards(&mut self) {
        let Self { guards, series, .. } = self;
        guards.iter_mut().for_each(Guard::forget);
        for values in series.keys() {
            guards.iter_mut().zip(values.iter()).for_each(|(guard, value)| guard.note(value));
        }
    }
}

impl Reading<'_> {
    /// An entry: its key, and its value for each CPU that has one of its own.
    pub fn entry<'v>(&mut self, key: &[u8], of_cpus: impl Iterator<Item = &'v [u8]>) {
        let value = self.table.definition.layout.value(of_cpus);
        let values = if self.table.is_counter() { self.count(key, value) } else { self.admit(key) };
        let Table { series, readings, overflow, .. } = &mut *self.table;
        let first = *readings == 1;
        let series = series.entry(values.clone()).or_default();
        series.live += value;
        series.inherited += if first { value } else { 0 };
        series.seen = self.bounds.now;
        *overflow += u64::from(values.iter().any(Value::is_other));
    }

    fn admit(&mut self, key: &[u8]) -> Values {
        self.table.admit(key, self.bounds.registry)
    }

    /// The series of a counter's entry. One that has less than it had began anew.
    fn count(&mut self, key: &[u8], value: i128) -> Values {
        let reading = self.table.readings;
        let Table { entries, series, .. } = &mut *self.table;
        if let Some(entry) = entries.get_mut(key) {
            let before = std::mem::replace(&mut entry.value, value);
            entry.reading = reading;
            if let Some(series) = series.get_mut(&entry.series).filter(|_| value < before) {
                series.gone += before;
            }
            return Arc::clone(&entry.series);
        }
        let values = self.admit(key);
        let entry = Entry { value, series: Arc::clone(&values), reading };
        self.table.entries.insert(key.into(), entry);
        values
    }

    /// All entries were read.
    pub fn finish(self) {
        let Self { table, bounds: Bounds { registry, now } } = self;
        let Table { series, entries, readings, .. } = &mut *table;
        entries.retain(|_, entry| {
            let stays = entry.reading == *readings;
            if let Some(series) = series.get_mut(&entry.series).filter(|_| !stays) {
                series.gone += entry.value;
            }
            stays
        });
        let idle = registry.settings().idle;
        let idle = if table.definition.kind == Kind::Counter { idle } else { 0 };
        let since = Ktime(now.0.saturating_sub(idle));
        let gone = forget_idle(&mut table.series, |series| series.seen < since);
        if gone > 0 {
            registry.expired(gone);
            table.rebuild_guards();
        }
    }
}

/// As pages have numbers.
fn saturated(number: i128) -> u64 {
    u64::try_from(number.max(0)).unwrap_or(u64::MAX)
}
