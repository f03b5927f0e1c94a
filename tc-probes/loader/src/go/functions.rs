//! Metrics of Go functions: what counts, where it is counted, and what was.
use std::path::Path;

use aya::maps::{Array, HashMap, Map, MapData};
use weft_abi::{GO_FUNCTIONS, GoCallLayout, GoCount, GoCountKey, GoCountLayout, MAX_BOUNDS};

use super::{GoAttachment, GoProbes, Place, attach};
use crate::{
    Pins,
    error::Result,
    maps::{Plain, failed, open},
};

const COUNTS: &str = "GO_COUNTS";
const LAYOUTS: &str = "GO_COUNT_LAYOUTS";
const NOTHING: GoCount = GoCount { calls: [0; MAX_BOUNDS + 1], sum_low: 0, sum_high: 0 };

/// The maps of what is counted.
pub(super) struct Functions {
    layouts: Array<MapData, Plain<GoCountLayout>>,
    counts: HashMap<MapData, Plain<GoCountKey>, Plain<GoCount>>,
}

/// What was counted, for whoever reads it.
pub struct GoCounts(HashMap<MapData, Plain<GoCountKey>, Plain<GoCount>>);

impl Functions {
    /// What an agent before this one had counted is forgotten.
    pub(super) fn open(pins: &Pins) -> Result<Self> {
        let layouts = Array::try_from(Map::Array(open(pins, LAYOUTS)?)).map_err(failed(LAYOUTS))?;
        let mut counts = counts(pins)?;
        let known: Vec<_> = counts.keys().flatten().collect();
        known.iter().for_each(|key| drop(counts.remove(key)));
        Ok(Self { layouts, counts })
    }
}

fn counts(pins: &Pins) -> Result<HashMap<MapData, Plain<GoCountKey>, Plain<GoCount>>> {
    HashMap::try_from(Map::HashMap(open(pins, COUNTS)?)).map_err(failed(COUNTS))
}

impl GoProbes {
    /// Says what counts of the calls of a metric's function. `metric` is less than [`GO_FUNCTIONS`]; nothing may be counted for it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn define_function(&mut self, metric: u32, layout: GoCountLayout) -> Result<()> {
        debug_assert!(metric < GO_FUNCTIONS);
        self.functions.layouts.set(metric, Plain(layout), 0).map_err(failed(LAYOUTS))
    }

    /// The same as [`GoProbes::attach`] for a metric's function: its calls are counted, for the pods that
    /// [`GoProbes::begin_count`] has named.
    ///
    /// # Errors
    /// As for [`GoProbes::attach`].
    pub fn attach_count(&mut self, path: &Path, file_offset: u64, metric: u32) -> Result<GoAttachment> {
        let place = Place::take(&self.layouts, GoCallLayout::default())?;
        let cookie = u64::from(metric) << 32 | u64::from(place.number);
        let link = attach(&mut self.count, path, file_offset, cookie)?;
        Ok(self.attachment(link, place))
    }

    /// From now on calls are counted for this pod, from 0.
    ///
    /// # Errors
    /// When the map is full (the kernel says E2BIG).
    pub fn begin_count(&mut self, key: GoCountKey) -> Result<()> {
        self.functions.counts.insert(Plain(key), Plain(NOTHING), 0).map_err(failed(COUNTS))
    }

    /// They are no longer, and what was counted is forgotten. Nothing counted is fine.
    pub fn end_count(&mut self, key: GoCountKey) {
        let _ = self.functions.counts.remove(&Plain(key));
    }
}

impl GoCounts {
    /// Opens what is pinned.
    ///
    /// # Errors
    /// When it is not pinned, or access is denied.
    pub fn open(pins: &Pins) -> Result<Self> {
        counts(pins).map(Self)
    }

    /// What was counted for a pod; nothing where it is not.
    pub fn get(&self, key: GoCountKey) -> Option<GoCount> {
        self.0.get(&Plain(key), 0).ok().map(|Plain(count)| count)
    }
}
