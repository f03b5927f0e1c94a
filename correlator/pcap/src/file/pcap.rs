//! The older format (draft-ietf-opsawg-pcap): a header, then packets, each behind 16 bytes of its own.
use super::{
    Interface, Item, MAX_LENGTH, Next, Packet,
    bytes::{Fields, Order},
};
use crate::ImportError;

/// Bytes of the file's header.
pub(super) const HEADER: usize = 24;
/// Bytes before a packet.
const PACKET_HEADER: usize = 16;
const MICROSECONDS: u32 = 0xa1b2_c3d4;
const NANOSECONDS: u32 = 0xa1b2_3c4d;

/// What the file's header says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    order: Order,
    nanoseconds: bool,
    interface: Interface,
}

/// The order and the unit of time that a file with this beginning has.
fn magic(bytes: [u8; 4]) -> Option<(Order, bool)> {
    [Order::Little, Order::Big].into_iter().find_map(|order| match order.u32(bytes) {
        MICROSECONDS => Some((order, false)),
        NANOSECONDS => Some((order, true)),
        _ => None,
    })
}

pub(super) fn is_magic(bytes: [u8; 4]) -> bool {
    magic(bytes).is_some()
}

impl Header {
    pub(super) fn parse(bytes: &[u8; HEADER]) -> Result<Self, ImportError> {
        let [m0, m1, m2, m3, j0, j1, n0, n1, .., l0, l1, l2, l3] = *bytes;
        let (order, nanoseconds) = magic([m0, m1, m2, m3]).ok_or(ImportError::NotACapture)?;
        let (major, minor) = (order.u16([j0, j1]), order.u16([n0, n1]));
        if major != 2 {
            return Err(ImportError::Version { format: "pcap", major, minor });
        }
        // The upper half says whether the packets end with a checksum, and is not part of the type.
        let link_type = order.u32([l0, l1, l2, l3]) as u16;
        Ok(Self { order, nanoseconds, interface: Interface { number: 0, link_type } })
    }

    /// Where the packets begin.
    pub(super) fn link_type(&self) -> u16 {
        self.interface.link_type
    }

    pub(super) fn packet<'a>(&self, bytes: &'a [u8], offset: u64) -> Result<Next<'a>, ImportError> {
        let mut fields = Fields { order: self.order, rest: bytes };
        let Some([seconds, fraction, captured, wire_len]) = words(&mut fields) else {
            return Ok(Next::Partial(PACKET_HEADER));
        };
        if u64::from(captured) > MAX_LENGTH {
            return Err(ImportError::Damaged { what: "packet", offset, length: captured.into() });
        }
        let length = PACKET_HEADER + captured as usize;
        let Some(data) = fields.take(captured as usize) else { return Ok(Next::Partial(length)) };
        let fraction = u64::from(fraction) * if self.nanoseconds { 1 } else { 1000 };
        let time = u64::from(seconds) * 1_000_000_000 + fraction;
        let packet = Packet { interface: self.interface, time: Some(time), wire_len, data };
        Ok(Next::Whole(Item::Packet(packet), length))
    }
}

fn words(fields: &mut Fields<'_>) -> Option<[u32; 4]> {
    Some([fields.u32()?, fields.u32()?, fields.u32()?, fields.u32()?])
}
