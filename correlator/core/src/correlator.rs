use std::sync::Arc;

use weft_abi::{FlowKey, FlowWant, Header};
use zerocopy::FromBytes;

use crate::{
    Anomaly, AttributedExchange, ClockOffset, Config, Input, JoinedExchange, Ktime, Sink, Snapshot,
    StreamPlace, WorkloadUpdate,
    aggregate::Aggregate,
    attribute::Attribution,
    cause::{self, Causality},
    loss::Reconciliation,
    snapshot::{NamedCount, RecordCounts, TableSnapshot},
    wire::{Began, ConnectionEvent, Downstream, Moved, Over, Wire, WireStats},
};

#[cfg(test)]
mod tests;

/// The pipeline: a function of its inputs, in their order.
pub struct Correlator {
    wire: Wire,
    meaning: Meaning,
}

/// The stages behind the wire.
struct Meaning {
    now: Ktime,
    causality: Causality,
    attribution: Attribution,
    aggregate: Aggregate,
    reconciliation: Reconciliation,
}

/// The stages behind the wire, with somewhere to put their results.
struct Downstage<'a, S> {
    meaning: &'a mut Meaning,
    sink: &'a mut S,
}

impl Correlator {
    /// With empty tables. `config` is as good as an `Input::Config`.
    pub fn new(config: Arc<Config>) -> Self {
        let limits = &config.limits;
        let meaning = Meaning {
            now: Ktime(0),
            causality: Causality::new(limits.requests),
            attribution: Attribution::new(&config),
            aggregate: Aggregate::new(limits.pods),
            reconciliation: Reconciliation::new(limits.vantages),
        };
        Self { wire: Wire::new(config), meaning }
    }

    /// One that also tells what of its inputs may be seen ([`crate::redact`]).
    pub(crate) fn redacting(config: Arc<Config>) -> Self {
        let mut correlator = Self::new(config);
        correlator.wire.redact();
        correlator
    }

    /// Advances the pipeline by one input. Total: malformed traffic is counted, never an error.
    pub fn handle(&mut self, input: Input<'_>, sink: &mut impl Sink) {
        let Self { wire, meaning } = self;
        match input {
            Input::Probe(record) if cause::is_go(record) => {
                meaning.advance(record_time(record));
                meaning.causality.record(record);
                meaning.expire(sink);
            }
            Input::Probe(record) => {
                meaning.advance(record_time(record));
                wire.record(record, &mut Downstage { meaning, sink });
                meaning.expire(sink);
            }
            Input::Tick(now) => {
                meaning.advance(now);
                wire.tick(now, &mut Downstage { meaning, sink });
                meaning.expire(sink);
            }
            Input::Workload(update) => {
                if let WorkloadUpdate::Gone { netns } = update {
                    wire.gone(netns);
                }
                meaning.workload(update, sink);
            }
            Input::Process(update) => meaning.causality.process(update),
            Input::KernelCounters(counters) => {
                wire.set_bank(counters.bank);
                meaning.reconciliation.update(&counters);
            }
            Input::Clock(ClockOffset(offset)) => meaning.attribution.set_clock_offset(offset),
            Input::Config(config) => {
                meaning.configure(&config);
                wire.configure(config, &mut Downstage { meaning, sink });
            }
        }
    }

    /// When the next `Input::Tick` is useful.
    pub fn next_deadline(&self) -> Option<Ktime> {
        self.wire.next_deadline().into_iter().chain(self.meaning.next_deadline()).min()
    }

    /// The end of a recording: everything that waits goes on without what it waited for.
    pub fn finish(&mut self, sink: &mut impl Sink) {
        let Self { wire, meaning } = self;
        wire.finish(&mut Downstage { meaning, sink });
        let Meaning { now, causality, attribution, aggregate, .. } = meaning;
        let out = &mut |attributed| deliver(attributed, aggregate, sink);
        causality.flush(&mut |traced| attribution.exchange(traced, *now, out));
        attribution.flush(out);
    }

    /// What was counted so far. Costs time in proportion to the pods: not for every input.
    pub fn snapshot(&self) -> Snapshot {
        let Self { wire, meaning } = self;
        let Meaning { now, causality, attribution, aggregate, reconciliation } = meaning;
        let (pods, stats, counts) = (attribution.pods(), wire.stats(), aggregate.counts());
        Snapshot {
            time: *now,
            clock_offset: attribution.clock_offset(),
            pods: aggregate.pods(pods),
            other: aggregate.other(),
            retired: aggregate.retired(),
            exchanges: counts,
            loss: reconciliation.report(&wire.accounts(), pods),
            events_lost: reconciliation.losses(),
            anomalies: anomalies(wire),
            parent_links: aggregate.links(),
            flows: flows(&stats),
            records: records(&stats, causality.unused()),
            tables: self.tables(),
            missing_identities: attribution.missing(),
            series_overflow: aggregate.overflow(),
        }
    }

    fn tables(&self) -> Vec<TableSnapshot> {
        let tables = self.wire.tables().into_iter().chain(self.meaning.causality.tables());
        let wire = tables.map(|table| TableSnapshot {
            table: table.name,
            entries: table.entries,
            limit: table.limit,
            evicted: table.evicted,
        });
        let Meaning { now: _, causality: _, attribution, aggregate, reconciliation } = &self.meaning;
        wire.chain(attribution.tables()).chain([aggregate.table(), reconciliation.table()]).collect()
    }
}

impl Meaning {
    fn advance(&mut self, time: Ktime) {
        self.now = self.now.max(time);
    }

    fn configure(&mut self, config: &Config) {
        self.causality.set_limit(config.limits.requests);
        self.attribution.configure(config);
        self.aggregate.set_limit(config.limits.pods);
        self.reconciliation.set_limit(config.limits.vantages);
    }

    fn next_deadline(&self) -> Option<Ktime> {
        let Self { now: _, causality, attribution, aggregate: _, reconciliation: _ } = self;
        causality.next_deadline().into_iter().chain(attribution.next_deadline()).min()
    }

    fn expire(&mut self, sink: &mut impl Sink) {
        let Self { now, causality, attribution, aggregate, reconciliation: _ } = self;
        let mut out = |attributed| deliver(attributed, aggregate, sink);
        causality.release(*now, &mut |traced| attribution.exchange(traced, *now, &mut out));
        if attribution.next_deadline().is_none_or(|deadline| deadline > *now) {
            return;
        }
        attribution.expire(*now, &mut out);
        while let Some(netns) = attribution.forget(*now) {
            aggregate.retire(netns);
        }
    }

    fn workload(&mut self, update: WorkloadUpdate, sink: &mut impl Sink) {
        let Self { now, causality: _, attribution, aggregate, reconciliation: _ } = self;
        let forgotten =
            attribution.workload(update, *now, &mut |attributed| deliver(attributed, aggregate, sink));
        if let Some(netns) = forgotten {
            aggregate.retire(netns);
        }
    }
}

impl<S: Sink> Downstream for Downstage<'_, S> {
    fn exchange(&mut self, joined: JoinedExchange) {
        let Meaning { now, causality, attribution, aggregate, reconciliation: _ } = &mut *self.meaning;
        let out = &mut |attributed| deliver(attributed, aggregate, self.sink);
        causality.exchange(joined, *now, &mut |traced| attribution.exchange(traced, *now, out));
    }

    fn began(&mut self, began: Began) {
        self.meaning.causality.began(&began);
    }

    fn moved(&mut self, cookie: u64, moved: &Moved) {
        self.meaning.causality.moved(cookie, moved);
    }

    fn over(&mut self, over: Over) {
        self.meaning.causality.over(&over);
    }

    fn reads_late(&mut self, joined: &JoinedExchange) {
        self.meaning.causality.last_chance(joined);
    }

    fn want(&mut self, flow: FlowKey, want: Option<FlowWant>) {
        self.sink.want(flow, want);
    }

    fn safe(&mut self, place: StreamPlace, bytes: &[u8]) {
        self.sink.safe(place, bytes);
    }

    fn placed(&mut self, place: StreamPlace) {
        self.sink.placed(place);
    }

    fn connection(&mut self, event: ConnectionEvent) {
        self.meaning.aggregate.connection(event);
    }
}

/// The one place where an exchange leaves the pipeline.
fn deliver(attributed: AttributedExchange, aggregate: &mut Aggregate, sink: &mut impl Sink) {
    aggregate.exchange(&attributed);
    sink.exchange(&attributed);
}

/// A record's own time; 0 for what is no record, which moves nothing.
fn record_time(record: &[u8]) -> Ktime {
    Header::read_from_prefix(record).map_or(Ktime(0), |(header, _)| Ktime(header.time))
}

fn anomalies(wire: &Wire) -> Vec<NamedCount> {
    let counts = Anomaly::ALL.iter().zip(wire.anomalies());
    counts.map(|(anomaly, count)| NamedCount { name: anomaly.name(), count }).collect()
}

fn flows(stats: &WireStats) -> Vec<NamedCount> {
    let counts = [
        ("http/1.1", stats.flows_http1),
        ("http/2", stats.flows_http2),
        ("tls", stats.flows_tls),
        ("tcp", stats.flows_tcp),
    ];
    counts.map(|(name, count)| NamedCount { name, count }).into()
}

fn records(stats: &WireStats, (unplaced_calls, malformed): (u64, u64)) -> RecordCounts {
    RecordCounts {
        segments: stats.segments,
        runs: stats.runs,
        sock_events: stats.sock_events,
        sock_ios: stats.sock_ios,
        malformed: stats.malformed + malformed,
        unplaced_calls,
        unjoined_exchanges: stats.unjoined_exchanges,
        unjoined_ios: stats.unjoined_ios,
    }
}
