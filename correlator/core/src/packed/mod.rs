//! An exchange in some two hundred bytes, for whoever keeps many: numbers as short as they are, times as what lies between
//! them. Nothing is lost but who the pod at the other end is beyond its name, for which only those ask who count as it passes:
//! unpacked it is the exchange that it was.
use std::sync::Arc;

use crate::{AttributedExchange, Identity, JoinedExchange, Pod};

mod code;
mod parts;
#[cfg(test)]
mod tests;

use code::{Pack, Reader, Writer};

/// A packed exchange. A copy shares its bytes.
#[derive(Clone, Debug)]
pub struct Packed {
    bytes: Arc<[u8]>,
    owner: Option<Arc<Pod>>,
    identity: Option<Arc<Identity>>,
}

/// Packs exchanges, with room that it needs for each.
#[derive(Debug, Default)]
pub struct Packer {
    writer: Writer,
}

impl Packer {
    /// Packs one.
    pub fn pack(&mut self, exchange: &AttributedExchange) -> Packed {
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
        to.clear();
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
        Packed { bytes: to.bytes().into(), owner: owner.clone(), identity: identity.clone() }
    }
}

impl Packed {
    /// The exchange. Nothing only where the bytes are not those of [`Packer::pack`].
    pub fn unpack(&self) -> Option<AttributedExchange> {
        let from = &mut Reader::new(&self.bytes);
        let joined = JoinedExchange { exchange: Pack::unpack(from)?, app: Pack::unpack(from)? };
        let (link, phases) = (Pack::unpack(from)?, Pack::unpack(from)?);
        let unnamed: Option<Arc<str>> = Pack::unpack(from)?;
        let owner = self.owner.clone();
        let named = owner.as_deref().and_then(Pod::label).map(Into::into);
        Some(AttributedExchange {
            joined,
            link,
            phases,
            pod: unnamed.or(named),
            owner,
            identity: self.identity.clone(),
            route: Pack::unpack(from)?,
            netns_inode: Pack::unpack(from)?,
            peer_pod: Pack::unpack(from)?,
            peer_identity: None,
            peer_service: Pack::unpack(from)?,
            peer_network: Pack::unpack(from)?,
            clock_offset: Pack::unpack(from)?,
        })
    }

    /// What it takes in memory beside itself, in bytes.
    pub fn size(&self) -> usize {
        // Two counters of references before the bytes.
        self.bytes.len() + 2 * size_of::<usize>()
    }

    /// Its pod, where that was known in time.
    pub fn owner(&self) -> Option<&Arc<Pod>> {
        self.owner.as_ref()
    }
}
