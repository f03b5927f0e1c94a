//! Where packets were captured: each interface is a vantage of its own, with its own count of what passed, as the kernel
//! programs keep it.
use hashbrown::HashMap;
use weft_core::VantageCounters;

use crate::file::Interface;

/// Interfaces that are told apart; packets of further ones are left out.
const MAX_VANTAGES: usize = 4096;

/// All interfaces, in order of their first packet.
#[derive(Debug, Default)]
pub(crate) struct Vantages {
    /// By the file's interface and the index that the frame names.
    places: HashMap<(u32, Option<u32>), usize>,
    counters: Vec<VantageCounters>,
}

impl Vantages {
    /// The vantage of a frame; nothing where there are too many.
    pub(crate) fn place(&mut self, interface: Interface, ifindex: Option<u32>) -> Option<usize> {
        let key = (interface.number, ifindex);
        if let Some(place) = self.places.get(&key) {
            return Some(*place);
        }
        let place = self.counters.len();
        if place >= MAX_VANTAGES {
            return None;
        }
        self.places.insert(key, place);
        self.counters.push(VantageCounters {
            // No netns is in a capture; each of the file's interfaces stands for one, and what has no index gets 1.
            netns: u64::from(interface.number) + 1,
            ifindex: ifindex.unwrap_or(1),
            directions: Default::default(),
        });
        Some(place)
    }

    pub(crate) fn get(&mut self, place: usize) -> Option<&mut VantageCounters> {
        self.counters.get_mut(place)
    }

    pub(crate) fn counters(&self) -> &[VantageCounters] {
        &self.counters
    }
}
