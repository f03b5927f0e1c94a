//! A conversation that is HTTP/2 is its connection's.
use super::{
    super::{
        direction::Direction,
        http1::State,
        http2::{self, Connection},
        protocol::{Guess, guess},
        stream::{Chunk, Delivery, FIRST},
        work::Work,
    },
    Conversation, Link, Spoken,
};
use crate::{Anomaly, Protocol};

impl Conversation {
    /// The connection begins as HTTP/2, with requests in this direction.
    pub(super) fn begin_http2(&mut self, link: &Link, requests: Direction, work: &mut Work<'_>) {
        self.set_http2(Connection::new(requests), work);
        for direction in Direction::BOTH {
            self.read_again(link, direction, work);
        }
    }

    /// The bytes that waited for what they are.
    fn read_again(&mut self, link: &Link, direction: Direction, work: &mut Work<'_>) {
        let reader = self.reader(direction);
        let (offset, time, ack, again) = (reader.start, reader.span.first_byte, reader.ack, reader.again);
        let bytes = reader.take_partial(direction, work);
        let len = bytes.len() as u64;
        if len == 0 {
            return;
        }
        let (hole, reverse_end, segment_start) = (0, ack.unwrap_or(FIRST), true);
        let data = &bytes[..];
        let chunk = Chunk { offset, len, hole, data, time, ack, reverse_end, segment_start, again };
        self.http2(link, direction, Delivery::Chunk(chunk), work);
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
            self.set_http2(Connection::from_preface(direction), work);
        } else if http2::is_joined(chunk.front(), chunk.len) {
            self.set_http2(Connection::joined(), work);
        }
        self.spoken == Spoken::Http2
    }

    /// How many of its streams are open.
    pub(in super::super) fn open_streams(&self) -> usize {
        self.http2.as_deref().map_or(0, Connection::open_streams)
    }

    fn set_http2(&mut self, connection: Connection, work: &mut Work<'_>) {
        self.spoken = Spoken::Http2;
        work.tally.stats.flows_http2 += 1;
        self.http2 = Some(Box::new(connection));
        for direction in Direction::BOTH {
            self.reader(direction).state = State::Head;
        }
    }

    /// What a direction's stream of HTTP/2 gave.
    pub(super) fn http2(
        &mut self,
        link: &Link,
        direction: Direction,
        delivery: Delivery<'_>,
        work: &mut Work<'_>,
    ) {
        let Some(connection) = self.http2.as_deref_mut() else { return };
        connection.deliver(link, direction, delivery, work);
        if connection.is_refuted() {
            work.tally.stats.flows_http2 -= 1;
            self.close_http2(link, None, work);
            self.spoken = Spoken::Unknown;
            for direction in Direction::BOTH {
                self.reader(direction).state = State::Lost;
            }
        }
    }

    pub(super) fn close_http2(&mut self, link: &Link, extra: Option<Anomaly>, work: &mut Work<'_>) {
        if let Some(mut connection) = self.http2.take() {
            connection.close(link, extra, work);
            self.spoken = Spoken::Opaque;
        }
    }
}
