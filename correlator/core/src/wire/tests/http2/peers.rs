use httlib_hpack::Encoder;

use super::super::{Bench, Talk};
use crate::{Exchange, Side};

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const ACK: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
pub(super) const PADDED: u8 = 8;
pub(super) const WITH_PRIORITY: u8 = 0x20;

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One frame.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let length = &(payload.len() as u32).to_be_bytes()[1..];
    [length, &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

pub(super) fn data(stream: u32, flags: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame(DATA, flags, stream, payload)
}

pub(super) fn number(kind: u8, stream: u32, number: u32) -> Vec<u8> {
    frame(kind, 0, stream, number.to_be_bytes())
}

pub(super) fn settings(list: &[(u16, u32)]) -> Vec<u8> {
    let one = |(id, value): &(u16, u32)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
    frame(SETTINGS, 0, 0, list.iter().flat_map(one).collect::<Vec<_>>())
}

pub(super) fn ack() -> Vec<u8> {
    frame(SETTINGS, ACK, 0, b"")
}

/// A length-prefixed message of gRPC.
pub(super) fn message(len: usize) -> Vec<u8> {
    [&[0][..], &(len as u32).to_be_bytes(), &vec![0x2a; len]].concat()
}

/// Two programs that speak HTTP/2 over a scripted connection.
pub(super) struct Peers {
    pub(super) talk: Talk,
    pub(super) client: Encoder<'static>,
    pub(super) server: Encoder<'static>,
}

impl Peers {
    /// Before their first byte.
    pub(super) fn silent(talk: Talk) -> Self {
        let (client, server) = (Encoder::with_dynamic_size(4096), Encoder::with_dynamic_size(4096));
        Self { talk, client, server }
    }

    /// After the handshakes of TCP and HTTP/2.
    pub(super) fn new(side: Side) -> Self {
        let mut peers = Self::silent(Talk::new(side));
        peers.talk.client([PREFACE, &settings(&[(2, 0)])].concat());
        peers.talk.server([settings(&[(3, 100)]), ack()].concat());
        peers.talk.client(ack());
        peers
    }

    /// A header block of the client.
    pub(super) fn client_block(&mut self, fields: &[(&str, &str)]) -> Vec<u8> {
        block(&mut self.client, fields)
    }

    /// A header block of the server.
    pub(super) fn server_block(&mut self, fields: &[(&str, &str)]) -> Vec<u8> {
        block(&mut self.server, fields)
    }

    /// HEADERS of a request.
    pub(super) fn request(&mut self, stream: u32, method: &str, path: &str, flags: u8) -> Vec<u8> {
        let fields = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "shop:80")];
        let block = self.client_block(&fields);
        frame(HEADERS, END_HEADERS | flags, stream, block)
    }

    /// HEADERS of a response.
    pub(super) fn response(&mut self, stream: u32, status: &str, flags: u8) -> Vec<u8> {
        let block = self.server_block(&[(":status", status), ("server", "s")]);
        frame(HEADERS, END_HEADERS | flags, stream, block)
    }

    /// HEADERS of a call.
    pub(super) fn call(&mut self, stream: u32, method: &str) -> Vec<u8> {
        let fields = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", method),
            (":authority", "shop:80"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            ("grpc-timeout", "100m"),
        ];
        let block = self.client_block(&fields);
        frame(HEADERS, END_HEADERS, stream, block)
    }

    /// HEADERS of a call's answer.
    pub(super) fn answer(&mut self, stream: u32) -> Vec<u8> {
        let block = self.server_block(&[(":status", "200"), ("content-type", "application/grpc")]);
        frame(HEADERS, END_HEADERS, stream, block)
    }

    /// The trailers of a call.
    pub(super) fn status(&mut self, stream: u32, status: &str) -> Vec<u8> {
        let block = self.server_block(&[("grpc-status", status), ("grpc-message", "m")]);
        frame(HEADERS, END_HEADERS | END_STREAM, stream, block)
    }

    /// What the records give.
    pub(super) fn run(&self) -> Bench {
        super::super::run(&self.talk.records)
    }
}

fn block(encoder: &mut Encoder<'static>, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        let flags = Encoder::BEST_FORMAT | Encoder::WITH_INDEXING;
        encoder.encode((name.as_bytes().to_vec(), value.as_bytes().to_vec(), flags), &mut block).unwrap();
    }
    block
}

/// The exchange of a stream.
pub(super) fn of_stream(bench: &Bench, stream: u32) -> &Exchange {
    let mut found = bench.notes.exchanges.iter().filter(|joined| joined.exchange.stream_id == stream);
    let exchange = &found.next().unwrap_or_else(|| panic!("no {stream} in {:?}", bench.lines())).exchange;
    assert!(found.next().is_none(), "stream {stream} twice");
    exchange
}
