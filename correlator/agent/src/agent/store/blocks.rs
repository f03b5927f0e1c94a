//! The bytes of what is there.
use std::{collections::VecDeque, sync::Arc};

use weft_core::Block;

/// In order of coming. Each goes with the last of its exchanges; until then the bytes of those that went are counted, too.
#[derive(Default)]
pub(super) struct Blocks {
    /// The number of `held`'s first. Numbers go around.
    first: u32,
    held: VecDeque<Held>,
    bytes: usize,
}

struct Held {
    /// Nothing where it went before its turn.
    block: Option<Arc<Block>>,
    /// How many of its exchanges did not go.
    exchanges: usize,
}

impl Blocks {
    /// Holds one with so many exchanges, at least one; gives its number.
    pub(super) fn push(&mut self, block: Arc<Block>, exchanges: usize) -> u32 {
        let number = self.first.wrapping_add(self.held.len() as u32);
        self.bytes += block.size();
        self.held.push_back(Held { block: Some(block), exchanges });
        number
    }

    pub(super) fn get(&self, number: u32) -> Option<&Arc<Block>> {
        self.held.get(number.wrapping_sub(self.first) as usize)?.block.as_ref()
    }

    /// One of its exchanges went.
    pub(super) fn let_go(&mut self, number: u32) {
        let Some(held) = self.held.get_mut(number.wrapping_sub(self.first) as usize) else { return };
        held.exchanges -= 1;
        if held.exchanges == 0 {
            self.bytes -= held.block.take().map_or(0, |block| block.size());
            self.trim();
        }
    }

    fn trim(&mut self) {
        while self.held.pop_front_if(|held| held.block.is_none()).is_some() {
            self.first = self.first.wrapping_add(1);
        }
    }

    /// What they take in memory.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.held.len() * size_of::<Held>()
    }
}
