//! Packets made byte by byte, so that anything in them can be wrong.

pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const RST: u8 = 0x04;
pub const ACK: u8 = 0x10;

pub const IPV4: u16 = 0x0800;
pub const IPV6: u16 = 0x86dd;
pub const VLAN: u16 = 0x8100;
pub const QINQ: u16 = 0x88a8;
pub const TCP: u8 = 6;

/// A TCP segment from port 40000 to 8080.
#[derive(Clone, Copy)]
pub struct Tcp {
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
    pub payload: usize,
    /// Words of options.
    pub options: u8,
    /// The length of the header that it says it has, in words; 0: the true one.
    pub data_offset: u8,
}

impl Tcp {
    pub fn new(seq: u32, payload: usize) -> Self {
        Self { seq, ack: 77, flags: ACK, payload, options: 3, data_offset: 0 }
    }

    pub fn flags(self, flags: u8) -> Self {
        Self { flags, ..self }
    }

    pub fn bytes(self) -> Vec<u8> {
        let offset = if self.data_offset == 0 { 5 + self.options } else { self.data_offset };
        let mut bytes = Vec::new();
        bytes.extend(40_000_u16.to_be_bytes());
        bytes.extend(8080_u16.to_be_bytes());
        bytes.extend(self.seq.to_be_bytes());
        bytes.extend(self.ack.to_be_bytes());
        bytes.extend([offset << 4, self.flags, 1, 2, 0, 0, 0, 0]);
        bytes.extend(vec![1; usize::from(self.options) * 4]);
        bytes.extend((0..self.payload).map(|place| place as u8));
        bytes
    }

    /// The same with this payload; `reply`: from port 8080 to 40000, and from 10.0.0.2.
    pub fn carrying(self, payload: &[u8], reply: bool) -> Vec<u8> {
        let mut tcp = Self { payload: 0, ..self }.bytes();
        tcp.extend(payload);
        if reply {
            swap(&mut tcp, 0, 2);
        }
        let mut ip = Ipv4::default().around(&tcp);
        if reply {
            swap(&mut ip, 12, 4);
        }
        ethernet(IPV4, &[], &ip)
    }

    /// In an Ethernet frame with a plain IPv4 header.
    pub fn frame(self) -> Vec<u8> {
        ethernet(IPV4, &[], &Ipv4::default().around(&self.bytes()))
    }
}

/// Exchanges two neighbours of `len` bytes: source and destination.
fn swap(bytes: &mut [u8], at: usize, len: usize) {
    let (source, destination) = bytes[at..at + 2 * len].split_at_mut(len);
    source.swap_with_slice(destination);
}

/// An IPv4 header from 10.0.0.1 to 10.0.0.2.
#[derive(Clone, Copy)]
pub struct Ipv4 {
    /// Words of options.
    pub options: u8,
    /// The length that it says it has; none: the true one.
    pub total_len: Option<u16>,
    /// Flags and fragment offset.
    pub fragment: u16,
    pub protocol: u8,
    /// The header's length that it says it has, in words; 0: the true one.
    pub ihl: u8,
}

impl Default for Ipv4 {
    fn default() -> Self {
        Self { options: 0, total_len: None, fragment: 0, protocol: TCP, ihl: 0 }
    }
}

impl Ipv4 {
    pub fn around(self, inner: &[u8]) -> Vec<u8> {
        let ihl = if self.ihl == 0 { 5 + self.options } else { self.ihl };
        let true_len = (20 + usize::from(self.options) * 4 + inner.len()) as u16;
        let mut bytes = vec![0x40 | ihl, 0];
        bytes.extend(self.total_len.unwrap_or(true_len).to_be_bytes());
        bytes.extend([0, 1]);
        bytes.extend(self.fragment.to_be_bytes());
        bytes.extend([64, self.protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        bytes.extend(vec![1; usize::from(self.options) * 4]);
        bytes.extend(inner);
        bytes
    }
}

/// An IPv6 header from fd00::1 to fd00::2; `next` is the type of what `inner` begins with.
pub fn ipv6(next: u8, payload_len: Option<u16>, inner: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x60, 0, 0, 0];
    bytes.extend(payload_len.unwrap_or(inner.len() as u16).to_be_bytes());
    bytes.extend([next, 64]);
    for last in [1, 2] {
        let mut address = [0; 16];
        (address[0], address[15]) = (0xfd, last);
        bytes.extend(address);
    }
    bytes.extend(inner);
    bytes
}

/// An extension header of `8 * (units + 1)` bytes before `inner`, which is a `next`.
pub fn extension(next: u8, units: u8, inner: &[u8]) -> Vec<u8> {
    let mut bytes = vec![next, units];
    bytes.resize(8 * (usize::from(units) + 1), 0);
    bytes.extend(inner);
    bytes
}

/// A fragment header before `inner`, which is a `next`; `offset` with its flags, as on the wire.
pub fn fragment(next: u8, offset: u16, inner: &[u8]) -> Vec<u8> {
    let mut bytes = vec![next, 0];
    bytes.extend(offset.to_be_bytes());
    bytes.extend([0, 0, 0, 9]);
    bytes.extend(inner);
    bytes
}

/// An Ethernet frame with these tags.
pub fn ethernet(ethertype: u16, tags: &[u16], inner: &[u8]) -> Vec<u8> {
    let mut bytes = vec![2; 12];
    for tag in tags {
        bytes.extend(tag.to_be_bytes());
        bytes.extend([0, 5]);
    }
    bytes.extend(ethertype.to_be_bytes());
    bytes.extend(inner);
    bytes
}
