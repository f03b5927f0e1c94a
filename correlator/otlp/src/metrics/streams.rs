//! What the backend has of each series, where it is told only what is added.
use hashbrown::HashMap;
use weft_metrics::exposition::{self, Metric};

use super::measure::Measure;

/// Series by what tells them apart. As many as there were at the last collection: what was not there is forgotten.
#[derive(Debug, Default)]
pub struct Streams {
    known: HashMap<Box<str>, Known>,
}

/// What the backend has of a series.
#[derive(Debug)]
struct Known {
    measure: Measure,
    /// When it was that, in ns since the epoch.
    time: u64,
    /// The collection that it was last in.
    seen: u64,
}

/// What the backend has once it took a request.
#[derive(Debug)]
pub(crate) struct Taken {
    key: Box<str>,
    measure: Measure,
    time: u64,
}

/// What there is to send of a series.
#[derive(Debug)]
pub(super) struct Added {
    pub(super) measure: Measure,
    /// Since when, in ns since the epoch.
    pub(super) start: u64,
    pub(super) taken: Taken,
}

impl Streams {
    /// What came to a series that now counts `measure`, `began` at the earliest; nothing where nothing did.
    pub(super) fn added(
        &mut self,
        (metric, point): (&Metric<'_>, &exposition::Point<'_>),
        measure: Measure,
        (began, now): (u64, u64),
    ) -> Option<Added> {
        let key = key(metric, point);
        let fresh = |known: &&mut Known| point.since.is_none_or(|since| since <= known.time);
        let known = self.known.get_mut(&key).filter(fresh).map(|known| {
            known.seen = now;
            (known.time, measure.since(&known.measure))
        });
        let (start, added) = match known {
            Some((time, Some(added))) => (time, added),
            // Another one of the same name, or a first one.
            _ => (point.since.unwrap_or(began), first(point, &measure)),
        };
        (!added.is_empty()).then_some(Added {
            measure: added,
            start,
            taken: Taken { key, measure, time: now },
        })
    }

    /// The backend took these.
    pub(crate) fn commit(&mut self, taken: Vec<Taken>) {
        for Taken { key, measure, time } in taken {
            self.known.insert(key, Known { measure, time, seen: time });
        }
    }

    /// Forgets the series that were in no collection since this one.
    pub(crate) fn forget(&mut self, collection: u64) {
        self.known.retain(|_, known| known.seen >= collection);
    }
}

/// What there is to say of a series of which nothing was said yet.
fn first(point: &exposition::Point<'_>, measure: &Measure) -> Measure {
    let own = |inherited| measure.since(&Measure::Number(inherited));
    point.inherited.and_then(own).unwrap_or_else(|| measure.clone())
}

/// Two series never share one: lengths tell where values end.
fn key(metric: &Metric<'_>, point: &exposition::Point<'_>) -> Box<str> {
    use std::fmt::Write as _;
    let mut key = metric.name.to_owned();
    // Writing to a string does not fail.
    let _ = write!(key, " {}", point.pod.map_or(0, |pod| pod.netns));
    for (name, value) in point.labels {
        let _ = write!(key, " {name}={}:{value}", value.len());
    }
    key.into()
}
