//! One HTTP/2 connection, from its preface or joined midway: frames of any content, both ways. The script is a list of
//! frames, each `step, type, flags, stream, length, payload`; some steps are other things that happen to a connection.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weft_abi::tcp_flag;
use weft_fuzz::{Connection, End, Script, Watched, check_times};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The shortest block that is a request, with its frame's header.
const SHORTEST_REQUEST: u64 = 10;

struct Talk {
    connection: Connection,
    watched: Watched,
    /// Bytes of an end that wait to be a segment.
    segment: Option<(End, Vec<u8>)>,
}

fuzz_target!(|bytes: &[u8]| {
    let mut script = Script::new(bytes);
    let first = script.byte();
    let pod = if first & 1 == 0 { End::Server } else { End::Client };
    let watched = if first & 2 == 0 { Watched::roomy() } else { Watched::tight() };
    let mut talk = Talk { connection: Connection::new(pod, 40_000), watched, segment: None };
    if first & 4 == 0 {
        talk.connection.handshake().iter().for_each(|record| talk.watched.record(record));
        talk.queue(End::Client, PREFACE);
    }
    while !script.is_done() {
        talk.step(&mut script);
    }
    talk.flush();
    let recorded = talk.connection.recorded;
    let (snapshot, exchanges) = talk.watched.finish();
    check_times(&exchanges);
    let total = snapshot.loss.total;
    assert_eq!(total.seen - total.lost, recorded);
    assert!(exchanges.len() as u64 <= 2 + recorded / SHORTEST_REQUEST);
});

impl Talk {
    fn step(&mut self, script: &mut Script<'_>) {
        let what = script.byte();
        let end = if what & 1 == 0 { End::Client } else { End::Server };
        match what >> 4 {
            0 => self.lose(end, usize::from(script.short())),
            1 => self.queue(end, script.bytes(usize::from(what & 0x0e))),
            2 => self.mark(end, tcp_flag::FIN),
            3 => self.mark(end, tcp_flag::RST),
            4 => self.wait(),
            // A frame whose length is a lie.
            5 => {
                let announced = u32::from(script.short());
                self.frame(end, script, Some(announced));
            }
            _ => self.frame(end, script, None),
        }
        if what & 2 != 0 {
            self.flush();
        }
    }

    fn frame(&mut self, end: End, script: &mut Script<'_>, announced: Option<u32>) {
        let (kind, flags, stream) = (script.byte(), script.byte(), script.byte());
        let len = usize::from(script.byte());
        let payload = script.bytes(len);
        let [_, high, middle, low] = announced.unwrap_or(payload.len() as u32).to_be_bytes();
        // Most types that there are, and now and then one that is none.
        let kind = if kind < 0xf0 { kind % 10 } else { kind };
        let header = [high, middle, low, kind, flags, 0, 0, 0, stream];
        self.queue(end, &header);
        self.queue(end, payload);
    }

    /// Bytes of one end are one segment, until the other speaks or a step says so.
    fn queue(&mut self, end: End, bytes: &[u8]) {
        if self.segment.as_ref().is_some_and(|(sender, _)| *sender != end) {
            self.flush();
        }
        self.segment.get_or_insert_with(|| (end, Vec::new())).1.extend_from_slice(bytes);
    }

    fn flush(&mut self) {
        let Some((end, bytes)) = self.segment.take() else { return };
        self.connection.send(end, &bytes).iter().for_each(|record| self.watched.record(record));
    }

    fn lose(&mut self, end: End, len: usize) {
        self.flush();
        self.connection.lose(end, len % 4096);
    }

    fn mark(&mut self, end: End, flags: u8) {
        self.flush();
        let record = self.connection.mark(end, flags);
        self.watched.record(&record);
    }

    fn wait(&mut self) {
        self.flush();
        if let Some(time) = self.watched.wait() {
            self.connection.wait_until(time.0);
        }
    }
}
