//! Any segmentation, order and duplication of the same HTTP/1 messages gives the same exchanges, whatever the grammar
//! allows in them.
use proptest::prelude::*;

use super::{Bench, Talk, run};
use crate::Side;

/// How a message is framed, and how large its body is.
#[derive(Clone, Debug)]
enum Framed {
    /// No field says anything: nothing in a request.
    Bare,
    Length(usize),
    /// The value is in a line of its own (RFC 9112, 5.2).
    Folded(usize),
    /// Chunks of this size, with an extension each, and trailers.
    Chunked {
        body: usize,
        chunk: usize,
        extension: bool,
        trailers: usize,
    },
}

/// What is asked, and what is answered.
#[derive(Clone, Debug)]
struct Plan {
    method: &'static str,
    request: Framed,
    status: u16,
    response: Framed,
    /// Interim responses before it.
    interim: Vec<u16>,
    bare_lf: bool,
    odd_field: bool,
    /// It is sent before the response to the one before.
    pipelined: bool,
}

/// How the segments of a batch travel.
#[derive(Clone, Debug)]
struct Way {
    cuts: Vec<usize>,
    swaps: Vec<(usize, usize)>,
    repeats: Vec<usize>,
}

fn framed() -> impl Strategy<Value = Framed> {
    prop_oneof![
        Just(Framed::Bare),
        (0..200_usize).prop_map(Framed::Length),
        (0..200_usize).prop_map(Framed::Folded),
        (0..200_usize, 1..50_usize, any::<bool>(), 0..3_usize).prop_map(
            |(body, chunk, extension, trailers)| { Framed::Chunked { body, chunk, extension, trailers } }
        ),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    (
        prop::sample::select(vec!["GET", "POST", "HEAD", "X-ODD!"]),
        framed(),
        prop::sample::select(vec![200_u16, 204, 304, 404, 500]),
        framed(),
        prop::collection::vec(prop::sample::select(vec![100_u16, 103]), 0..3),
        (any::<bool>(), any::<bool>(), any::<bool>()),
    )
        .prop_map(|(method, request, status, response, interim, (bare_lf, odd_field, pipelined))| Plan {
            method,
            request,
            status,
            // Until close would be the end of the conversation.
            response: if matches!(response, Framed::Bare) { Framed::Length(0) } else { response },
            interim,
            bare_lf,
            odd_field,
            pipelined,
        })
}

fn way() -> impl Strategy<Value = Way> {
    let cuts = prop::collection::vec(1..60_usize, 1..6);
    let swaps = prop::collection::vec((0..40_usize, 0..40_usize), 0..6);
    (cuts, swaps, prop::collection::vec(0..40_usize, 0..4)).prop_map(|(cuts, swaps, repeats)| Way {
        cuts,
        swaps,
        repeats,
    })
}

impl Framed {
    /// The fields, and the body as on the wire.
    fn write(&self, odd_field: bool) -> (String, String) {
        let odd = if odd_field { "no field\r\nFolded: a\r\n\t b\r\n" } else { "" };
        let (fields, body) = match *self {
            Self::Bare => (String::new(), String::new()),
            Self::Length(body) => (format!("Content-Length: {body}\r\n"), "b".repeat(body)),
            Self::Folded(body) => (format!("Content-Length:\r\n  {body}\r\n"), "b".repeat(body)),
            Self::Chunked { .. } => ("Transfer-Encoding:\r\n chunked\r\n".into(), self.chunks()),
        };
        (format!("{odd}{fields}\r\n"), body)
    }

    fn chunks(&self) -> String {
        let Self::Chunked { body, chunk, extension, trailers } = *self else { return String::new() };
        let extension = if extension { " ; a=\"b\"" } else { "" };
        let data = "0123456789abcdef\r\nGET / HTTP/1.1\r\n\r\n".repeat(10);
        let parts = data.as_bytes()[..body].chunks(chunk);
        let mut text: String = parts
            .map(|part| format!("{:X}{extension}\r\n{}\r\n", part.len(), String::from_utf8_lossy(part)))
            .collect();
        text.push_str(&format!("0{extension}\r\n{}\r\n", "Trailer: x\r\n".repeat(trailers)));
        text
    }

    fn body(&self) -> usize {
        match *self {
            Self::Bare => 0,
            Self::Length(body) | Self::Folded(body) | Self::Chunked { body, .. } => body,
        }
    }
}

impl Plan {
    fn request(&self, index: usize) -> String {
        let (head, body) = self.request.write(self.odd_field);
        self.lines(format!("{} /{index} HTTP/1.1\r\nHost: h\r\n{head}", self.method)) + &body
    }

    /// The final response, without those before it.
    fn final_response(&self) -> String {
        let (head, body) = self.response.write(false);
        let head = self.lines(format!("HTTP/1.1 {} \r\n{head}", self.status));
        if self.bodiless() { head } else { head + &body }
    }

    fn responses(&self) -> String {
        let interim = self.interim.iter().map(|status| self.lines(format!("HTTP/1.1 {status} X\r\n\r\n")));
        interim.chain([self.final_response()]).collect()
    }

    fn bodiless(&self) -> bool {
        self.method == "HEAD" || matches!(self.status, 204 | 304)
    }

    fn lines(&self, head: String) -> String {
        if self.bare_lf { head.replace("\r\n", "\n") } else { head }
    }
}

/// Sends bytes as the way says: cut, then reordered and doubled before they pass.
fn travel(talk: &mut Talk, way: &Way, bytes: &[u8], mut send: impl FnMut(&mut Talk, &[u8])) {
    let first = talk.records.len();
    let mut rest = bytes;
    for cut in way.cuts.iter().cycle() {
        let (part, behind) = rest.split_at((*cut).min(rest.len()));
        send(talk, part);
        rest = behind;
        if rest.is_empty() {
            break;
        }
    }
    let segments = &mut talk.records[first..];
    let count = segments.len();
    for (left, right) in &way.swaps {
        segments.swap(left % count, right % count);
    }
    for repeat in &way.repeats {
        let again = talk.records[first + repeat % count].clone();
        talk.records.push(again);
    }
}

/// Requests that are sent in a row, and then their responses.
fn batches(plans: &[Plan]) -> impl Iterator<Item = (usize, &[Plan])> {
    let mut first = 0;
    std::iter::from_fn(move || {
        let batch = plans.get(first..).filter(|rest| !rest.is_empty())?;
        let count = 1 + batch.iter().skip(1).take_while(|plan| plan.pipelined).count();
        let start = first;
        first += count;
        Some((start, &batch[..count]))
    })
}

fn converse(side: Side, plans: &[Plan], ways: &[Way]) -> Bench {
    let mut talk = Talk::new(side);
    let mut ways = ways.iter().cycle();
    for (start, batch) in batches(plans) {
        let requests: String =
            batch.iter().enumerate().map(|(index, plan)| plan.request(start + index)).collect();
        travel(&mut talk, ways.next().unwrap(), requests.as_bytes(), |talk, part| {
            talk.client(part);
        });
        let responses: String = batch.iter().map(Plan::responses).collect();
        travel(&mut talk, ways.next().unwrap(), responses.as_bytes(), |talk, part| {
            talk.server(part);
        });
    }
    talk.client_fin().server_fin();
    run(&talk.records)
}

proptest! {
    #[test]
    fn the_way_of_travelling_changes_no_message(
        plans in prop::collection::vec(plan(), 1..6),
        ways in prop::collection::vec(way(), 1..6),
        side in prop::sample::select(vec![Side::Client, Side::Server]),
    ) {
        let bench = converse(side, &plans, &ways);
        prop_assert_eq!(bench.notes.exchanges.len(), plans.len(), "{:?}", bench.lines());
        for (index, (joined, plan)) in bench.notes.exchanges.iter().zip(&plans).enumerate() {
            let exchange = &joined.exchange;
            let response = exchange.response.unwrap();
            prop_assert!(exchange.complete, "{:?}", bench.lines());
            prop_assert_eq!((&exchange.method[..], &exchange.path), (plan.method, &format!("/{index}")));
            prop_assert_eq!(exchange.status, Some(plan.status));
            prop_assert_eq!(exchange.request.bytes as usize, plan.request(index).len());
            prop_assert_eq!(exchange.request.body_bytes as usize, plan.request.body());
            prop_assert_eq!(response.bytes as usize, plan.final_response().len());
            let body = if plan.bodiless() { 0 } else { plan.response.body() };
            prop_assert_eq!(response.body_bytes as usize, body);
        }
        let total = bench.total();
        prop_assert_eq!((total.opaque, total.gap, total.pending), (0, 0, 0));
    }

    /// However often and in whatever order the bytes of other protocols come, their rows count each once.
    #[test]
    fn the_way_of_travelling_changes_no_row(
        bytes in prop::collection::vec(any::<u8>(), 20..400),
        ways in prop::collection::vec(way(), 1..4),
        tls in any::<bool>(),
    ) {
        let mut talk = Talk::new(Side::Server);
        let hello: &[u8] = if tls { include_bytes!("hellos/client_13.bin") } else { b"\0binary" };
        let sent = [hello, &bytes].concat();
        travel(&mut talk, &ways[0], &sent, |talk, part| { talk.client(part); });
        travel(&mut talk, &ways[ways.len() - 1], &bytes, |talk, part| { talk.server([b"\0", part].concat()); });
        talk.client_fin().server_fin();
        let bench = run(&talk.records);
        prop_assert_eq!(bench.notes.exchanges.len(), 1, "{:?}", bench.lines());
        let row = &bench.notes.exchanges[0].exchange;
        prop_assert_eq!((row.protocol.is_connection(), row.request.bytes as usize), (true, sent.len()));
        prop_assert_eq!(row.authority.as_deref(), tls.then_some("orders.shop.svc"));
        let total = bench.total();
        prop_assert_eq!((total.decoded, total.gap, total.pending), (0, 0, 0));
    }
}
