//! What is said over one connection. HTTP/2 has a state of its own, which takes the place of everything else's once it is
//! known: so an idle connection keeps one of the two.
use super::{
    conversation::{Conversation, Link},
    direction::Direction,
    http2::Connection,
    stream::{Delivery, Origin},
    stretch::Border,
    work::Work,
};
use crate::{Anomaly, Tcp};

pub(super) enum Dialogue {
    /// Anything but HTTP/2, or not known yet.
    Other(Box<Conversation>),
    Http2(Box<Connection>),
}

impl Dialogue {
    pub(super) fn new() -> Self {
        Self::Other(Box::new(Conversation::new()))
    }

    /// A direction's first byte is known.
    pub(super) fn start(&mut self, direction: Direction, origin: Origin) {
        if let Self::Other(conversation) = self {
            conversation.start(direction, origin);
        }
    }

    /// Who opened the connection, where one end did.
    pub(super) fn opened_by(&mut self, opener: Option<Direction>) {
        if let Self::Other(conversation) = self {
            conversation.opened_by(opener);
        }
    }

    /// Up to which stream offset nothing but the number of a direction's bytes is of use, from the next one on.
    pub(super) fn unread_until(&self, direction: Direction, next: u64) -> u64 {
        match self {
            Self::Other(conversation) => conversation.unread_until(direction, next),
            Self::Http2(connection) => connection.unread_until(direction, next),
        }
    }

    /// Up to which stream offset bytes of a direction may have passed of which the kernel gives a record only later.
    pub(super) fn gathered_until(&self, direction: Direction) -> u64 {
        match self {
            Self::Other(conversation) => conversation.gathered_until(direction),
            Self::Http2(connection) => connection.gathered_until(),
        }
    }

    /// A program believes that a unit of a direction's framing begins there.
    pub(super) fn border(&mut self, link: &Link, direction: Direction, border: Border, work: &mut Work<'_>) {
        match self {
            Self::Other(conversation) => conversation.border(link, direction, border, work),
            Self::Http2(connection) => connection.border(link, direction, border, work),
        }
    }

    /// From which stream offset on a socket I/O of a direction may tell something about an exchange that is not over.
    pub(super) fn needed_from(&mut self, direction: Direction) -> Option<u64> {
        match self {
            Self::Other(conversation) => conversation.needed_from(direction),
            Self::Http2(connection) => connection.needed_from(direction),
        }
    }

    /// How many streams of HTTP/2 are open.
    pub(super) fn open_streams(&self) -> usize {
        match self {
            Self::Other(_) => 0,
            Self::Http2(connection) => connection.open_streams(),
        }
    }

    /// What a direction's stream gave.
    pub(super) fn deliver(
        &mut self,
        link: &Link,
        direction: Direction,
        delivery: Delivery<'_>,
        work: &mut Work<'_>,
    ) {
        match self {
            Self::Other(conversation) => conversation.deliver(link, direction, delivery, work),
            Self::Http2(connection) => connection.deliver(link, direction, delivery, work),
        }
        self.turn(link, work);
    }

    /// It became known that this is HTTP/2, or that it is not.
    fn turn(&mut self, link: &Link, work: &mut Work<'_>) {
        if let Self::Other(conversation) = self
            && let Some(connection) = conversation.take_http2()
        {
            work.tally.stats.flows_http2 += 1;
            *self = Self::Http2(connection);
        }
        if let Self::Http2(connection) = self
            && connection.is_refuted()
        {
            work.tally.stats.flows_http2 -= 1;
            connection.close(link, None, work);
            *self = Self::new();
            for direction in Direction::BOTH {
                self.start(direction, Origin::Midway);
            }
        }
    }

    /// The connection is over.
    pub(super) fn close(&mut self, link: &Link, extra: Option<Anomaly>, work: &mut Work<'_>) {
        match self {
            Self::Other(conversation) => conversation.close(link, extra, work),
            Self::Http2(connection) => connection.close(link, extra, work),
        }
    }

    /// The connection has ended: hands on its row, if it has one.
    pub(super) fn hand_on_rest(&mut self, link: &Link, tcp: Tcp, ended: bool, work: &mut Work<'_>) {
        if let Self::Other(conversation) = self {
            conversation.hand_on_rest(link, tcp, ended, work);
        }
    }

    #[cfg(test)]
    pub(super) fn visits(&self) -> u64 {
        match self {
            Self::Other(_) => 0,
            Self::Http2(connection) => connection.visits(),
        }
    }

    #[cfg(test)]
    pub(super) fn buffers(&self) -> usize {
        match self {
            Self::Other(conversation) => conversation.buffers(),
            Self::Http2(connection) => connection.buffers(),
        }
    }
}
