//! Reads captures with nanosecond timestamps, as tcpdump writes them.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};

/// The file's first four bytes (pcap-savefile(5)): written in this machine's byte order, nanoseconds.
const MAGIC_NANO: u32 = 0xa1b2_3c4d;
/// `LINKTYPE_ETHERNET`.
const ETHERNET: u32 = 1;
/// No packet of a GSO device is longer.
const MAX_PACKET: usize = 1 << 20;

/// A TCP segment in a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapturedSegment {
    /// When it passed, in ns since the epoch.
    pub time: u64,
    /// Sender.
    pub source: SocketAddr,
    /// Receiver.
    pub destination: SocketAddr,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// Bytes of payload on the wire, whether captured or not.
    pub payload_len: u32,
    /// SYN flag.
    pub syn: bool,
    /// FIN flag.
    pub fin: bool,
    /// RST flag.
    pub rst: bool,
}

/// Reads the TCP segments of a capture in the file's order. A file that ends inside a packet, as one does whose
/// writer was killed, ends before it.
///
/// # Errors
/// When it is no nanosecond capture of an Ethernet device.
pub fn read(path: &Path) -> Result<Vec<CapturedSegment>> {
    let file = File::open(path).with_context(|| format!("no capture at {}", path.display()))?;
    segments(BufReader::new(file)).with_context(|| format!("cannot read the capture {}", path.display()))
}

/// Hands over the TCP segments of a capture one by one, in the file's order, each with the bytes of its payload that were captured.
///
/// # Errors
/// As [`read`], and what `take` says.
pub fn each(path: &Path, take: impl FnMut(CapturedSegment, &[u8]) -> Result<()>) -> Result<()> {
    let file = File::open(path).with_context(|| format!("no capture at {}", path.display()))?;
    walk(BufReader::new(file), take).with_context(|| format!("cannot read the capture {}", path.display()))
}

fn segments(file: impl Read) -> Result<Vec<CapturedSegment>> {
    let mut segments = Vec::new();
    walk(file, |segment, _| {
        segments.push(segment);
        Ok(())
    })?;
    Ok(segments)
}

fn walk(mut file: impl Read, mut take: impl FnMut(CapturedSegment, &[u8]) -> Result<()>) -> Result<()> {
    let mut header = [0; 24];
    file.read_exact(&mut header).context("shorter than its header")?;
    ensure!(word(&header, 0) == MAGIC_NANO, "not a capture in this machine's byte order with nanoseconds");
    ensure!(word(&header, 20) == ETHERNET, "not of an Ethernet device");
    let mut packet = Vec::new();
    while let Some((time, wire_len)) = next_packet(&mut file, &mut packet)? {
        if let Some((segment, payload)) = segment(time, wire_len, &packet) {
            take(segment, payload)?;
        }
    }
    Ok(())
}

/// Reads one packet; returns its time and its length on the wire.
fn next_packet(file: &mut impl Read, packet: &mut Vec<u8>) -> Result<Option<(u64, usize)>> {
    let mut header = [0; 16];
    if !fill(file, &mut header)? {
        return Ok(None);
    }
    let length = word(&header, 8) as usize;
    ensure!(length <= MAX_PACKET, "a packet of {length} bytes: the file is damaged");
    packet.resize(length, 0);
    let time = u64::from(word(&header, 0)) * 1_000_000_000 + u64::from(word(&header, 4));
    Ok(fill(file, packet)?.then_some((time, word(&header, 12) as usize)))
}

fn fill(file: &mut impl Read, buffer: &mut [u8]) -> Result<bool> {
    match file.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_ne_bytes)
}

fn segment(time: u64, wire_len: usize, packet: &[u8]) -> Option<(CapturedSegment, &[u8])> {
    of(time, wire_len, packet, &LaxSlicedPacket::from_ethernet(packet).ok()?)
}

/// A packet without a link's header.
pub(crate) fn of_ip(time: u64, packet: &[u8]) -> Option<CapturedSegment> {
    Some(of(time, packet.len(), packet, &LaxSlicedPacket::from_ip(packet).ok()?)?.0)
}

fn of<'a>(
    time: u64,
    wire_len: usize,
    packet: &'a [u8],
    sliced: &LaxSlicedPacket<'_>,
) -> Option<(CapturedSegment, &'a [u8])> {
    let Some(TransportSlice::Tcp(tcp)) = &sliced.transport else { return None };
    let (source, destination, ip_end) = addresses(sliced.net.as_ref()?, wire_len, packet)?;
    // The TCP header begins where its slice does: everything before it is link, IP and extension headers.
    let tcp_start = tcp.slice().as_ptr().addr().checked_sub(packet.as_ptr().addr())?;
    let begin = tcp_start + tcp.header_slice().len();
    let segment = CapturedSegment {
        time,
        source: SocketAddr::new(source, tcp.source_port()),
        destination: SocketAddr::new(destination, tcp.destination_port()),
        seq: tcp.sequence_number(),
        ack: tcp.acknowledgment_number(),
        payload_len: u32::try_from(ip_end.checked_sub(begin)?).ok()?,
        syn: tcp.syn(),
        fin: tcp.fin(),
        rst: tcp.rst(),
    };
    // Behind the IP packet there may be padding.
    Some((segment, packet.get(begin..ip_end.min(packet.len())).unwrap_or_default()))
}

/// Source, destination, and where in the packet the IP packet ends by its own length field. Behind that there
/// may be Ethernet padding; BIG TCP has no length field (0), and no padding either.
fn addresses(net: &LaxNetSlice<'_>, wire_len: usize, packet: &[u8]) -> Option<(IpAddr, IpAddr, usize)> {
    let offset = |header: &[u8]| header.as_ptr().addr().checked_sub(packet.as_ptr().addr());
    let (source, destination, start, length) = match net {
        LaxNetSlice::Ipv4(ip) => {
            let header = ip.header();
            let length = usize::from(header.total_len());
            (header.source_addr().into(), header.destination_addr().into(), offset(header.slice())?, length)
        }
        LaxNetSlice::Ipv6(ip) => {
            let header = ip.header();
            let payload = usize::from(header.payload_length());
            let length = if payload == 0 { 0 } else { payload + header.slice().len() };
            (header.source_addr().into(), header.destination_addr().into(), offset(header.slice())?, length)
        }
        LaxNetSlice::Arp(_) => return None,
    };
    Some((source, destination, if length == 0 { wire_len } else { start + length }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::PacketBuilder;

    /// A capture of one packet with `padding` bytes behind the IP packet, cut to `snaplen`.
    fn capture(packet: &[u8], padding: usize, snaplen: usize) -> Vec<u8> {
        let wire_len = packet.len() + padding;
        let padded = [packet, vec![0; padding].as_slice()].concat();
        let kept = &padded[..wire_len.min(snaplen)];
        let mut file = Vec::new();
        for word in [MAGIC_NANO, 0x0004_0002, 0, 0, 65535, ETHERNET, 7, 9, kept.len() as u32, wire_len as u32]
        {
            file.extend(word.to_ne_bytes());
        }
        file.extend(kept);
        file
    }

    fn packet(v6: bool, payload: usize) -> Vec<u8> {
        let builder = PacketBuilder::ethernet2([1; 6], [2; 6]);
        let builder = if v6 {
            builder.ipv6([0xfd; 16], [0xfe; 16], 9)
        } else {
            builder.ipv4([10, 0, 0, 1], [10, 0, 0, 2], 9)
        };
        let mut packet = Vec::new();
        let tcp = builder.tcp(40000, 8080, 77, 100).ack(5).options_raw(&[1, 1, 1, 1]);
        tcp.map(|tcp| tcp.write(&mut packet, &vec![b'x'; payload])).expect("short options").expect("a Vec");
        packet
    }

    #[test]
    fn a_cut_packet_keeps_its_length() -> Result<()> {
        for v6 in [false, true] {
            let read = segments(capture(&packet(v6, 1000), 0, 150).as_slice())?;
            assert_eq!(read.len(), 1);
            assert_eq!((read[0].seq, read[0].ack, read[0].payload_len), (77, 5, 1000));
            assert_eq!((read[0].source.port(), read[0].destination.port()), (40000, 8080));
            assert_eq!(read[0].time, 7_000_000_009);
        }
        Ok(())
    }

    #[test]
    fn padding_is_no_payload() -> Result<()> {
        let read = segments(capture(&packet(false, 0), 6, 200).as_slice())?;
        assert_eq!(read[0].payload_len, 0);
        Ok(())
    }

    #[test]
    fn big_tcp_takes_the_length_from_the_wire() -> Result<()> {
        let mut big = packet(false, 500);
        big[16..18].fill(0); // tot_len
        let read = segments(capture(&big, 0, 100).as_slice())?;
        assert_eq!(read[0].payload_len, 500);
        Ok(())
    }

    #[test]
    fn a_file_may_end_inside_a_packet() -> Result<()> {
        let mut file = capture(&packet(false, 10), 0, 200);
        let whole = file.len();
        file.extend(file[24..].to_vec());
        assert_eq!(segments(file.as_slice())?.len(), 2);
        assert_eq!(segments(&file[..whole + 20])?.len(), 1);
        Ok(())
    }

    #[test]
    fn another_format_is_refused() {
        assert!(segments(&[0; 24][..]).is_err());
        assert!(segments(&b"short"[..]).is_err());
    }
}
