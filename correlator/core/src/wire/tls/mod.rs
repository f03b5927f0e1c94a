//! Stage 3, TLS (RFC 8446): what the two hello messages say in the clear. Nothing else of it is looked at.
mod hello;

use hello::{client_hello, server_hello};

use super::{
    direction::Direction,
    stream::{Chunk, FIRST},
    work::{HEAD_BYTES, Tally, Work},
};
use crate::Tls;

/// A hello larger than this is not waited for. With every post-quantum key share in use it has less than 4 KiB.
const MAX_HELLO: usize = 16 * 1024;
/// Of the records' content types (RFC 8446, 5.1) the one that hellos come in.
const HANDSHAKE: u8 = 22;
/// A record's header: type, version, length.
const HEADER: usize = 5;
/// A handshake message's header: type, length (RFC 8446, 4).
const MESSAGE_HEADER: usize = 4;

/// The first message of each direction, until it was read, and what they said.
pub(super) struct Hellos {
    reading: [Option<Box<Message>>; 2],
    /// Who sent the ClientHello.
    pub(super) client: Option<Direction>,
    pub(super) said: Tls,
}

/// A handshake message, out of the records that it comes in.
struct Message {
    /// Stream offset of the byte that comes next.
    next: u64,
    /// The header of a record, as far as it came.
    header: Vec<u8>,
    /// Bytes left of the record.
    left: usize,
    bytes: Vec<u8>,
    /// All bytes that it came in, where somebody asked for them.
    raw: Vec<u8>,
}

/// How a message goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    NeedMore,
    Whole,
    /// Not a handshake, too large, or not all captured.
    Never,
}

impl Hellos {
    pub(super) fn new() -> Self {
        Self {
            reading: [Some(Box::new(Message::new())), Some(Box::new(Message::new()))],
            client: None,
            said: Tls::default(),
        }
    }

    /// Whether bytes of this direction are of use.
    pub(super) fn reads(&self, direction: Direction) -> bool {
        direction.of(&self.reading).is_some()
    }

    /// The next bytes of a direction. A hello holds nothing that is not in the clear for everyone.
    pub(super) fn take(&mut self, direction: Direction, chunk: &Chunk<'_>, work: &mut Work<'_>) {
        let Some(message) = direction.of_mut(&mut self.reading) else { return };
        let step = message.chunk(chunk, work);
        if step == Step::Whole {
            let (bytes, raw) = (std::mem::take(&mut message.bytes), std::mem::take(&mut message.raw));
            work.tally.heads = work.tally.heads.saturating_sub(bytes.len() as u64);
            if self.read(direction, &bytes) {
                work.safe(direction, FIRST, &raw);
            }
        }
        let tally = &mut *work.tally;
        if step != Step::NeedMore {
            self.stop(direction, tally);
        }
    }

    /// No more of this direction is of use.
    pub(super) fn stop(&mut self, direction: Direction, tally: &mut Tally) {
        if let Some(message) = direction.of_mut(&mut self.reading).take() {
            tally.heads = tally.heads.saturating_sub(message.bytes.len() as u64);
        }
    }

    /// Says whether the message is a hello.
    fn read(&mut self, direction: Direction, message: &[u8]) -> bool {
        if let Some(hello) = client_hello(message) {
            self.client = self.client.or(Some(direction));
            self.said.sni = hello.server_name;
            self.said.alpn_offered = hello.protocols;
        } else if let Some(hello) = server_hello(message) {
            self.client = self.client.or(Some(direction.reverse()));
            self.said.version = Some(hello.version);
            self.said.alpn = hello.protocol;
        } else {
            return false;
        }
        true
    }
}

impl Message {
    fn new() -> Self {
        Self { next: FIRST, header: Vec::new(), left: 0, bytes: Vec::new(), raw: Vec::new() }
    }

    fn chunk(&mut self, chunk: &Chunk<'_>, work: &mut Work<'_>) -> Step {
        let whole = chunk.front();
        if chunk.offset != self.next || whole.is_empty() {
            return Step::Never;
        }
        self.next = chunk.end();
        let before = self.bytes.len();
        let mut rest = whole;
        let step = self.records(&mut rest);
        if work.redacts() {
            self.raw.extend_from_slice(whole.get(..whole.len() - rest.len()).unwrap_or_default());
        }
        let tally = &mut *work.tally;
        tally.heads += (self.bytes.len() - before) as u64;
        let captured = whole.len() as u64 == chunk.len;
        match step {
            Step::NeedMore if tally.heads > HEAD_BYTES => {
                tally.head_overflows += 1;
                Step::Never
            }
            Step::NeedMore if !captured => Step::Never,
            step => step,
        }
    }

    /// Takes bytes of records (RFC 8446, 5.1): a message may lie in several of them.
    fn records(&mut self, bytes: &mut &[u8]) -> Step {
        while !bytes.is_empty() {
            if self.left == 0 {
                let (header, rest) = bytes.split_at(bytes.len().min(HEADER - self.header.len()));
                self.header.extend_from_slice(header);
                *bytes = rest;
                match self.header[..] {
                    [HANDSHAKE, 3, _, high, low] => self.left = usize::from(u16::from_be_bytes([high, low])),
                    [HANDSHAKE, ..] if self.header.len() < HEADER => return Step::NeedMore,
                    _ => return Step::Never,
                }
                self.header.clear();
            }
            let (fragment, rest) = bytes.split_at(bytes.len().min(self.left));
            self.bytes.extend_from_slice(fragment);
            self.left -= fragment.len();
            *bytes = rest;
            let step = self.step();
            if step != Step::NeedMore {
                return step;
            }
        }
        Step::NeedMore
    }

    /// Whether the message is whole; others may follow it.
    fn step(&self) -> Step {
        let [_, a, b, c, ..] = self.bytes[..] else { return Step::NeedMore };
        let len = MESSAGE_HEADER + u32::from_be_bytes([0, a, b, c]) as usize;
        if len > MAX_HELLO {
            return Step::Never;
        }
        if self.bytes.len() < len {
            return Step::NeedMore;
        }
        Step::Whole
    }
}
