//! From a capture file's bytes to its packets, whatever of both formats it is.
//!
//! Written here because the maintained parsers read a big-endian `if_tsoffset` as little-endian and know no obsolete Packet
//! Blocks, and because it takes no more than this.
mod bytes;
mod pcap;
mod pcapng;

use crate::ImportError;

/// The longest packet or block: 16 MiB is what Wireshark allows at most, too (WTAP_MAX_PACKET_SIZE_DBUS is the largest).
const MAX_LENGTH: u64 = 16 << 20;

/// A captured packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet<'a> {
    pub(crate) interface: Interface,
    /// Nanoseconds since the epoch; nothing where the format has no time for it.
    pub(crate) time: Option<u64>,
    /// Its bytes on the wire, of which `data` are in the file.
    pub(crate) wire_len: u32,
    pub(crate) data: &'a [u8],
}

/// What captured it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Interface {
    /// Of all that the file lists, the how many-eth.
    pub(crate) number: u32,
    /// Where its packets begin (<https://www.tcpdump.org/linktypes.html>).
    pub(crate) link_type: u16,
}

/// What a file goes on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item<'a> {
    Packet(Packet<'a>),
    /// A packet of an interface that nothing describes.
    Stray,
    /// Nothing that concerns anyone.
    Other,
}

/// What the bytes at hand begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next<'a> {
    /// It, and how many bytes it took.
    Whole(Item<'a>, usize),
    /// Its beginning: at least this many bytes are needed in all.
    Partial(usize),
}

/// A file in the course of being read.
#[derive(Debug, Default)]
pub(crate) enum File {
    /// Its first bytes will tell.
    #[default]
    Unknown,
    Pcap(pcap::Header),
    Pcapng(pcapng::Sections),
}

impl File {
    /// Reads what `bytes`, which are at `offset` of the file, begin with.
    pub(crate) fn next<'a>(&mut self, bytes: &'a [u8], offset: u64) -> Result<Next<'a>, ImportError> {
        match self {
            Self::Pcap(header) => header.packet(bytes, offset),
            Self::Pcapng(sections) => sections.block(bytes, offset),
            Self::Unknown => self.begin(bytes, offset),
        }
    }

    /// The link type of a file that has but one.
    pub(crate) fn link_type(&self) -> Option<u16> {
        match self {
            Self::Pcap(header) => Some(header.link_type()),
            Self::Pcapng(_) | Self::Unknown => None,
        }
    }

    fn begin<'a>(&mut self, bytes: &'a [u8], offset: u64) -> Result<Next<'a>, ImportError> {
        let Some(magic) = bytes.first_chunk() else { return Ok(Next::Partial(4)) };
        if pcapng::is_section(*magic) {
            *self = Self::Pcapng(pcapng::Sections::default());
            return self.next(bytes, offset);
        }
        let Some(header) = bytes.first_chunk() else {
            return if pcap::is_magic(*magic) {
                Ok(Next::Partial(pcap::HEADER))
            } else {
                Err(ImportError::NotACapture)
            };
        };
        *self = Self::Pcap(pcap::Header::parse(header)?);
        Ok(Next::Whole(Item::Other, pcap::HEADER))
    }
}
