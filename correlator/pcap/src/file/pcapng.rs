//! The newer format (draft-ietf-opsawg-pcapng): blocks, in sections of either byte order, of any number of interfaces.
use super::{
    Interface, Item, MAX_LENGTH, Next, Packet,
    bytes::{Fields, Order},
};
use crate::ImportError;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
const INTERFACE_DESCRIPTION: u32 = 1;
/// Obsolete, and still written by some.
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

const OPTION_END: u16 = 0;
const OPTION_IF_TSRESOL: u16 = 9;
const OPTION_IF_TSOFFSET: u16 = 14;

/// Type and length before a block's body; the length once more behind it.
const BLOCK_HEADER: usize = 8;
const BLOCK_TRAILER: usize = 4;
/// Interfaces of a section that are known; packets of further ones are strays.
const MAX_INTERFACES: usize = 4096;

/// Whether a file with this beginning has sections.
pub(super) fn is_section(bytes: [u8; 4]) -> bool {
    // The same in both byte orders.
    u32::from_be_bytes(bytes) == SECTION_HEADER
}

/// The section that is read, and how many interfaces those before it had.
#[derive(Debug)]
pub(crate) struct Sections {
    order: Order,
    interfaces: Vec<Description>,
    before: u32,
}

impl Default for Sections {
    fn default() -> Self {
        Self { order: Order::Little, interfaces: Vec::new(), before: 0 }
    }
}

/// An interface.
#[derive(Clone, Copy, Debug)]
struct Description {
    link_type: u16,
    clock: Clock,
}

/// What an interface's times count: `if_tsresol` and `if_tsoffset`.
#[derive(Clone, Copy, Debug)]
struct Clock {
    /// The highest bit: a power of 2, else of 10; the rest: its negative exponent.
    resolution: u8,
    /// In seconds.
    offset: i64,
}

impl Clock {
    fn nanoseconds(self, ticks: u64) -> u64 {
        let exponent = u32::from(self.resolution & 0x7f);
        let ticks = i128::from(ticks);
        let nanoseconds = if self.resolution & 0x80 != 0 {
            (ticks * 1_000_000_000) >> exponent
        } else if exponent <= 9 {
            ticks * 10_i128.pow(9 - exponent)
        } else {
            10_i128.checked_pow(exponent - 9).map_or(0, |unit| ticks / unit)
        };
        let time = nanoseconds + i128::from(self.offset) * 1_000_000_000;
        // What is before the epoch, or as far behind it as a signed number does not reach, is nobody's time.
        time.clamp(0, i128::from(i64::MAX)) as u64
    }
}

impl Sections {
    pub(super) fn block<'a>(&mut self, bytes: &'a [u8], offset: u64) -> Result<Next<'a>, ImportError> {
        let needed = BLOCK_HEADER + BLOCK_TRAILER;
        let Some((&[t0, t1, t2, t3, l0, l1, l2, l3, b0, b1, b2, b3], _)) = bytes.split_first_chunk() else {
            return Ok(Next::Partial(needed));
        };
        let section = is_section([t0, t1, t2, t3]);
        if section {
            self.order = byte_order([b0, b1, b2, b3]).ok_or_else(|| damaged("section", offset, 0))?;
        }
        let length = self.order.u32([l0, l1, l2, l3]);
        if (length as usize) < needed || !length.is_multiple_of(4) || u64::from(length) > MAX_LENGTH {
            return Err(damaged("block", offset, length.into()));
        }
        let Some(block) = bytes.get(..length as usize) else { return Ok(Next::Partial(length as usize)) };
        let Some((rest, trailer)) = block.split_last_chunk() else { return Ok(Next::Partial(needed)) };
        if self.order.u32(*trailer) != length {
            return Err(damaged("block", offset, length.into()));
        }
        let body = Fields { order: self.order, rest: rest.get(BLOCK_HEADER..).unwrap_or_default() };
        let item = if section {
            self.section(body)?
        } else {
            self.item(self.order.u32([t0, t1, t2, t3]), body)
                .ok_or_else(|| damaged("block", offset, length.into()))?
        };
        Ok(Next::Whole(item, length as usize))
    }

    fn section(&mut self, mut body: Fields<'_>) -> Result<Item<'static>, ImportError> {
        body.take(4);
        let (major, minor) = (body.u16().unwrap_or(0), body.u16().unwrap_or(0));
        if major != 1 {
            return Err(ImportError::Version { format: "pcapng", major, minor });
        }
        self.before = self.before.saturating_add(self.interfaces.len() as u32);
        self.interfaces.clear();
        Ok(Item::Other)
    }

    /// A block that is no section; nothing where its body is too short for what it is.
    fn item<'a>(&mut self, kind: u32, mut body: Fields<'a>) -> Option<Item<'a>> {
        match kind {
            INTERFACE_DESCRIPTION => self.interface(body),
            ENHANCED_PACKET => {
                let interface = body.u32()?;
                self.packet(interface, body)
            }
            PACKET => {
                let interface = body.u16()?;
                body.u16()?;
                self.packet(interface.into(), body)
            }
            SIMPLE_PACKET => self.simple_packet(body),
            _ => Some(Item::Other),
        }
    }

    fn interface(&mut self, mut body: Fields<'_>) -> Option<Item<'static>> {
        let link_type = body.u16()?;
        body.take(6)?;
        if self.interfaces.len() < MAX_INTERFACES {
            self.interfaces.push(Description { link_type, clock: clock(body) });
        }
        Some(Item::Other)
    }

    fn packet<'a>(&self, interface: u32, mut body: Fields<'a>) -> Option<Item<'a>> {
        let (high, low) = (body.u32()?, body.u32()?);
        let (captured, wire_len) = (body.u32()?, body.u32()?);
        let data = body.take(captured as usize)?;
        let Some(description) = self.interfaces.get(interface as usize) else { return Some(Item::Stray) };
        let time = description.clock.nanoseconds(u64::from(high) << 32 | u64::from(low));
        let interface = self.name(interface, description);
        Some(Item::Packet(Packet { interface, time: Some(time), wire_len, data }))
    }

    /// Of the first interface, without a time.
    fn simple_packet<'a>(&self, mut body: Fields<'a>) -> Option<Item<'a>> {
        let wire_len = body.u32()?;
        let Some(description) = self.interfaces.first() else { return Some(Item::Stray) };
        let data = body.rest.get(..wire_len as usize).unwrap_or(body.rest);
        Some(Item::Packet(Packet { interface: self.name(0, description), time: None, wire_len, data }))
    }

    fn name(&self, interface: u32, description: &Description) -> Interface {
        let number = self.before.saturating_add(interface);
        Interface { number, link_type: description.link_type }
    }
}

fn byte_order(bytes: [u8; 4]) -> Option<Order> {
    [Order::Little, Order::Big].into_iter().find(|order| order.u32(bytes) == BYTE_ORDER)
}

fn damaged(what: &'static str, offset: u64, length: u64) -> ImportError {
    ImportError::Damaged { what, offset, length }
}

/// Reads what concerns time among an interface's options, up to what is none.
fn clock(mut options: Fields<'_>) -> Clock {
    let mut clock = Clock { resolution: 6, offset: 0 };
    while let Some((kind, value)) = option(&mut options) {
        match (kind, value) {
            (OPTION_END, _) => break,
            (OPTION_IF_TSRESOL, [resolution, ..]) => clock.resolution = *resolution,
            (OPTION_IF_TSOFFSET, value) => {
                clock.offset = value.first_chunk().map_or(0, |bytes| options.order.i64(*bytes));
            }
            _ => {}
        }
    }
    clock
}

fn option<'a>(options: &mut Fields<'a>) -> Option<(u16, &'a [u8])> {
    let (kind, length) = (options.u16()?, usize::from(options.u16()?));
    let padded = options.take(length.next_multiple_of(4))?;
    Some((kind, padded.get(..length)?))
}
