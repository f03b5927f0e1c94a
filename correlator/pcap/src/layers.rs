//! From the network's packet to the TCP segment in it.
use etherparse::{EtherType, IpNumber, LaxNetSlice, LaxSlicedPacket, TcpSlice, TransportSlice};
use weft_abi::Tuple;

use crate::{Skipped, link::Frame};

/// A TCP segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TcpPacket<'a> {
    pub(crate) tuple: Tuple,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) flags: u8,
    pub(crate) window: u16,
    /// Bytes of payload on the wire, of which `payload` are in the file.
    pub(crate) payload_len: u32,
    pub(crate) payload: &'a [u8],
}

/// What of an IP header is needed.
struct Ip {
    source: [u8; 16],
    destination: [u8; 16],
    /// Where it begins in the frame's data.
    start: usize,
    /// The packet's length as its header says; 0 where that has no room for it (BIG TCP) or was left to the device (TSO).
    length: usize,
    is_tcp: bool,
    fragmented: bool,
}

/// The pipeline takes no longer segment, and no kernel sends one: BIG TCP's limit is 512 KiB.
const LONGEST: usize = 1 << 24;

/// The segment in a frame of which `wire_len` bytes were on the wire, link header included.
pub(crate) fn segment<'a>(frame: &Frame<'a>, wire_len: u32) -> Result<TcpPacket<'a>, Skipped> {
    let sliced = match frame.ether_type {
        Some(ether_type) => LaxSlicedPacket::from_ether_type(EtherType(ether_type), frame.data),
        None => LaxSlicedPacket::from_ip(frame.data).map_err(|_| Skipped::NotTcp)?,
    };
    let Some(ip) = sliced.net.as_ref().and_then(|net| ip(net, frame.data)) else {
        let cut_short = sliced.net.is_none() && sliced.stop_err.is_some();
        return Err(if cut_short { Skipped::Malformed } else { Skipped::NotTcp });
    };
    match &sliced.transport {
        _ if ip.is_tcp && ip.fragmented => Err(Skipped::Fragment),
        Some(TransportSlice::Tcp(tcp)) => tcp_packet(tcp, &ip, frame, wire_len).ok_or(Skipped::Malformed),
        _ if ip.is_tcp => Err(Skipped::Malformed),
        _ => Err(Skipped::NotTcp),
    }
}

fn ip(net: &LaxNetSlice<'_>, data: &[u8]) -> Option<Ip> {
    let payload = net.ip_payload_ref()?;
    let (is_tcp, fragmented) = (payload.ip_number == IpNumber::TCP, payload.fragmented);
    match net {
        LaxNetSlice::Ipv4(ip) => {
            let header = ip.header();
            Some(Ip {
                source: header.source_addr().to_ipv6_mapped().octets(),
                destination: header.destination_addr().to_ipv6_mapped().octets(),
                start: offset_in(data, header.slice())?,
                length: header.total_len().into(),
                is_tcp,
                fragmented,
            })
        }
        LaxNetSlice::Ipv6(ip) => {
            let header = ip.header();
            let payload = usize::from(header.payload_length());
            Some(Ip {
                source: header.source(),
                destination: header.destination(),
                start: offset_in(data, header.slice())?,
                length: if payload == 0 { 0 } else { payload + header.slice().len() },
                is_tcp,
                fragmented,
            })
        }
        LaxNetSlice::Arp(_) => None,
    }
}

fn tcp_packet<'a>(tcp: &TcpSlice<'a>, ip: &Ip, frame: &Frame<'a>, wire_len: u32) -> Option<TcpPacket<'a>> {
    let payload_start = offset_in(frame.data, tcp.slice())? + tcp.header_slice().len();
    // A device may pad the frame behind the packet; no device makes it shorter.
    let on_wire = (wire_len as usize).saturating_sub(frame.offset).max(frame.data.len());
    if on_wire > LONGEST {
        return None;
    }
    let end = Some(ip.start + ip.length).filter(|end| ip.length > 0 && *end <= on_wire).unwrap_or(on_wire);
    let captured = frame.data.get(payload_start..end.min(frame.data.len())).unwrap_or_default();
    Some(TcpPacket {
        tuple: Tuple {
            source: ip.source,
            destination: ip.destination,
            source_port: tcp.source_port(),
            destination_port: tcp.destination_port(),
        },
        seq: tcp.sequence_number(),
        ack: tcp.acknowledgment_number(),
        flags: *tcp.header_slice().get(13)?,
        window: tcp.window_size(),
        payload_len: u32::try_from(end.checked_sub(payload_start)?).ok()?,
        payload: captured,
    })
}

/// Where a slice of `whole` begins in it.
fn offset_in(whole: &[u8], part: &[u8]) -> Option<usize> {
    part.as_ptr().addr().checked_sub(whole.as_ptr().addr()).filter(|offset| *offset <= whole.len())
}
