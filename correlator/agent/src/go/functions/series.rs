//! For which pods calls are counted. A series that stops growing would say that nobody calls: where calls pass uncounted, there is
//! none.
use std::{collections::BTreeMap, sync::Arc};

use weft_abi::GoCountKey;
use weft_loader::go::GoProbes;
use weft_metrics::Registry;

use crate::{clock, config::FunctionMetric, go::pods::Pods};

/// By metric and pod: whether all of the pod's processes that have the function are listened to. Those of which it is not known
/// yet are left out.
pub type Wishes = BTreeMap<GoCountKey, bool>;

/// What is counted.
pub struct Series {
    /// Where all series are counted.
    registry: Arc<Registry>,
    /// Since when, in ns since the epoch; nothing: there was no room.
    begun: BTreeMap<GoCountKey, Option<u64>>,
    /// Series for which there was no room.
    pub overflow: u64,
}

impl Series {
    /// None yet.
    pub fn new(registry: Arc<Registry>) -> Self {
        Self { registry, begun: BTreeMap::new(), overflow: 0 }
    }

    /// Ends all of metrics that are no longer what they were.
    pub fn end(&mut self, loader: &mut GoProbes, metrics: &[u32]) {
        self.retain(loader, |key| !metrics.contains(&key.metric));
    }

    /// Begins and ends what the wishes say. Where a pod has no such process now, what was counted stays as long as `functions`
    /// names the metric: it may start again. Says whether anything has changed.
    pub fn settle(
        &mut self,
        loader: &mut GoProbes,
        functions: &[(u32, Arc<FunctionMetric>)],
        wishes: &Wishes,
        pods: &Pods,
    ) -> bool {
        let is_metric = |key: &GoCountKey| functions.iter().any(|(number, _)| *number == key.metric);
        let stays = |key: &GoCountKey| {
            wishes.get(key).copied().unwrap_or(true) && pods.has_netns(key.netns) && is_metric(key)
        };
        let mut changed = self.retain(loader, stays);
        for key in wishes.iter().filter(|(_, wish)| **wish).map(|(key, _)| *key) {
            if pods.has_netns(key.netns) && !matches!(self.begun.get(&key), Some(Some(_))) {
                changed |= self.begin(loader, key);
            }
        }
        changed
    }

    /// Since when each is counted.
    pub fn all(&self) -> impl Iterator<Item = (GoCountKey, u64)> {
        self.begun.iter().filter_map(|(key, since)| Some((*key, (*since)?)))
    }

    fn retain(&mut self, loader: &mut GoProbes, stays: impl Fn(&GoCountKey) -> bool) -> bool {
        let Self { registry, begun, .. } = self;
        let before = begun.len();
        begun.retain(|key, since| {
            let stays = stays(key);
            if !stays && since.is_some() {
                loader.end_count(*key);
                registry.release(1);
            }
            stays
        });
        begun.len() != before
    }

    fn begin(&mut self, loader: &mut GoProbes, key: GoCountKey) -> bool {
        let since = loader.begin_count(key).is_ok().then(clock::now);
        // A pod's only one is like its `other`: there whatever the limit.
        match (since, self.begun.insert(key, since)) {
            (Some(_), _) => self.registry.reserve_anyway(),
            (None, None) => self.overflow += 1,
            (None, Some(_)) => {}
        }
        since.is_some()
    }
}
