//! All series of all pods.
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use hashbrown::HashMap;
use weft_core::{AttributedExchange, Ktime};

use crate::{
    family::Family,
    labels::{Labels, Wanted},
    pod::{Counted, FamilySeries, Pod},
    series::Series,
    sizes::Bodies,
};

/// The bounds of a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Values that each label of a pod's metric may have; further ones are `other`.
    pub label_cardinality_limit: usize,
    /// Series in all; past it exchanges that would need a new one are counted in their pod's series `other`, of which each
    /// family has one.
    pub series_limit: usize,
    /// Pods that have series of their own; further ones share those of a pod without a name.
    pub pods: usize,
    /// A series that counted nothing for so long is forgotten, in ns.
    pub idle: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { label_cardinality_limit: 100, series_limit: 200_000, pods: 4096, idle: 300_000_000_000 }
    }
}

/// What a registry says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegistryCounts {
    /// Series that there are.
    pub series: u64,
    /// Series that were forgotten because they were idle.
    pub expired: u64,
    /// Exchanges that were counted under `other`, by [`Family`].
    pub overflow: [u64; Family::ALL.len()],
}

/// What a pod has of one family.
#[derive(Clone, Copy, Debug)]
pub struct PodFamily<'a> {
    /// What was counted, by labels; at least one.
    pub series: &'a HashMap<Labels, Series>,
    /// The bodies of all of them together.
    pub bodies: &'a Bodies,
}

/// The series of a pod. While they are looked at, nothing is counted for it.
#[derive(Debug)]
pub struct PodSeries {
    netns: u64,
    pod: Arc<Mutex<Pod>>,
}

impl PodSeries {
    /// Shows what there is of a family: the netns cookie and `namespace/name`, and the series, if there are any.
    pub fn show(&self, family: Family, show: impl FnOnce(u64, Option<&str>, PodFamily<'_>)) {
        let pod = lock(&self.pod);
        let FamilySeries { series, bodies, .. } = pod.family(family);
        if !series.is_empty() {
            show(self.netns, pod.name.as_deref(), PodFamily { series, bodies });
        }
    }
}

/// The series. One thread counts, any may look.
#[derive(Debug)]
pub struct Registry {
    pods: Mutex<Pods>,
    series: AtomicUsize,
    expired: AtomicU64,
    overflow: [AtomicU64; Family::ALL.len()],
}

/// The pods, and the bounds in force: whoever counts asks for both.
#[derive(Debug)]
struct Pods {
    settings: Settings,
    /// [`SHARED`] is that of pods beyond the limit.
    by_netns: BTreeMap<u64, Arc<Mutex<Pod>>>,
}

/// No netns has this cookie.
const SHARED: u64 = 0;

impl Registry {
    /// One without series.
    pub fn new(settings: Settings) -> Self {
        Self {
            pods: Mutex::new(Pods { settings, by_netns: BTreeMap::new() }),
            series: AtomicUsize::new(0),
            expired: AtomicU64::new(0),
            overflow: Default::default(),
        }
    }

    /// Other bounds are in force. What is there stays until it is idle: smaller ones concern what is new.
    pub fn configure(&self, settings: Settings) {
        lock(&self.pods).settings = settings;
    }

    /// The bounds in force.
    pub(crate) fn settings(&self) -> Settings {
        lock(&self.pods).settings
    }

    /// Takes the place of a series that somebody else keeps; says whether there was one.
    pub(crate) fn reserve(&self) -> bool {
        let room = self.series.load(Ordering::Relaxed) < self.settings().series_limit;
        if room {
            self.reserve_anyway();
        }
        room
    }

    /// The same for a series `other`, which there is whatever the limit.
    pub(crate) fn reserve_anyway(&self) {
        self.series.fetch_add(1, Ordering::Relaxed);
    }

    /// Gives back the places of series that somebody else kept.
    pub(crate) fn release(&self, series: usize) {
        self.series.fetch_sub(series, Ordering::Relaxed);
    }

    /// The same of series that were idle.
    pub(crate) fn expired(&self, series: usize) {
        self.release(series);
        self.expired.fetch_add(series as u64, Ordering::Relaxed);
    }

    /// Counts an exchange, if it is a complete one.
    pub fn record(&self, attributed: &AttributedExchange) {
        let exchange = &attributed.joined.exchange;
        let family = Family::of(exchange.protocol, exchange.side);
        let (Some(family), true, Some(response)) = (family, exchange.complete, &exchange.response) else {
            return;
        };
        let last = response.last_byte;
        let duration = last.since(exchange.request.first_byte);
        let (pod, shared, settings) = self.pod(exchange.flow.netns);
        let room = self.series.load(Ordering::Relaxed) < settings.series_limit;
        let mut pod = lock(&pod);
        if !shared && pod.name.as_deref() != attributed.pod.as_deref() {
            pod.name.clone_from(&attributed.pod);
        }
        let Counted { new, overflow } = pod.family_mut(family).record(
            (attributed, Wanted::of(attributed, family)),
            (duration, last),
            settings.label_cardinality_limit,
            room,
        );
        self.series.fetch_add(usize::from(new), Ordering::Relaxed);
        self.overflow[family as usize].fetch_add(u64::from(overflow || shared), Ordering::Relaxed);
    }

    /// Forgets series that counted nothing for too long, and pods without any.
    pub fn expire(&self, now: Ktime) {
        let idle = lock(&self.pods).settings.idle;
        let since = Ktime(now.0.saturating_sub(idle));
        for (netns, pod) in self.all() {
            let gone = lock(&pod).expire(since);
            self.series.fetch_sub(gone, Ordering::Relaxed);
            self.expired.fetch_add(gone as u64, Ordering::Relaxed);
            let mut pods = lock(&self.pods);
            if lock(&pod).len() == 0 {
                pods.by_netns.remove(&netns);
            }
        }
    }

    /// The pods in the order of their netns cookies, each to be looked at by itself.
    pub fn pods(&self) -> impl Iterator<Item = PodSeries> {
        self.all().into_iter().map(|(netns, pod)| PodSeries { netns, pod })
    }

    /// What it says of itself.
    pub fn counts(&self) -> RegistryCounts {
        RegistryCounts {
            series: self.series.load(Ordering::Relaxed) as u64,
            expired: self.expired.load(Ordering::Relaxed),
            overflow: self.overflow.each_ref().map(|count| count.load(Ordering::Relaxed)),
        }
    }

    /// The pod of a netns, whether it is the one that many share, and the bounds.
    fn pod(&self, netns: u64) -> (Arc<Mutex<Pod>>, bool, Settings) {
        let mut pods = lock(&self.pods);
        let Pods { settings, by_netns } = &mut *pods;
        let own = by_netns.len() < settings.pods || by_netns.contains_key(&netns);
        let key = if own { netns } else { SHARED };
        (Arc::clone(by_netns.entry(key).or_default()), key == SHARED, *settings)
    }

    fn all(&self) -> Vec<(u64, Arc<Mutex<Pod>>)> {
        lock(&self.pods).by_netns.iter().map(|(netns, pod)| (*netns, Arc::clone(pod))).collect()
    }
}

/// Counters are whole whatever a thread did that panicked with them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
