//! From a link's frame to the network's packet in it (<https://www.tcpdump.org/linktypes.html>).

const NULL: u16 = 0;
const ETHERNET: u16 = 1;
/// Raw IP as some systems' libpcap numbered it in files.
const RAW_BSD: u16 = 12;
const RAW_OPENBSD: u16 = 14;
const RAW: u16 = 101;
const LOOP: u16 = 108;
const LINUX_SLL: u16 = 113;
const IPV4: u16 = 228;
const IPV6: u16 = 229;
const LINUX_SLL2: u16 = 276;

const NULL_HEADER: usize = 4;
const ETHERNET_HEADER: usize = 14;
const SLL_HEADER: usize = 16;
const SLL2_HEADER: usize = 20;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    /// What `data` is; nothing: IP, of the version that its first bits say.
    pub(crate) ether_type: Option<u16>,
    /// Bytes of the frame before `data`.
    pub(crate) offset: usize,
    pub(crate) data: &'a [u8],
    /// The interface index that the frame names.
    pub(crate) ifindex: Option<u32>,
}

/// Whether frames of this type can be read.
pub(crate) fn is_known(link_type: u16) -> bool {
    matches!(
        link_type,
        NULL | ETHERNET | RAW_BSD | RAW_OPENBSD | RAW | LOOP | LINUX_SLL | IPV4 | IPV6 | LINUX_SLL2
    )
}

/// The frame in a captured packet; nothing where the packet is shorter than its link's header.
pub(crate) fn frame(link_type: u16, packet: &[u8]) -> Option<Frame<'_>> {
    let frame = |ether_type, offset, ifindex| {
        Some(Frame { ether_type, offset, data: packet.get(offset..)?, ifindex })
    };
    match link_type {
        ETHERNET => frame(Some(u16_at(packet, 12)?), ETHERNET_HEADER, None),
        LINUX_SLL => frame(Some(u16_at(packet, 14)?), SLL_HEADER, None),
        LINUX_SLL2 => frame(Some(u16_at(packet, 0)?), SLL2_HEADER, Some(u32_at(packet, 4)?)),
        // The address family before it is in the byte order of whoever captured, and says no more than IP does.
        NULL | LOOP => frame(None, NULL_HEADER, None),
        _ => frame(None, 0, None),
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|chunk| u16::from_be_bytes(*chunk))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|chunk| u32::from_be_bytes(*chunk))
}
