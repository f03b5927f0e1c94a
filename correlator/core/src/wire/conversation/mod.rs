//! Stages 3 and 4 of one connection: what its ends speak, their messages, and the exchanges these make.
mod detect;
mod http2;
mod messages;
mod rest;
mod resync;
mod want;

use std::num::NonZeroU64;

use weft_abi::FlowKey;

use rest::Rest;
use want::Wanted;

use super::{
    decode::tuple,
    direction::Direction,
    http1::{Reader, State},
    http2::Connection,
    pair::Pairing,
    protocol::{Guess, guess},
    stream::{Chunk, Delivery, FIRST, Origin},
    work::Work,
};
use crate::{Anomaly, FlowId, Ktime, Protocol};

/// What of its connection a conversation needs to know.
#[derive(Clone, Copy)]
pub(super) struct Link {
    pub(super) id: FlowId,
    pub(super) vantage: u8,
    pub(super) cookie: u64,
    /// When something of it last passed.
    pub(super) now: Ktime,
    /// Sequence numbers of the first bytes, by direction.
    pub(super) first_seqs: [u32; 2],
    /// How far the streams were read before what is in hand, by direction.
    pub(super) nexts: [u64; 2],
}

impl Link {
    pub(super) fn seq_of(&self, direction: Direction, offset: u64) -> u32 {
        direction.of(&self.first_seqs).wrapping_add(offset.wrapping_sub(FIRST) as u32)
    }

    /// What the kernel knows a direction by.
    pub(super) fn flow_key(&self, direction: Direction) -> FlowKey {
        FlowKey { netns: self.id.netns, tuple: tuple(&self.id, direction), ifindex: self.id.ifindex }
    }
}

/// What the two ends speak, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Spoken {
    #[default]
    Unknown,
    /// HTTP/1, with requests in this direction.
    Http1(Direction),
    /// HTTP/2: its connection takes the conversation's place.
    Http2,
    /// Something that is not followed.
    Opaque,
}

/// What is said over one connection.
pub(super) struct Conversation {
    spoken: Spoken,
    readers: [Reader; 2],
    pub(super) pairing: Pairing,
    /// Only until it takes the conversation's place.
    http2: Option<Box<Connection>>,
    rest: Rest,
    wanted: [Wanted; 2],
    /// Stream offsets at which a program believes that a line with a chunk's size begins.
    believed: [Option<NonZeroU64>; 2],
    /// Bytes that the kernel copied nevertheless, since it was last told.
    unwanted: [u32; 2],
    /// A head was parsed: the ends do speak what was guessed.
    confirmed: bool,
    closed: bool,
    /// Why pairing was given up, for the request that it goes on with.
    doubt: Option<Anomaly>,
    /// Changes of direction without a sign of what is spoken, and the direction before.
    turns: u8,
    last: Option<Direction>,
}

impl Conversation {
    pub(super) fn new() -> Self {
        Self {
            spoken: Spoken::Unknown,
            readers: [Reader::new(State::Lost), Reader::new(State::Lost)],
            pairing: Pairing::default(),
            http2: None,
            rest: Rest::default(),
            wanted: [Wanted::Everything; 2],
            believed: [None; 2],
            unwanted: [0; 2],
            confirmed: false,
            closed: false,
            doubt: None,
            turns: 0,
            last: None,
        }
    }

    /// A direction's first byte is known.
    pub(super) fn start(&mut self, direction: Direction, origin: Origin) {
        if origin == Origin::Handshake {
            self.reader(direction).state = State::Head;
            if self.reader(direction.reverse()).state == State::Head {
                // Whatever was sent, and lost, was sent when nothing had been received but the handshake.
                self.pairing.acknowledge(Some(FIRST));
            }
        } else if self.reader(direction.reverse()).state == State::Lost {
            self.doubt = Some(Anomaly::JoinedMidway);
        }
        if origin == Origin::Midway {
            self.rest.note(Anomaly::JoinedMidway);
        }
    }

    /// Up to which stream offset nothing but the number of a direction's bytes is of use, from the next one on.
    pub(super) fn unread_until(&self, direction: Direction, next: u64) -> u64 {
        match direction.of(&self.readers).state {
            _ if self.rest.reads(direction) => next,
            _ if self.spoken == Spoken::Opaque => u64::MAX,
            State::Opaque => u64::MAX,
            State::Body(body) => next.saturating_add(body.known_ahead()),
            _ => next,
        }
    }

    /// From which stream offset on a socket I/O of a direction may tell something about an exchange that is not
    /// over: the last byte of the first message. Nothing where no message is open.
    pub(super) fn needed_from(&self, direction: Direction) -> Option<u64> {
        match self.spoken {
            Spoken::Http1(requests) if requests == direction => self.pairing.first_request_end(),
            Spoken::Http1(_) => self.pairing.first_response_end(),
            _ => None,
        }
        .map(|end| end.saturating_sub(1))
    }

    #[cfg(test)]
    pub(super) fn buffers(&self) -> usize {
        let partial = self.readers.iter().filter(|reader| !reader.partial().is_empty()).count();
        partial + usize::from(self.pairing.holds())
    }

    fn reader(&mut self, direction: Direction) -> &mut Reader {
        direction.of_mut(&mut self.readers)
    }

    /// What a direction's stream gave.
    pub(super) fn deliver(
        &mut self,
        link: &Link,
        direction: Direction,
        delivery: Delivery<'_>,
        work: &mut Work<'_>,
    ) {
        match delivery {
            Delivery::Chunk(chunk) => self.in_parts(link, direction, chunk, work),
            Delivery::Gap(offset, len) => self.gap(direction, offset, len, work),
            Delivery::Again(start, end, time) => self.again(direction, (start, end), time, work),
            Delivery::End => self.end(direction, work),
        }
    }

    /// A chunk, in two parts where a program believes that framing begins within it.
    fn in_parts(&mut self, link: &Link, direction: Direction, mut chunk: Chunk<'_>, work: &mut Work<'_>) {
        if let Some(border) = self.border_in(direction, &chunk) {
            let before = chunk.take(border.saturating_sub(chunk.offset));
            if before.len > 0 {
                self.chunk(link, direction, before, work);
            }
            self.judge(link, direction, border, chunk.offset, work);
        }
        self.chunk(link, direction, chunk, work);
    }

    fn chunk(&mut self, link: &Link, direction: Direction, mut chunk: Chunk<'_>, work: &mut Work<'_>) {
        let (ack, len) = (chunk.ack, chunk.len);
        self.note_unwanted(direction, &chunk);
        if self.is_rest() {
            self.rest.take(direction, &chunk);
        }
        // What comes behind the end of a connection begins nothing: nobody would end that.
        if self.spoken == Spoken::Unknown && !self.closed {
            self.detect(link, direction, &mut chunk, work);
        }
        match self.spoken {
            Spoken::Http2 => return self.http2(link, direction, chunk, work),
            Spoken::Http1(_) => self.http1(link, direction, &mut chunk, work),
            Spoken::Opaque => self.opaque(direction, &chunk, work),
            Spoken::Unknown => work.opaque(direction, chunk.len),
        }
        if self.spoken == Spoken::Http1(direction) {
            self.pairing.acknowledge(ack);
        }
        self.want(link, direction, chunk.offset, len, work);
    }

    /// What began as nothing that is known and is answered by an HTTP/1 response was meant for an HTTP/1 server.
    fn opaque(&mut self, direction: Direction, chunk: &Chunk<'_>, work: &mut Work<'_>) {
        if chunk.offset == FIRST && guess(chunk.front()) == Guess::Response {
            work.tally.count(Anomaly::Garbage);
        }
        self.rest.hello(direction, chunk, work);
        work.opaque(direction, chunk.len);
    }

    /// Whether what passes may become a row that is a connection.
    fn is_rest(&self) -> bool {
        !self.confirmed || self.spoken == Spoken::Opaque
    }

    fn http1(&mut self, link: &Link, direction: Direction, chunk: &mut Chunk<'_>, work: &mut Work<'_>) {
        while chunk.len > 0 {
            if self.spoken == Spoken::Http2 {
                return self.http2(link, direction, *chunk, work);
            }
            let state = self.reader(direction).state;
            match state {
                State::Head if self.spoken == Spoken::Http1(direction) => {
                    self.request_head(link, direction, chunk, work);
                }
                State::Head => self.response_head(direction, chunk, work),
                State::Body(body) => self.body(direction, body, chunk, work),
                State::Lost => self.resume(direction, chunk, work),
                State::Opaque => self.spend_rest(direction, chunk, work),
            }
        }
    }

    /// Nothing of the chunk is followed; the handshake of a tunnel may have been before it.
    fn spend_rest(&mut self, direction: Direction, chunk: &mut Chunk<'_>, work: &mut Work<'_>) {
        if self.confirmed && self.spoken == Spoken::Opaque {
            self.rest.take(direction, chunk);
        }
        spend(direction, chunk, work);
    }

    /// Bytes are missing.
    fn gap(&mut self, direction: Direction, offset: u64, len: u64, work: &mut Work<'_>) {
        if self.is_rest() {
            self.rest.gap(direction, len, work.tally);
        }
        match self.reader(direction).state {
            State::Body(body) => self.body_gap(direction, body, offset, len, work),
            State::Head => self.lose(direction, Anomaly::Gap, work),
            State::Lost | State::Opaque => {}
        }
    }

    /// Bytes in this range passed again.
    fn again(&mut self, direction: Direction, range: (u64, u64), time: Ktime, work: &mut Work<'_>) {
        work.tally.count(Anomaly::Retransmit);
        if self.is_rest() {
            self.rest.note(Anomaly::Retransmit);
        }
        let Spoken::Http1(requests) = self.spoken else { return };
        self.pairing.note_again(direction == requests, range, time);
        let reader = self.reader(direction);
        if !reader.at_boundary() && range.1 > reader.start {
            reader.odd.insert(Anomaly::Retransmit);
        }
    }

    /// The connection is over.
    pub(super) fn close(&mut self, link: &Link, extra: Option<Anomaly>, work: &mut Work<'_>) {
        for direction in Direction::BOTH {
            let reader = self.reader(direction);
            reader.cut_off(direction, work);
            reader.state = State::Opaque;
        }
        self.pairing.drop_all(extra, work);
        extra.into_iter().for_each(|extra| self.rest.note(extra));
        self.closed = true;
        self.unwant(link, work);
    }

    /// Nothing of this connection can be told any more.
    fn give_up(&mut self, work: &mut Work<'_>) {
        for direction in Direction::BOTH {
            let reader = self.reader(direction);
            reader.abandon(direction, work);
            reader.state = State::Opaque;
        }
        self.pairing.drop_before(u64::MAX, Anomaly::Gap, work);
    }

    fn set_opaque(&mut self, protocol: Protocol, work: &mut Work<'_>) {
        self.spoken = Spoken::Opaque;
        let stats = &mut work.tally.stats;
        match protocol {
            Protocol::Tls => stats.flows_tls += 1,
            Protocol::Http2 | Protocol::Grpc => stats.flows_http2 += 1,
            Protocol::Tcp | Protocol::Http1 => stats.flows_tcp += 1,
        }
        self.begin_rest(protocol, work);
        self.give_up(work);
    }
}

/// The rest of a chunk is of no message.
fn spend(direction: Direction, chunk: &mut Chunk<'_>, work: &mut Work<'_>) {
    work.opaque(direction, chunk.len);
    chunk.advance(chunk.len);
}
