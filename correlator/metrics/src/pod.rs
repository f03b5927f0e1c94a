//! The series of one pod.
use std::sync::Arc;

use hashbrown::HashMap;
use weft_core::{AttributedExchange, Identity, Ktime};

use crate::{
    family::Family,
    guard::{Guard, forget_idle},
    istio,
    labels::{Labels, Status, Wanted},
    profile::Profiles,
    series::Series,
    sizes::Bodies,
};

/// What a pod counts.
#[derive(Debug, Default)]
pub(crate) struct Pod {
    /// `namespace/name`; nothing where nobody named it.
    pub(crate) name: Option<Arc<str>>,
    /// Who it is, where a profile says so and the cluster has told.
    pub(crate) identity: Option<Arc<Identity>>,
    /// Where Istio's names are asked for.
    pub(crate) istio: Option<Box<istio::PodSeries>>,
    families: [FamilySeries; Family::ALL.len()],
}

/// One family of a pod.
#[derive(Debug, Default)]
pub(crate) struct FamilySeries {
    pub(crate) series: HashMap<Labels, Series>,
    pub(crate) bodies: Bodies,
    routes: Guard<Arc<str>>,
    peers: Guard<Arc<str>>,
    services: Guard<Arc<str>>,
    servers: Guard<Arc<str>>,
    statuses: Guard<Status>,
}

/// On what terms an exchange is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// Values of each label.
    pub(crate) limit: usize,
    /// There may be one series more.
    pub(crate) room: bool,
    /// Bodies are counted by series, too.
    pub(crate) bodies: bool,
}

/// What became of an exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    /// A series was made for it.
    pub(crate) new: bool,
    /// A label's value gave way to `other`, or all of them did.
    pub(crate) overflow: bool,
}

impl Pod {
    pub(crate) fn family(&self, family: Family) -> &FamilySeries {
        &self.families[family as usize]
    }

    pub(crate) fn family_mut(&mut self, family: Family) -> &mut FamilySeries {
        &mut self.families[family as usize]
    }

    /// Takes over what an exchange says of who it is.
    pub(crate) fn identify(&mut self, attributed: &AttributedExchange, profiles: Profiles) {
        if self.name.as_deref() != attributed.pod.as_deref() {
            self.name.clone_from(&attributed.pod);
        }
        if profiles.identify()
            && let Some(identity) = &attributed.identity
            && self.identity.as_ref().is_none_or(|known| !Arc::ptr_eq(known, identity))
        {
            self.identity = Some(Arc::clone(identity));
        }
    }

    /// How many series it has.
    pub(crate) fn len(&self) -> usize {
        let istio = self.istio.as_ref().map_or(0, |istio| istio.len());
        istio + self.families.iter().map(|family| family.series.len()).sum::<usize>()
    }

    /// Forgets series that were last counted before `since`; says how many.
    pub(crate) fn expire(&mut self, since: Ktime) -> usize {
        let istio = self.istio.as_mut().map_or(0, |istio| istio.expire(since));
        istio + self.families.iter_mut().map(|family| family.expire(since)).sum::<usize>()
    }
}

impl FamilySeries {
    /// Counts an exchange of this duration (ns).
    pub(crate) fn record(
        &mut self,
        (attributed, wanted): (&AttributedExchange, Wanted<'_>),
        (duration_ns, last): (u64, Ktime),
        Terms { limit, room, bodies }: Terms,
    ) -> Counted {
        let time_ns = last.0.saturating_add_signed(attributed.clock_offset);
        self.bodies.record(&attributed.joined.exchange, time_ns);
        if let Some(series) = self.series.get_mut(&wanted) {
            series.record(attributed, (duration_ns, last), bodies);
            return Counted::default();
        }
        let (labels, cut) = self.admit((attributed, wanted), limit);
        let fits = room || self.series.contains_key(&labels);
        let labels = if fits { labels } else { Wanted::other().to_labels(attributed) };
        let before = self.series.len();
        self.series.entry(labels).or_default().record(attributed, (duration_ns, last), bodies);
        Counted { new: self.series.len() > before, overflow: cut || !fits }
    }

    /// The labels that it may have, and whether one of them is `other`.
    fn admit(
        &mut self,
        (attributed, wanted): (&AttributedExchange, Wanted<'_>),
        limit: usize,
    ) -> (Labels, bool) {
        let mut labels = wanted.to_labels(attributed);
        let cut = [
            self.routes.bound(&mut labels.route, limit),
            self.peers.bound(&mut labels.peer, limit),
            self.services.bound(&mut labels.service, limit),
            self.servers.bound(&mut labels.server, limit),
            self.statuses.bound(&mut labels.status, limit),
        ];
        (labels, cut.contains(&true))
    }

    /// Values of labels are forgotten with the last series that has them.
    fn expire(&mut self, since: Ktime) -> usize {
        let gone = forget_idle(&mut self.series, |series| series.last < since);
        if gone > 0 {
            self.rebuild_guards();
        }
        gone
    }

    fn rebuild_guards(&mut self) {
        let Self { series, bodies: _, routes, peers, services, servers, statuses } = self;
        [&mut *routes, &mut *peers, &mut *services, &mut *servers].into_iter().for_each(Guard::forget);
        statuses.forget();
        for Labels { route, status, peer, service, server, .. } in series.keys() {
            routes.note(route);
            peers.note(peer);
            services.note(service);
            servers.note(server);
            statuses.note(status);
        }
    }
}
