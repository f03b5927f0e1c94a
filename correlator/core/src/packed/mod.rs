//! An exchange in some two hundred bytes, for whoever keeps many: numbers as short as they are, times as what lies between
//! them. Nothing is lost but who the pod at the other end is beyond its name, for which only those ask who count as it passes:
//! unpacked it is the exchange that it was. Those that are packed together are one block: what is of its own memory costs most
//! where it is let go, when no cache has it any more.
use std::sync::Arc;

use crate::{AttributedExchange, JoinedExchange, Pod};

mod code;
mod parts;
#[cfg(test)]
mod tests;
mod whose;

use code::{Pack, Reader, Writer};
use whose::{Whose, WhoseTable};

/// Exchanges that were packed together, one behind another.
#[derive(Debug)]
pub struct Block {
    bytes: Box<[u8]>,
    whose: Box<[Whose]>,
}

/// Where an exchange is in its block.
#[derive(Clone, Copy, Debug)]
pub struct Position {
    /// Its first byte.
    start: u32,
    /// Index of whose it is.
    whose: u32,
}

/// A packed exchange. A copy shares its bytes; the whole block is there for as long as there is one.
#[derive(Clone, Debug)]
pub struct Packed {
    block: Arc<Block>,
    position: Position,
}

/// Packs exchanges into a block.
#[derive(Debug, Default)]
pub struct Packer {
    writer: Writer,
    whose: WhoseTable,
}

impl Packer {
    /// Packs one: where it is in the block that [`Packer::finish`] gives.
    pub fn pack(&mut self, exchange: &AttributedExchange) -> Position {
        let AttributedExchange {
            joined: JoinedExchange { exchange: wire, app },
            link,
            phases,
            pod,
            owner,
            identity,
            route,
            netns_inode,
            peer_pod,
            peer_identity: _,
            peer_service,
            peer_network,
            clock_offset,
        } = exchange;
        let to = &mut self.writer;
        let start = to.begin();
        wire.pack(to);
        app.pack(to);
        link.pack(to);
        phases.pack(to);
        // Its owner knows the name.
        pod.as_ref().filter(|_| owner.is_none()).cloned().pack(to);
        route.pack(to);
        netns_inode.pack(to);
        peer_pod.pack(to);
        peer_service.pack(to);
        peer_network.pack(to);
        clock_offset.pack(to);
        Position { start: start as u32, whose: self.whose.index_of(owner.as_ref(), identity.as_ref()) }
    }

    /// Bytes of what was packed since the last block.
    pub fn size(&self) -> usize {
        self.writer.bytes().len()
    }

    /// What was packed since the last block: less than 4 GiB, of which a position can tell.
    pub fn finish(&mut self) -> Block {
        let block = Block { bytes: self.writer.bytes().into(), whose: self.whose.take() };
        self.writer.clear();
        block
    }
}

impl Block {
    /// What it takes in memory, in bytes: itself with its counters of references, and what it points at.
    pub fn size(&self) -> usize {
        size_of::<Self>() + 2 * size_of::<usize>() + self.bytes.len() + size_of_val(&*self.whose)
    }

    /// The pod of the exchange that is there, where that was known in time.
    pub fn owner(&self, position: Position) -> Option<&Arc<Pod>> {
        self.whose.get(position.whose as usize)?.owner.as_ref()
    }
}

impl Packed {
    /// What is there in this block.
    pub fn new(block: Arc<Block>, position: Position) -> Self {
        Self { block, position }
    }

    /// The exchange. Nothing only where the position is one in another block.
    pub fn unpack(&self) -> Option<AttributedExchange> {
        let Position { start, whose } = self.position;
        let from = &mut Reader::new(self.block.bytes.get(start as usize..)?);
        let Whose { owner, identity } = self.block.whose.get(whose as usize)?.clone();
        let joined = JoinedExchange { exchange: Pack::unpack(from)?, app: Pack::unpack(from)? };
        let (link, phases) = (Pack::unpack(from)?, Pack::unpack(from)?);
        let unnamed: Option<Arc<str>> = Pack::unpack(from)?;
        let named = owner.as_deref().and_then(Pod::label).map(Into::into);
        Some(AttributedExchange {
            joined,
            link,
            phases,
            pod: unnamed.or(named),
            owner,
            identity,
            route: Pack::unpack(from)?,
            netns_inode: Pack::unpack(from)?,
            peer_pod: Pack::unpack(from)?,
            peer_identity: None,
            peer_service: Pack::unpack(from)?,
            peer_network: Pack::unpack(from)?,
            clock_offset: Pack::unpack(from)?,
        })
    }
}
