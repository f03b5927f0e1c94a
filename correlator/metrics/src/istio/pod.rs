//! A pod's series under Istio's names.
use std::sync::Arc;

use hashbrown::HashMap;
use weft_core::{AttributedExchange, Ktime};

use super::{
    key::{Key, Service, Workload},
    series::{Connections, Counted as Values, Requests, Series},
};
use crate::{
    guard::{Guard, Value, forget_idle},
    labels::Status,
    pod::Counted,
};

/// They, within the bounds that all series have.
#[derive(Debug, Default)]
pub(crate) struct PodSeries {
    pub(super) series: HashMap<Key<Arc<str>>, Series>,
    peers: Guard<Workload<Arc<str>>>,
    services: Guard<Service<Arc<str>>>,
    statuses: Guard<(Status, Status)>,
}

impl PodSeries {
    pub(crate) fn len(&self) -> usize {
        self.series.len()
    }

    /// Counts a complete exchange of this duration (ns). `limit`: values of each label; `room`: there may be one series more.
    pub(crate) fn request(
        &mut self,
        attributed: &AttributedExchange,
        (duration_ns, last): (u64, Ktime),
        bounds: (usize, bool),
    ) -> Counted {
        let exchange = &attributed.joined.exchange;
        self.count((attributed, last), bounds, Values::requests, |values| {
            if let Values::Requests(requests) = values {
                requests.record(exchange, duration_ns);
            }
        })
    }

    /// Counts a connection that is over.
    pub(crate) fn connection(&mut self, attributed: &AttributedExchange, bounds: (usize, bool)) -> Counted {
        let exchange = &attributed.joined.exchange;
        self.count((attributed, exchange.last_byte()), bounds, Values::connections, |values| {
            if let Values::Connections(connections) = values {
                connections.record(exchange);
            }
        })
    }

    fn count(
        &mut self,
        (attributed, last): (&AttributedExchange, Ktime),
        (limit, room): (usize, bool),
        fresh: fn() -> Values,
        record: impl FnOnce(&mut Values),
    ) -> Counted {
        let wanted = Key::of(attributed);
        if let Some(series) = self.series.get_mut(&wanted) {
            series.last = series.last.max(last);
            record(&mut series.counted);
            return Counted::default();
        }
        let (key, cut) = self.admit(wanted, limit);
        let fits = room || self.series.contains_key(&key);
        let key = if fits { key } else { wanted.other().to_owned() };
        let before = self.series.len();
        let since_ns = last.0.saturating_add_signed(attributed.clock_offset);
        let series = self.series.entry(key).or_insert_with(|| Series { counted: fresh(), since_ns, last });
        series.last = series.last.max(last);
        record(&mut series.counted);
        Counted { new: self.series.len() > before, overflow: cut || !fits }
    }

    /// The labels that it may have, and whether one of them is `other`.
    fn admit(&mut self, wanted: Key<&str>, limit: usize) -> (Key<Arc<str>>, bool) {
        let mut key = wanted.to_owned();
        let mut status = (key.code, key.grpc);
        let cut = [
            self.peers.bound(&mut key.peer, limit),
            self.services.bound(&mut key.service, limit),
            self.statuses.bound(&mut status, limit),
        ];
        (key.code, key.grpc) = status;
        (key, cut.contains(&true))
    }

    /// Forgets series that were last counted before `since`, and values with the last series that has them; says how many.
    pub(crate) fn expire(&mut self, since: Ktime) -> usize {
        let gone = forget_idle(&mut self.series, |series| series.last < since);
        if gone > 0 {
            self.rebuild_guards();
        }
        gone
    }

    fn rebuild_guards(&mut self) {
        let Self { series, peers, services, statuses } = self;
        peers.forget();
        services.forget();
        statuses.forget();
        for Key { side: _, traffic: _, code, grpc, peer, service } in series.keys() {
            peers.note(peer);
            services.note(service);
            statuses.note(&(*code, *grpc));
        }
    }
}

impl Value for Workload<Arc<str>> {
    fn other() -> Self {
        Workload::<()>::default().map(|()| Value::other())
    }

    fn is_other(&self) -> bool {
        self.name.is_other()
    }
}

impl Value for Service<Arc<str>> {
    fn other() -> Self {
        Service::<()>::default().map(|()| Value::other())
    }

    fn is_other(&self) -> bool {
        self.name.is_other()
    }
}

/// Of HTTP, and of gRPC.
impl Value for (Status, Status) {
    fn other() -> Self {
        (Status::Other, Status::Other)
    }

    fn is_other(&self) -> bool {
        self.0.is_other()
    }
}

impl Values {
    fn requests() -> Self {
        Self::Requests(Box::<Requests>::default())
    }

    fn connections() -> Self {
        Self::Connections(Connections::default())
    }
}
