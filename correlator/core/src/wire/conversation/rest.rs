//! What passed of a connection that is not followed, or of what comes behind a tunnel's or an upgrade's handshake: one
//! row when the connection ends. Which end is its client is never guessed: without a client there is no row.
use super::{
    super::{
        direction::Direction,
        join::Finished,
        stream::{Chunk, FIRST},
        tls::Hellos,
        work::{Tally, Work},
    },
    Conversation, Link, Spoken, spend,
};
use crate::{Anomalies, Anomaly, Connection, Exchange, Ktime, MessageSpan, Protocol, Side, Tcp};

/// Bytes of which nobody knows what they say.
pub(super) struct Rest {
    /// `Tls` or `Tcp`, once that is known.
    protocol: Option<Protocol>,
    /// Who opened the connection, or asked for the tunnel.
    pub(super) client: Option<Direction>,
    parts: [Part; 2],
    hellos: Option<Box<Hellos>>,
    anomalies: Anomalies,
}

/// One direction's bytes.
#[derive(Clone, Copy)]
struct Part {
    /// Stream offset of the first one.
    start: u64,
    first_byte: Ktime,
    last_byte: Ktime,
    bytes: u64,
}

impl Part {
    const fn from(start: u64) -> Self {
        Self { start, first_byte: Ktime(0), last_byte: Ktime(0), bytes: 0 }
    }

    /// As a message; nothing where no byte passed.
    fn span(&self) -> Option<MessageSpan> {
        let Self { start: _, first_byte, last_byte, bytes } = *self;
        (bytes > 0).then_some(MessageSpan { first_byte, last_byte, bytes, body_bytes: 0 })
    }
}

impl Default for Rest {
    fn default() -> Self {
        Self {
            protocol: None,
            client: None,
            parts: [Part::from(FIRST); 2],
            hellos: None,
            anomalies: Anomalies::default(),
        }
    }
}

impl Rest {
    /// Bytes passed.
    pub(super) fn take(&mut self, direction: Direction, chunk: &Chunk<'_>) {
        if chunk.len == 0 {
            return;
        }
        let part = direction.of_mut(&mut self.parts);
        if part.bytes == 0 {
            part.first_byte = chunk.first_time;
        }
        part.last_byte = chunk.time;
        part.bytes += chunk.len;
        self.anomalies |= chunk.odd;
    }

    /// Bytes of which no record came.
    pub(super) fn gap(&mut self, direction: Direction, len: u64, tally: &mut Tally) {
        let part = direction.of_mut(&mut self.parts);
        // Where nothing was seen before, nobody knows when the first byte passed.
        if part.bytes > 0 {
            part.bytes += len;
        }
        self.note(Anomaly::Gap);
        if let Some(hellos) = &mut self.hellos {
            hellos.stop(direction, tally);
        }
    }

    pub(super) fn note(&mut self, anomaly: Anomaly) {
        self.anomalies.insert(anomaly);
    }

    fn begin_tls(&mut self) {
        self.protocol = Some(Protocol::Tls);
        self.hellos = Some(Box::new(Hellos::new()));
    }

    /// Bytes that the hellos may be in.
    pub(super) fn hello(&mut self, direction: Direction, chunk: &Chunk<'_>, work: &mut Work<'_>) {
        let Some(hellos) = &mut self.hellos else { return };
        hellos.take(direction, chunk, work);
        self.client = hellos.client.or(self.client);
    }

    /// Whether captured bytes of a direction are of use.
    pub(super) fn reads(&self, direction: Direction) -> bool {
        self.hellos.as_ref().is_some_and(|hellos| hellos.reads(direction))
    }

    /// Nothing of it waits any more.
    fn stop(&mut self, tally: &mut Tally) {
        if let Some(hellos) = &mut self.hellos {
            Direction::BOTH.into_iter().for_each(|direction| hellos.stop(direction, tally));
        }
    }
}

impl Conversation {
    /// Who opened the connection; nobody where both did (RFC 9293, 3.5: simultaneous open).
    pub(in super::super) fn opened_by(&mut self, opener: Option<Direction>) {
        self.rest.client = opener;
    }

    /// Nothing of the connection is followed from here on. What waited to be told apart is looked at again.
    pub(super) fn begin_rest(&mut self, protocol: Protocol, work: &mut Work<'_>) {
        match protocol {
            Protocol::Tls => self.rest.begin_tls(),
            Protocol::Tcp => self.rest.protocol = Some(Protocol::Tcp),
            Protocol::Http1 | Protocol::Http2 | Protocol::Grpc => return,
        }
        for direction in Direction::BOTH {
            let reader = direction.of(&self.readers);
            if let Some(waited) = reader.waited() {
                self.rest.hello(direction, &waited, work);
            }
        }
    }

    /// What follows is a tunnel's (CONNECT: RFC 9110, 9.3.6; upgrades: 7.8). `ends`: where the handshake's messages end.
    pub(super) fn begin_tunnel(&mut self, client: Direction, ends: [u64; 2], work: &mut Work<'_>) {
        self.give_up(work);
        self.spoken = Spoken::Opaque;
        let early = *client.of(&self.rest.parts);
        self.rest = Rest {
            protocol: Some(Protocol::Tcp),
            client: Some(client),
            parts: ends.map(Part::from),
            ..Rest::default()
        };
        let part = client.of_mut(&mut self.rest.parts);
        if early.start == part.start {
            *part = early;
        }
    }

    /// Bytes of a client that sends before it has the answer to its CONNECT, which ends at `end`.
    pub(super) fn early(
        &mut self,
        direction: Direction,
        end: u64,
        chunk: &mut Chunk<'_>,
        work: &mut Work<'_>,
    ) {
        let part = direction.of_mut(&mut self.rest.parts);
        if part.start != end {
            *part = Part::from(end);
        }
        self.rest.take(direction, chunk);
        spend(direction, chunk, work);
    }

    /// Whether the client sent something behind its CONNECT, which ends at `end`, before it had the answer.
    pub(super) fn was_early(&self, client: Direction, end: u64) -> bool {
        let part = client.of(&self.rest.parts);
        part.start == end && part.bytes > 0
    }

    /// The connection has ended: hands on its row, if it has one. `ended`: both ends said that they send no more.
    pub(in super::super) fn hand_on_rest(&mut self, link: &Link, tcp: Tcp, ended: bool, work: &mut Work<'_>) {
        self.rest.stop(work.tally);
        let rest = std::mem::take(&mut self.rest);
        // Too little passed to tell what it is. Where bytes are missing it may have been HTTP.
        let short = self.spoken == Spoken::Unknown && !rest.anomalies.contains(Anomaly::Gap);
        let known = rest.protocol.or(short.then_some(Protocol::Tcp));
        let (Some(protocol), Some(client)) = (known, rest.client) else { return };
        let (request, response) = (client.of(&rest.parts), client.reverse().of(&rest.parts));
        let (request_seq, request_ack) =
            (link.seq_of(client, request.start), link.seq_of(client.reverse(), response.start));
        // Of an end that sent nothing: when the other began.
        let silent = |span: MessageSpan| MessageSpan { last_byte: span.first_byte, bytes: 0, ..span };
        let Some(sent) = request.span().or(response.span().map(silent)) else { return };
        work.tally.stats.flows_tcp += u64::from(rest.protocol.is_none());
        let tls = rest.hellos.map(|hellos| hellos.said);
        let exchange = Exchange {
            flow: link.id,
            vantage: link.vantage,
            side: if client == Direction::FromPod { Side::Client } else { Side::Server },
            protocol,
            method: String::new(),
            path: String::new(),
            authority: tls.as_ref().and_then(|tls| tls.sni.clone()),
            status: None,
            stream_id: 0,
            socket_cookie: link.cookie,
            request_seq,
            request_ack,
            request: sent,
            response: response.span(),
            grpc: None,
            propagation: None,
            flow_control: None,
            reset: None,
            connection: Some(Box::new(Connection { tls, tcp })),
            complete: ended,
            anomalies: rest.anomalies,
        };
        work.out.finished.push(Finished { exchange, request_last: None, response_last: None });
    }
}
