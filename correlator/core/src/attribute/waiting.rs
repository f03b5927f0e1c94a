//! Exchanges of which it is not known yet whose they are.
use std::collections::VecDeque;

use super::{Attribution, pods::Entry};
use crate::{AttributedExchange, Ktime, TracedExchange};

/// One of them.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) until: Ktime,
    pub(super) traced: TracedExchange,
}

impl Attribution {
    /// Whether nothing more is to be waited for. Who has no name is nobody that a cluster could tell of.
    pub(super) fn is_known(&self, netns: u64) -> bool {
        let settled = |entry: &Entry| {
            entry.identity.is_some()
                || entry.missing
                || entry.gone
                || entry.label.is_none()
                || !self.cluster.tells()
        };
        self.pods.get(netns).is_some_and(settled)
    }

    /// The one that has waited for longest goes on; nobody waits for what did not come.
    pub(super) fn release_front(&mut self, out: &mut impl FnMut(AttributedExchange)) {
        let Some(Waiting { until: _, traced }) = self.waiting.pop_front() else { return };
        let netns = traced.joined.exchange.flow.netns;
        if !self.is_known(netns)
            && let Some(entry) = self.pods.get_mut(netns)
        {
            entry.missing = true;
            self.missing += 1;
        }
        out(self.attributed(traced));
    }

    /// Lets go those of which all is known by now.
    pub(super) fn release_known(&mut self, out: &mut impl FnMut(AttributedExchange)) {
        let is_known = |waiting: &Waiting| self.is_known(waiting.traced.joined.exchange.flow.netns);
        if !self.waiting.iter().any(is_known) {
            return;
        }
        let waiting = std::mem::take(&mut self.waiting);
        let (released, waiting): (VecDeque<_>, _) =
            waiting.into_iter().partition(|waiting| self.is_known(waiting.traced.joined.exchange.flow.netns));
        self.waiting = waiting;
        for Waiting { until: _, traced } in released {
            out(self.attributed(traced));
        }
    }
}
