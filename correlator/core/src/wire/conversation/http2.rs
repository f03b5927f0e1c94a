//! A conversation that turns out to be HTTP/2 (see `Dialogue`).
use super::{
    super::{
        direction::Direction,
        http2::{self, Connection},
        protocol::{Guess, guess},
        stream::{Chunk, Delivery, FIRST},
        work::Work,
    },
    Conversation, Link, Spoken,
};
use crate::Protocol;

impl Conversation {
    /// The connection begins as HTTP/2, with requests in this direction.
    pub(super) fn begin_http2(&mut self, link: &Link, requests: Direction, work: &mut Work<'_>) {
        self.set_http2(Connection::new(requests));
        for direction in Direction::BOTH {
            self.read_again(link, direction, work);
        }
    }

    /// The bytes that waited for what they are.
    fn read_again(&mut self, link: &Link, direction: Direction, work: &mut Work<'_>) {
        let reader = self.reader(direction);
        let (offset, time, ack, odd) = (reader.start, reader.span.first_byte, reader.ack, reader.odd);
        let bytes = reader.take_partial(direction, work);
        let len = bytes.len() as u64;
        if len == 0 {
            return;
        }
        let (hole, reverse_end, segment_start) = (0, ack.unwrap_or(FIRST), true);
        let data = &bytes[..];
        let first_time = time;
        let chunk = Chunk {
            offset,
            len,
            hole,
            data,
            stretch: None,
            time,
            first_time,
            ack,
            reverse_end,
            segment_start,
            odd,
        };
        self.http2(link, direction, chunk, work);
    }

    /// Whether a segment of a connection that was joined in its middle is of HTTP/2.
    pub(super) fn join_http2(
        &mut self,
        direction: Direction,
        chunk: &Chunk<'_>,
        work: &mut Work<'_>,
    ) -> bool {
        if !chunk.segment_start {
            return false;
        }
        if guess(chunk.front()) == Guess::Other(Protocol::Http2) {
            self.set_http2(Connection::from_preface(direction));
        } else if http2::is_joined(chunk.front(), chunk.len) {
            self.set_http2(Connection::joined());
        }
        let found = self.spoken == Spoken::Http2;
        if found {
            // What waited at the other end to be told apart begins no frame.
            Direction::BOTH.into_iter().for_each(|direction| self.reader(direction).abandon(direction, work));
        }
        found
    }

    /// The response 101 to an upgrade is there: what follows is HTTP/2, and answers the request on stream 1. Says whether
    /// all was in place for that.
    pub(super) fn upgrade_http2(&mut self, direction: Direction, work: &mut Work<'_>) -> bool {
        let requests = direction.reverse();
        if !self.reader(requests).at_boundary() {
            return false;
        }
        let Some(open) = self.pairing.take_only(work) else { return false };
        self.reader(direction).finish();
        self.set_http2(Connection::upgraded(requests, open, work));
        true
    }

    fn set_http2(&mut self, connection: Connection) {
        self.spoken = Spoken::Http2;
        self.http2 = Some(Box::new(connection));
    }

    /// What takes the conversation's place, where it turned out to be HTTP/2.
    pub(in super::super) fn take_http2(&mut self) -> Option<Box<Connection>> {
        self.http2.take()
    }

    /// What a direction's stream of HTTP/2 gave.
    pub(super) fn http2(&mut self, link: &Link, direction: Direction, chunk: Chunk<'_>, work: &mut Work<'_>) {
        if let Some(connection) = self.http2.as_deref_mut() {
            connection.deliver(link, direction, Delivery::Chunk(chunk), work);
        }
    }
}
