//! A queue of NFQUEUE: packets that wait in the kernel for user space's word (linux/netfilter/nfnetlink_queue.h). The
//! words may come in any order: that is how packets are reordered.

use std::io;
use std::os::fd::AsFd as _;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use netlink_sys::{Socket, SocketAddr};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt::RcvBufForce};

/// `NETLINK_NETFILTER`.
const NETFILTER: isize = 12;
/// `NFNL_SUBSYS_QUEUE`, in the high byte of a message's type.
const SUBSYSTEM: u16 = 3 << 8;
const MSG_PACKET: u16 = SUBSYSTEM;
const MSG_VERDICT: u16 = SUBSYSTEM | 1;
const MSG_CONFIG: u16 = SUBSYSTEM | 2;
const NLMSG_ERROR: u16 = 2;
const REQUEST: u16 = 1;
const ACK: u16 = 4;

const CFG_CMD: u16 = 1;
const CFG_PARAMS: u16 = 2;
const CFG_QUEUE_MAXLEN: u16 = 3;
const PACKET_HDR: u16 = 1;
const VERDICT_HDR: u16 = 2;
const PAYLOAD: u16 = 10;

/// `NFQNL_CFG_CMD_BIND`, padding, the family (none).
const BIND: [u8; 4] = [1, 0, 0, 0];
/// All of a packet (big endian), `NFQNL_COPY_PACKET`.
const COPY_ALL: [u8; 5] = [0, 1, 0, 0, 2];
/// `NF_ACCEPT`.
const ACCEPT: u32 = 1;
/// Packets that may wait; past it the kernel drops what comes, which is loss, too.
const MAX_LENGTH: u32 = 16_384;
const RECEIVE_BUFFER: usize = 16 << 20;
/// Netlink header and nfgenmsg.
const HEADERS: usize = 20;
/// More than a packet of 64 KiB with its attributes.
const MESSAGE: usize = 72 << 10;

/// A packet that waits.
#[derive(Debug)]
pub(crate) struct Packet {
    /// By which the kernel knows it.
    pub(crate) id: u32,
    /// From its IP header on. GSO is undone: no packet is longer than the device's MTU, and checksums are there.
    pub(crate) bytes: Vec<u8>,
}

/// The owner's end of a queue, of the network namespace in which it was bound.
pub(crate) struct Queue {
    socket: Socket,
    number: u16,
    buffer: Vec<u8>,
}

impl Queue {
    /// Takes the queue, in the calling thread's namespace.
    pub(crate) fn bind(number: u16) -> Result<Self> {
        let mut socket = Socket::new(NETFILTER).context("no netfilter netlink socket (root?)")?;
        socket.bind(&SocketAddr::new(0, 0))?;
        socket.set_no_enobufs(true)?;
        setsockopt(&socket, RcvBufForce, &RECEIVE_BUFFER)?;
        let mut queue = Self { socket, number, buffer: Vec::with_capacity(MESSAGE) };
        queue.configure(CFG_CMD, &BIND)?;
        queue.configure(CFG_PARAMS, &COPY_ALL)?;
        queue.configure(CFG_QUEUE_MAXLEN, &MAX_LENGTH.to_be_bytes())?;
        Ok(queue)
    }

    /// Packets that came, after at most `limit`.
    pub(crate) fn receive(&mut self, limit: Duration, mut packet: impl FnMut(Packet)) -> Result<()> {
        let timeout = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
        poll(&mut [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)], timeout)?;
        while let Some((kind, body)) = self.next(libc::MSG_DONTWAIT)? {
            if kind == MSG_PACKET {
                packet(parse(body).context("a packet without its id")?);
            }
        }
        Ok(())
    }

    /// Lets a packet go on.
    pub(crate) fn accept(&mut self, id: u32) -> Result<()> {
        let verdict = [ACCEPT.to_be_bytes(), id.to_be_bytes()].concat();
        self.send(MSG_VERDICT, REQUEST, VERDICT_HDR, &verdict)
    }

    fn configure(&mut self, kind: u16, value: &[u8]) -> Result<()> {
        self.send(MSG_CONFIG, REQUEST | ACK, kind, value)?;
        let Some((NLMSG_ERROR, body)) = self.next(0)? else { bail!("NFQUEUE gave no answer") };
        let code = body.get(..4).and_then(|four| four.try_into().ok()).map_or(-1, i32::from_ne_bytes);
        if code != 0 {
            let error = io::Error::from_raw_os_error(-code);
            return Err(error).with_context(|| format!("the kernel refuses queue {}", self.number));
        }
        Ok(())
    }

    fn send(&self, kind: u16, flags: u16, attribute: u16, value: &[u8]) -> Result<()> {
        let padded = value.len().next_multiple_of(4);
        let mut message = Vec::with_capacity(HEADERS + 4 + padded);
        message.extend(((HEADERS + 4 + padded) as u32).to_ne_bytes());
        message.extend([kind, flags].map(u16::to_ne_bytes).concat());
        message.extend([0; 8]); // sequence number and port
        message.extend([0, 0]); // AF_UNSPEC, NFNETLINK_V0
        message.extend(self.number.to_be_bytes());
        message.extend([(4 + value.len()) as u16, attribute].map(u16::to_ne_bytes).concat());
        message.extend(value);
        message.resize(HEADERS + 4 + padded, 0);
        self.socket.send(&message, 0)?;
        Ok(())
    }

    /// The next message: its type, and what follows the netlink header. Each datagram of this subsystem has one.
    fn next(&mut self, flags: libc::c_int) -> Result<Option<(u16, &[u8])>> {
        self.buffer.clear();
        match self.socket.recv(&mut self.buffer, flags) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            result => result?,
        };
        let kind = self.buffer.get(4..6).and_then(|two| two.try_into().ok()).map_or(0, u16::from_ne_bytes);
        Ok(Some((kind, self.buffer.get(16..).unwrap_or_default())))
    }
}

/// Reads the attributes behind nfgenmsg.
fn parse(body: &[u8]) -> Option<Packet> {
    let mut rest = body.get(4..)?;
    let (mut id, mut bytes) = (None, Vec::new());
    while let Some((length, kind)) = header(rest) {
        let value = rest.get(4..length)?;
        match kind {
            PACKET_HDR => id = value.get(..4)?.try_into().ok().map(u32::from_be_bytes),
            PAYLOAD => bytes = value.to_vec(),
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    id.map(|id| Packet { id, bytes })
}

/// Length and type of the attribute at the front.
fn header(attributes: &[u8]) -> Option<(usize, u16)> {
    let [a, b, c, d] = *attributes.first_chunk()?;
    Some((usize::from(u16::from_ne_bytes([a, b])).max(4), u16::from_ne_bytes([c, d]) & 0x3fff))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packets_attributes_are_found_among_others() {
        let mut body = vec![2, 0, 0, 7];
        for (kind, value) in
            [(9_u16, &b"other"[..]), (PACKET_HDR, &[0, 0, 1, 2, 8, 0, 3]), (PAYLOAD, b"E...")]
        {
            body.extend([(4 + value.len()) as u16, kind].map(u16::to_ne_bytes).concat());
            body.extend(value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let packet = parse(&body).expect("it has an id");
        assert_eq!((packet.id, packet.bytes.as_slice()), (0x102, &b"E..."[..]));
        assert!(parse(&body[..14]).is_none(), "cut within an attribute");
    }
}
