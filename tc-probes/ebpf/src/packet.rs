//! From a packet's bytes to its TCP header. Packets may be non-linear: everything is read with
//! `bpf_skb_load_bytes`, nothing is pulled.
use aya_ebpf::programs::TcContext;
use weft_abi::{LossReason, Tuple, tcp_flag};

const ETHERNET_LEN: u32 = 14;
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_VLAN: u16 = 0x8100;
const ETHERTYPE_QINQ: u16 = 0x88a8;
const PROTOCOL_TCP: u8 = 6;
/// Extension headers that stand before TCP (RFC 8200, 4): hop-by-hop, routing, fragment, destination options.
const EXT_HOP_BY_HOP: u8 = 0;
const EXT_ROUTING: u8 = 43;
const EXT_FRAGMENT: u8 = 44;
const EXT_DESTINATION: u8 = 60;
const MAX_EXTENSIONS: usize = 6;
const TCP_HEADER_LEN: u32 = 20;
const TCP_WORDS: usize = TCP_HEADER_LEN as usize / 4;

/// A TCP segment's header, and where its payload is.
#[derive(Clone, Copy)]
pub struct Packet {
    pub tuple: Tuple,
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
    pub window: u16,
    pub payload_offset: u32,
    pub payload_len: u32,
}

impl Packet {
    /// The acknowledgement number; 0 where there is none.
    #[inline(always)]
    pub fn acknowledged(&self) -> u32 {
        if self.flags & tcp_flag::ACK != 0 { self.ack } else { 0 }
    }

    /// It carries payload and is nothing but that.
    #[inline(always)]
    pub fn is_plain(&self) -> bool {
        self.payload_len > 0 && self.flags & (tcp_flag::SYN | tcp_flag::FIN | tcp_flag::RST) == 0
    }
}

/// Why a packet gives no segment: other protocols are no loss, the rest is counted.
pub enum Reject {
    NotTcp,
    Lost(LossReason),
}

const MALFORMED: Reject = Reject::Lost(LossReason::Malformed);

/// What the IP header says of the TCP segment behind it.
struct Ip {
    source: [u8; 16],
    destination: [u8; 16],
    tcp_offset: u32,
    /// Where the packet ends; frames may be padded behind it.
    end: u32,
}

/// Where the words of a packet are read from: so the IP header, and in IPv4 the TCP header, begin with a word.
const WORDS_AT: usize = 2;
/// Up to the end of a TCP header behind plain headers of Ethernet and IPv4.
type Words = [u32; 13];
/// In `Words`.
const IP_WORD: usize = 3;

/// Reads a word of the packet by one load. In assembly, because nothing is aligned in a packet, and the compiler would read it byte by
/// byte: 130 instructions instead of 13.
macro_rules! word {
    ($begin:expr, $index:literal) => {{
        let value: u64;
        // SAFETY: within the packet, as was checked before; the kernel's processors load from everywhere.
        unsafe {
            core::arch::asm!(
                "{0} = *(u32 *)({1} + {2})",
                out(reg) value,
                in(reg) $begin,
                const WORDS_AT + 4 * $index,
                options(nostack, readonly),
            );
        }
        value as u32
    }};
}

/// Nearly all packets have plain headers: those are read at once.
#[inline(always)]
pub fn parse(ctx: &TcContext) -> Result<Packet, Reject> {
    let Some(words) = words(ctx) else { return parse_any(ctx) };
    let begin = u32::from_be(words[IP_WORD]) >> 24;
    match u32::from_be(words[IP_WORD - 1]) as u16 {
        ETHERTYPE_IPV4 if begin == 0x45 => plain_ipv4(ctx, &words),
        ETHERTYPE_IPV6 if (u32::from_be(words[IP_WORD + 1]) >> 8) as u8 == PROTOCOL_TCP => {
            plain_ipv6(ctx, &words)
        }
        _ => parse_any(ctx),
    }
}

/// Read where they lie, without a helper: they nearly always do in one piece.
#[inline(always)]
fn words(ctx: &TcContext) -> Option<Words> {
    let begin = ctx.data();
    if begin + WORDS_AT + size_of::<Words>() > ctx.data_end() {
        return None;
    }
    Some([
        word!(begin, 0),
        word!(begin, 1),
        word!(begin, 2),
        word!(begin, 3),
        word!(begin, 4),
        word!(begin, 5),
        word!(begin, 6),
        word!(begin, 7),
        word!(begin, 8),
        word!(begin, 9),
        word!(begin, 10),
        word!(begin, 11),
        word!(begin, 12),
    ])
}

/// IPv4 without options.
#[inline(always)]
fn plain_ipv4(ctx: &TcContext, words: &Words) -> Result<Packet, Reject> {
    let [_, _, _, begin, fragment, protocol, source, destination, tcp @ ..] = words;
    if (u32::from_be(*protocol) >> 16) as u8 != PROTOCOL_TCP {
        return Err(Reject::NotTcp);
    }
    if u32::from_be(*fragment) & 0x1fff != 0 {
        return Err(Reject::Lost(LossReason::Fragment));
    }
    let ip = Ip {
        source: v4_mapped(*source),
        destination: v4_mapped(*destination),
        tcp_offset: ETHERNET_LEN + 20,
        end: end(ctx, ETHERNET_LEN, u32::from_be(*begin) & 0xffff),
    };
    segment(ip, tcp)
}

/// IPv6 with TCP right behind its header.
#[inline(always)]
fn plain_ipv6(ctx: &TcContext, words: &Words) -> Result<Packet, Reject> {
    let [_, _, _, _, length, a, b, c, d, e, f, g, h] = words;
    let payload_len = u32::from_be(*length) >> 16;
    let tcp_offset = ETHERNET_LEN + 40;
    let ip = Ip {
        source: address([*a, *b, *c, *d]),
        destination: address([*e, *f, *g, *h]),
        tcp_offset,
        end: end(ctx, ETHERNET_LEN, if payload_len == 0 { 0 } else { payload_len + 40 }),
    };
    segment(ip, &load(ctx, tcp_offset)?)
}

#[inline(always)]
fn parse_any(ctx: &TcContext) -> Result<Packet, Reject> {
    let (ethertype, offset) = ethernet(ctx)?;
    let ip = match ethertype {
        ETHERTYPE_IPV4 => ipv4(ctx, offset)?,
        ETHERTYPE_IPV6 => ipv6(ctx, offset)?,
        _ => return Err(Reject::NotTcp),
    };
    let tcp = load(ctx, ip.tcp_offset)?;
    segment(ip, &tcp)
}

#[inline(always)]
fn ethernet(ctx: &TcContext) -> Result<(u16, u32), Reject> {
    let mut offset = ETHERNET_LEN;
    let mut ethertype = load::<[u8; 2]>(ctx, 12).map(u16::from_be_bytes)?;
    for _ in 0..2 {
        if ethertype != ETHERTYPE_VLAN && ethertype != ETHERTYPE_QINQ {
            break;
        }
        ethertype = load::<[u8; 2]>(ctx, offset + 2).map(u16::from_be_bytes)?;
        offset += 4;
    }
    Ok((ethertype, offset))
}

#[inline(always)]
fn ipv4(ctx: &TcContext, offset: u32) -> Result<Ip, Reject> {
    let header: [u8; 20] = load(ctx, offset)?;
    if header[9] != PROTOCOL_TCP {
        return Err(Reject::NotTcp);
    }
    if u16::from_be_bytes([header[6], header[7]]) & 0x1fff != 0 {
        return Err(Reject::Lost(LossReason::Fragment));
    }
    let header_len = u32::from(header[0] & 0x0f) * 4;
    if header_len < 20 {
        return Err(MALFORMED);
    }
    let total_len = u32::from(u16::from_be_bytes([header[2], header[3]]));
    Ok(Ip {
        source: v4_mapped(load(ctx, offset + 12)?),
        destination: v4_mapped(load(ctx, offset + 16)?),
        tcp_offset: offset + header_len,
        end: end(ctx, offset, total_len),
    })
}

#[inline(always)]
fn ipv6(ctx: &TcContext, offset: u32) -> Result<Ip, Reject> {
    let header: [u8; 40] = load(ctx, offset)?;
    let payload_len = u32::from(u16::from_be_bytes([header[4], header[5]]));
    let total_len = if payload_len == 0 { 0 } else { payload_len + 40 };
    let mut source = [0; 16];
    let mut destination = [0; 16];
    source.copy_from_slice(&header[8..24]);
    destination.copy_from_slice(&header[24..40]);
    Ok(Ip {
        source,
        destination,
        tcp_offset: skip_extensions(ctx, header[6], offset + 40)?,
        end: end(ctx, offset, total_len),
    })
}

#[inline(always)]
fn skip_extensions(ctx: &TcContext, mut next: u8, mut offset: u32) -> Result<u32, Reject> {
    for _ in 0..MAX_EXTENSIONS {
        match next {
            PROTOCOL_TCP => return Ok(offset),
            EXT_FRAGMENT => {
                let header: [u8; 8] = load(ctx, offset)?;
                if u16::from_be_bytes([header[2], header[3]]) & 0xfff8 != 0 {
                    return Err(Reject::Lost(LossReason::Fragment));
                }
                next = header[0];
                offset += 8;
            }
            EXT_HOP_BY_HOP | EXT_ROUTING | EXT_DESTINATION => {
                let header: [u8; 2] = load(ctx, offset)?;
                next = header[0];
                offset += (u32::from(header[1]) + 1) * 8;
            }
            _ => return Err(Reject::NotTcp),
        }
    }
    if next == PROTOCOL_TCP { Ok(offset) } else { Err(MALFORMED) }
}

/// The segment, by the words of its TCP header.
#[inline(always)]
fn segment(ip: Ip, tcp: &[u32; TCP_WORDS]) -> Result<Packet, Reject> {
    let [ports, seq, ack, flags, _] = tcp.map(u32::from_be);
    let header_len = flags >> 28 << 2;
    let payload_offset = ip.tcp_offset + header_len;
    if header_len < TCP_HEADER_LEN || payload_offset > ip.end {
        return Err(MALFORMED);
    }
    Ok(Packet {
        tuple: Tuple {
            source: ip.source,
            destination: ip.destination,
            source_port: (ports >> 16) as u16,
            destination_port: ports as u16,
        },
        seq,
        ack,
        flags: (flags >> 16) as u8,
        window: flags as u16,
        payload_offset,
        payload_len: ip.end - payload_offset,
    })
}

/// Where the packet ends. BIG TCP writes a length of 0 (it does not fit 16 bits): then the skb knows.
#[inline(always)]
fn end(ctx: &TcContext, offset: u32, total_len: u32) -> u32 {
    let skb_len = ctx.len();
    if total_len == 0 || offset + total_len > skb_len { skb_len } else { offset + total_len }
}

/// ::ffff:a.b.c.d, from the four bytes as they stand in memory.
#[inline(always)]
pub fn v4_mapped(v4: u32) -> [u8; 16] {
    address([0, 0, 0xffff_u32.to_be(), v4])
}

/// An address from its words as they stand in memory: words, because the programs' registers would hold bytes one
/// by one.
#[inline(always)]
pub fn address(words: [u32; 4]) -> [u8; 16] {
    // SAFETY: plain bytes of the same size.
    unsafe { core::mem::transmute(words) }
}

#[inline(always)]
fn load<T>(ctx: &TcContext, offset: u32) -> Result<T, Reject> {
    ctx.load(offset as usize).map_err(|_| MALFORMED)
}
