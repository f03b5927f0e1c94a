//! One connection in which each end says anything. The script is a list of steps with 0xff between them, so that most
//! of it is the text that passes; a step's first byte says who does what.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weft_abi::{io, tcp_flag};
use weft_fuzz::{Connection, End, Watched, check_times};

/// The shortest request line, field section included: "A / HTTP/1.0\n\n".
const SHORTEST_REQUEST: u64 = 14;

struct Talk {
    connection: Connection,
    watched: Watched,
    /// What was sent last.
    last: Vec<u8>,
    connections: u64,
}

fuzz_target!(|bytes: &[u8]| {
    let (first, steps) = bytes.split_first().unwrap_or((&0, &[]));
    let pod = if first & 1 == 0 { End::Server } else { End::Client };
    let watched = if first & 2 == 0 { Watched::roomy() } else { Watched::tight() };
    let connection = Connection::new(pod, 40_000);
    let mut talk = Talk { connection, watched, last: Vec::new(), connections: 1 };
    if first & 4 == 0 {
        talk.handshake();
    }
    steps.split(|byte| *byte == 0xff).for_each(|step| talk.step(step));
    let (recorded, connections) = (talk.connection.recorded, talk.connections);
    let (snapshot, exchanges) = talk.watched.finish();
    check_times(&exchanges);
    let total = snapshot.loss.total;
    assert_eq!(total.seen - total.lost, recorded);
    // Whatever a connection is, it may be one exchange; all others are requests.
    assert!(exchanges.len() as u64 <= connections + recorded / SHORTEST_REQUEST);
});

impl Talk {
    fn step(&mut self, step: &[u8]) {
        let Some((what, text)) = step.split_first() else { return };
        match what {
            b'C' => self.connection.lose(End::Client, text.len()),
            b'S' => self.connection.lose(End::Server, text.len()),
            b'a' => self.again(),
            b'f' => self.mark(End::Client, tcp_flag::FIN),
            b'F' => self.mark(End::Server, tcp_flag::FIN),
            b'r' => self.mark(End::Client, tcp_flag::RST),
            b'R' => self.mark(End::Server, tcp_flag::RST),
            b'h' => self.handshake(),
            b't' => self.wait(),
            b'i' => self.io(io::RECV, text),
            b'o' => self.io(io::SEND, text),
            what if what & 1 == 1 => self.send(End::Client, text),
            _ => self.send(End::Server, text),
        }
    }

    fn send(&mut self, end: End, text: &[u8]) {
        for record in self.connection.send(end, text) {
            self.watched.record(&record);
            self.last = record;
        }
    }

    /// The same record once more.
    fn again(&mut self) {
        let payload = self.last.len().saturating_sub(size_of::<weft_abi::Segment>());
        self.connection.recorded += payload as u64;
        self.watched.record(&self.last);
    }

    fn mark(&mut self, end: End, flags: u8) {
        let record = self.connection.mark(end, flags);
        self.watched.record(&record);
    }

    fn handshake(&mut self) {
        self.connections += 1;
        self.connection.handshake().iter().for_each(|record| self.watched.record(record));
    }

    fn io(&mut self, kind: u8, text: &[u8]) {
        let record = self.connection.io(kind, text.len() as u32);
        self.watched.record(&record);
    }

    fn wait(&mut self) {
        if let Some(time) = self.watched.wait() {
            self.connection.wait_until(time.0);
        }
    }
}
