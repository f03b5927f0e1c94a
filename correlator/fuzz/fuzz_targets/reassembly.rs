//! A known conversation whose bytes come in any pieces, any order and any number of times: it must give the exchanges
//! that it is made of. With pieces that never come, it may give fewer, and none that it is not made of.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weft_core::Exchange;
use weft_fuzz::{Connection, End, Script, Watched};

/// A gap is given up after so long, in ns; a connection is not forgotten after all waits that a script may have.
const PATIENCE: u64 = 1_100_000_000;
/// In which a stream comes at the end; more only take longer.
const MOST_PIECES: usize = 256;
/// Most of what a vantage holds back for an earlier segment, so that no gap is given up for want of room.
const MOST_SENT: u64 = 128 * 1024;

/// Each response has a status of its own; none of these forbids a body.
const FIRST_STATUS: usize = 400;

/// What one end says, and how it travels.
struct Stream {
    end: End,
    bytes: Vec<u8>,
    /// The sequence number of its first byte.
    begins: u32,
}

fuzz_target!(|bytes: &[u8]| {
    let mut script = Script::new(bytes);
    let first = script.byte();
    let (lossy, count) = (first & 1 != 0, 1 + usize::from(first >> 4));
    let pod = if first & 2 == 0 { End::Server } else { End::Client };
    let mut watched = if lossy && first & 4 != 0 { Watched::tight() } else { Watched::roomy() };
    let mut connection = Connection::new(pod, 40_000);
    connection.handshake().iter().for_each(|record| watched.record(record));
    let plans: Vec<(usize, bool)> = (0..count).map(|_| plan(&mut script)).collect();
    let requests = plans.iter().enumerate().flat_map(|(index, plan)| request(index, *plan)).collect();
    let responses = plans.iter().enumerate().flat_map(|(index, plan)| response(index, *plan)).collect();
    for (end, bytes) in [(End::Client, requests), (End::Server, responses)] {
        let stream = Stream { end, bytes, begins: connection.next(end) };
        stream.travel(&mut script, lossy, &mut connection, &mut watched);
    }
    let recorded = connection.recorded;
    let (snapshot, exchanges) = watched.finish();
    let total = snapshot.loss.total;
    assert_eq!(total.seen - total.lost, recorded);
    exchanges.iter().for_each(|exchange| is_one_of(exchange, &plans, lossy));
    if !lossy {
        assert_eq!(exchanges.len(), count);
        assert_eq!((total.gap, total.opaque), (0, 0));
    }
});

/// A body's length, and whether it is chunked.
fn plan(script: &mut Script<'_>) -> (usize, bool) {
    let byte = script.byte();
    (usize::from(byte >> 1) * 2, byte & 1 != 0)
}

fn request(index: usize, plan: (usize, bool)) -> Vec<u8> {
    message(&format!("POST /{index} HTTP/1.1\r\nHost: a\r\n"), index, plan)
}

fn response(index: usize, plan: (usize, bool)) -> Vec<u8> {
    message(&format!("HTTP/1.1 {} No\r\n", FIRST_STATUS + index), index, plan)
}

fn message(start: &str, index: usize, (len, chunked): (usize, bool)) -> Vec<u8> {
    let body = char::from(b'a' + index as u8).to_string().repeat(len);
    let rest = match (chunked, len) {
        (false, len) => format!("Content-Length: {len}\r\n\r\n{body}"),
        (true, 0) => "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
        (true, len) => format!("Transfer-Encoding: chunked\r\n\r\n{len:x}\r\n{body}\r\n0\r\n\r\n"),
    };
    format!("{start}{rest}").into_bytes()
}

impl Stream {
    /// First the pieces that the script takes out of it, then, unless it is lossy, all of it.
    fn travel(
        self,
        script: &mut Script<'_>,
        lossy: bool,
        connection: &mut Connection,
        watched: &mut Watched,
    ) {
        let pieces = script.byte();
        for _ in 0..pieces {
            if connection.recorded > MOST_SENT {
                break;
            }
            let (from, len) = (usize::from(script.short()), usize::from(script.byte()));
            match len {
                0 if lossy => watched.tick(connection.pass(PATIENCE)),
                len => self.piece(from % self.bytes.len(), len, connection, watched),
            }
        }
        let size = (1 + usize::from(script.byte()) * 4).max(self.bytes.len() / MOST_PIECES);
        if !lossy {
            (0..self.bytes.len()).step_by(size).for_each(|from| self.piece(from, size, connection, watched));
        }
        connection.lose(self.end, self.bytes.len());
    }

    fn piece(&self, from: usize, len: usize, connection: &mut Connection, watched: &mut Watched) {
        let piece = self.bytes.iter().skip(from).take(len).copied().collect::<Vec<u8>>();
        let seq = self.begins.wrapping_add(from as u32);
        let record = connection.segment(self.end, seq, 0, &piece);
        watched.record(&record);
    }
}

/// The exchange is a request of the conversation with its own response.
fn is_one_of(exchange: &Exchange, plans: &[(usize, bool)], lossy: bool) {
    assert!(exchange.complete || lossy, "{exchange:?}");
    if !exchange.complete {
        return;
    }
    let index: usize = exchange.path.trim_start_matches('/').parse().expect("a path of ours");
    let (len, _) = *plans.get(index).expect("a path of ours");
    let response = exchange.response.expect("it is complete");
    assert_eq!(exchange.status.map(usize::from), Some(FIRST_STATUS + index), "{exchange:?}");
    assert_eq!(exchange.request.body_bytes, len as u64, "{exchange:?}");
    assert_eq!(response.body_bytes, len as u64, "{exchange:?}");
}
