//! All series of all pods.
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use hashbrown::HashMap;
use weft_core::{AttributedExchange, Identity, Ktime, MessageSpan};

use crate::{
    family::Family,
    istio,
    labels::{Labels, Wanted},
    pod::{Counted, FamilySeries, Pod, Terms},
    profile::Profiles,
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
    /// Under whose names it is counted.
    pub profiles: Profiles,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            label_cardinality_limit: 100,
            series_limit: 200_000,
            pods: 4096,
            idle: 300_000_000_000,
            profiles: Profiles::default(),
        }
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
    /// The same of Istio's metrics.
    pub istio_overflow: u64,
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
        self.show_owned(family, |netns, pod, _, of_family| show(netns, pod, of_family));
    }

    /// The same with who the pod is, where a profile says so and the cluster has told.
    pub(crate) fn show_owned(
        &self,
        family: Family,
        show: impl FnOnce(u64, Option<&str>, Option<&Identity>, PodFamily<'_>),
    ) {
        let pod = lock(&self.pod);
        let FamilySeries { series, bodies, .. } = pod.family(family);
        if !series.is_empty() {
            let of_family = PodFamily { series, bodies };
            show(self.netns, pod.name.as_deref(), pod.identity.as_deref(), of_family);
        }
    }

    /// Shows who the pod is, where anything is counted of its requests.
    pub(crate) fn show_pod(&self, show: impl FnOnce(u64, Option<&str>, Option<&Identity>)) {
        let pod = lock(&self.pod);
        if Family::ALL.iter().any(|family| !pod.family(*family).series.is_empty()) {
            show(self.netns, pod.name.as_deref(), pod.identity.as_deref());
        }
    }

    /// Shows what there is under Istio's names.
    pub(crate) fn show_istio(
        &self,
        show: impl FnOnce(u64, Option<&str>, Option<&Identity>, &istio::PodSeries),
    ) {
        let pod = lock(&self.pod);
        if let Some(istio) = &pod.istio {
            show(self.netns, pod.name.as_deref(), pod.identity.as_deref(), istio);
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
    istio_overflow: AtomicU64,
}

/// The pods, and the bounds in force: whoever counts asks for both.
#[derive(Debug)]
struct Pods {
    settings: Settings,
    /// [`SHARED`] is that of pods beyond the limit.
    by_netns: HashMap<u64, Arc<Mutex<Pod>>>,
}

/// No netns has this cookie.
const SHARED: u64 = 0;

impl Registry {
    /// One without series.
    pub fn new(settings: Settings) -> Self {
        Self {
            pods: Mutex::new(Pods { settings, by_netns: HashMap::new() }),
            series: AtomicUsize::new(0),
            expired: AtomicU64::new(0),
            overflow: Default::default(),
            istio_overflow: AtomicU64::new(0),
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
    pub fn reserve_anyway(&self) {
        self.series.fetch_add(1, Ordering::Relaxed);
    }

    /// Gives back the places of series that somebody else kept.
    pub fn release(&self, series: usize) {
        self.series.fetch_sub(series, Ordering::Relaxed);
    }

    /// The same of series that were idle.
    pub(crate) fn expired(&self, series: usize) {
        self.release(series);
        self.expired.fetch_add(series as u64, Ordering::Relaxed);
    }

    /// Counts an exchange, if it is a complete one; of connections only what a profile wants.
    pub fn record(&self, attributed: &AttributedExchange) {
        let exchange = &attributed.joined.exchange;
        match (Family::of(exchange.protocol, exchange.side), exchange.complete, &exchange.response) {
            (Some(family), true, Some(response)) => self.request(attributed, family, response),
            (None, _, _) if lock(&self.pods).settings.profiles.istio => self.connection(attributed),
            _ => {}
        }
    }

    fn request(&self, attributed: &AttributedExchange, family: Family, response: &MessageSpan) {
        let exchange = &attributed.joined.exchange;
        let last = response.last_byte;
        let duration = last.since(exchange.request.first_byte);
        let (pod, shared, settings) = self.pod(exchange.flow.netns);
        let Settings { label_cardinality_limit: limit, series_limit, profiles, .. } = settings;
        let room = self.series.load(Ordering::Relaxed) < series_limit;
        let mut pod = lock(&pod);
        if !shared {
            pod.identify(attributed, profiles);
        }
        if profiles.by_request() {
            let bodies = profiles.beyla && family.bodies().is_some();
            let Counted { new, overflow } = pod.family_mut(family).record(
                (attributed, Wanted::of(attributed, family)),
                (duration, last),
                Terms { limit, room, bodies },
            );
            self.note(new, overflow || shared, &self.overflow[family as usize]);
        }
        if profiles.istio {
            let istio = pod.istio.get_or_insert_default();
            let room = self.series.load(Ordering::Relaxed) < series_limit;
            let Counted { new, overflow } = istio.request(attributed, (duration, last), (limit, room));
            self.note(new, overflow || shared, &self.istio_overflow);
        }
    }

    /// A row that is a connection, which is over then.
    fn connection(&self, attributed: &AttributedExchange) {
        let (pod, shared, settings) = self.pod(attributed.joined.exchange.flow.netns);
        let Settings { label_cardinality_limit: limit, series_limit, profiles, .. } = settings;
        let room = self.series.load(Ordering::Relaxed) < series_limit;
        let mut pod = lock(&pod);
        if !shared {
            pod.identify(attributed, profiles);
        }
        let Counted { new, overflow } =
            pod.istio.get_or_insert_default().connection(attributed, (limit, room));
        self.note(new, overflow || shared, &self.istio_overflow);
    }

    fn note(&self, new: bool, overflow: bool, overflown: &AtomicU64) {
        self.series.fetch_add(usize::from(new), Ordering::Relaxed);
        overflown.fetch_add(u64::from(overflow), Ordering::Relaxed);
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

    /// The pods in the order of their netns cookies, each to be looked at by itself. Of those with one name, a StatefulSet's that
    /// was started again for one, it is the youngest: cookies only grow (net/core/net_namespace.c), and a series is shown once.
    pub fn pods(&self) -> impl Iterator<Item = PodSeries> {
        let named = |(netns, pod): (u64, Arc<Mutex<Pod>>)| {
            let name = lock(&pod).name.clone();
            (name, netns, pod)
        };
        let all: Vec<_> = self.all().into_iter().map(named).collect();
        let youngest: HashMap<_, _> =
            all.iter().filter_map(|(name, netns, _)| Some((name.clone()?, *netns))).collect();
        all.into_iter()
            .filter(move |(name, netns, _)| {
                name.as_ref().is_none_or(|name| youngest.get(name) == Some(netns))
            })
            .map(|(_, netns, pod)| PodSeries { netns, pod })
    }

    /// What it says of itself.
    pub fn counts(&self) -> RegistryCounts {
        RegistryCounts {
            series: self.series.load(Ordering::Relaxed) as u64,
            expired: self.expired.load(Ordering::Relaxed),
            overflow: self.overflow.each_ref().map(|count| count.load(Ordering::Relaxed)),
            istio_overflow: self.istio_overflow.load(Ordering::Relaxed),
        }
    }

    /// The pod of a netns, whether it is the one that many share, and the bounds.
    fn pod(&self, netns: u64) -> (Arc<Mutex<Pod>>, bool, Settings) {
        let mut pods = lock(&self.pods);
        let Pods { settings, by_netns } = &mut *pods;
        if let Some(pod) = by_netns.get(&netns) {
            return (Arc::clone(pod), netns == SHARED, *settings);
        }
        let key = if by_netns.len() < settings.pods { netns } else { SHARED };
        (Arc::clone(by_netns.entry(key).or_default()), key == SHARED, *settings)
    }

    /// In the order of their netns cookies.
    fn all(&self) -> Vec<(u64, Arc<Mutex<Pod>>)> {
        let mut all: Vec<_> =
            lock(&self.pods).by_netns.iter().map(|(netns, pod)| (*netns, Arc::clone(pod))).collect();
        all.sort_unstable_by_key(|(netns, _)| *netns);
        all
    }
}

/// Counters are whole whatever a thread did that panicked with them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
