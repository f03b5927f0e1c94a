//! Programs and pipeline together: each segment passes on two connections. Of one the pipeline says what it wants, as it does to
//! the agent; of the other everything is captured. Both must be the same, however segments are cut, lost and sent again, and
//! however late the pipeline is.

use std::sync::Arc;

use weft_abi::{Header, KIND_CHUNK_RUN, KIND_FRAME_RUN, KIND_UPDATE_RUN};
use weft_core::{AttributedExchange, Config, Correlator, Input, Sink};
use weft_loader::GatheredRun;

use super::*;
use crate::packet::{ACK, SYN};

/// The port of the connection of which everything is captured; the other one's is the packets'.
const CAPTURED: u16 = 40_001;
const SEQS: [u32; 2] = [0xffff_f000, 7_000_000];
/// No packet of the kernel's test run is larger on the older kernels.
const LONGEST: usize = 3000;
/// Bytes of a body: more than twice of what the pipeline has to see before it leaves any out.
const LARGE: usize = 250_000;

/// Numbers without pattern (xorshift), the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// What both ends say, in turns: whether it is the server's turn, and its bytes.
type Talk = Vec<(bool, Vec<u8>)>;

/// The agent, but for the connection of which it must not know.
struct Agent {
    flows: Flows,
    correlator: Correlator,
    out: Out,
    /// Records by what they are of: the connections with wants and without, and runs of framing.
    records: [u64; 2],
    framed: u64,
}

#[derive(Default)]
struct Out {
    exchanges: Vec<AttributedExchange>,
    wants: Vec<(FlowKey, Option<FlowWant>)>,
}

impl Sink for Out {
    fn exchange(&mut self, exchange: &AttributedExchange) {
        self.exchanges.push(exchange.clone());
    }

    fn want(&mut self, flow: FlowKey, want: Option<FlowWant>) {
        self.wants.push((flow, want));
    }
}

fn is_captured(flow: &FlowKey) -> bool {
    [flow.tuple.source_port, flow.tuple.destination_port].contains(&CAPTURED)
}

impl Agent {
    fn new(programs: &Programs) -> Result<Self> {
        let (flows, _) = Flows::take_over(&programs.pins)?;
        let correlator = Correlator::new(Arc::new(Config::default()));
        Ok(Self { flows, correlator, out: Out::default(), records: [0; 2], framed: 0 })
    }

    fn drain(&mut self, programs: &mut Programs) {
        let mut records = Vec::new();
        programs.drain(|record| records.push(record.to_vec()));
        records.iter().for_each(|record| self.handle(record));
    }

    fn take_gathered(&mut self) {
        self.flows.gathered().iter().for_each(|run| self.handle(run.as_bytes()));
    }

    fn handle(&mut self, record: &[u8]) {
        let ports = size_of::<Header>() + 32;
        let captured = record
            .get(ports..ports + 4)
            .is_some_and(|ports| ports.chunks(2).any(|port| port == CAPTURED.to_ne_bytes()));
        self.records[usize::from(captured)] += 1;
        self.framed += u64::from(matches!(record[0], KIND_FRAME_RUN | KIND_UPDATE_RUN | KIND_CHUNK_RUN));
        self.correlator.handle(Input::Probe(record), &mut self.out);
        let wants = std::mem::take(&mut self.out.wants);
        let mut gathered: Vec<GatheredRun> = Vec::new();
        for (flow, want) in wants.into_iter().filter(|(flow, _)| !is_captured(flow)) {
            gathered.extend(self.flows.set(flow, want));
        }
        gathered.iter().rev().for_each(|run| self.handle(run.as_bytes()));
    }

    /// Everything that is said of a connection's exchanges but when, where, and by whom.
    fn told(&self, captured: bool) -> Vec<String> {
        let ours = |exchange: &&AttributedExchange| {
            let flow = &exchange.joined.exchange.flow;
            [flow.local.port, flow.peer.port].contains(&CAPTURED) == captured
        };
        self.out.exchanges.iter().filter(ours).map(word).collect()
    }
}

fn word(exchange: &AttributedExchange) -> String {
    let exchange = &exchange.joined.exchange;
    let size = |span: weft_core::MessageSpan| format!("{}/{}", span.bytes, span.body_bytes);
    format!(
        "{} {} {:?} {} {:?} {} {:?}",
        exchange.method,
        exchange.path,
        exchange.status,
        size(exchange.request),
        exchange.response.map(size),
        exchange.complete,
        exchange.anomalies
    )
}

/// How a talk becomes segments.
struct Wire<'a> {
    programs: &'a mut Programs,
    agent: Agent,
    numbers: Numbers,
    seqs: [u32; 2],
    /// The pipeline looks at the ring each time that so many segments passed, and takes runs each time that so many did.
    late: usize,
    passed: usize,
    trouble: bool,
}

impl Wire<'_> {
    fn pass(&mut self, tcp: Tcp, payload: &[u8], reply: bool) -> Result<()> {
        let program = if reply { "tc_egress" } else { "tc_ingress" };
        let mut packet = tcp.carrying(payload, reply);
        self.programs.run(program, &packet, 1)?;
        let port = 14 + 20 + if reply { 2 } else { 0 };
        packet[port..port + 2].copy_from_slice(&CAPTURED.to_be_bytes());
        self.programs.run(program, &packet, 1)?;
        self.passed += 1;
        if self.passed.is_multiple_of(self.late) {
            self.agent.drain(self.programs);
        }
        if self.passed.is_multiple_of(7 * self.late) {
            self.agent.drain(self.programs);
            self.agent.take_gathered();
        }
        Ok(())
    }

    fn handshake(&mut self) -> Result<()> {
        let [there, back] = self.seqs;
        let syn = Tcp { ack: 0, ..Tcp::new(there.wrapping_sub(1), 0) };
        self.pass(syn.flags(SYN), &[], false)?;
        let answer = Tcp { ack: there, ..Tcp::new(back.wrapping_sub(1), 0) };
        self.pass(answer.flags(SYN | ACK), &[], true)
    }

    fn say(&mut self, reply: bool, bytes: &[u8]) -> Result<()> {
        let longest =
            if self.numbers.one_in(30) { 7 } else { [100, 700, 1448, LONGEST][self.numbers.below(4)] };
        let mut rest = bytes;
        while !rest.is_empty() {
            let len = (1 + self.numbers.below(longest)).min(rest.len());
            let (part, behind) = rest.split_at(len);
            let seq = self.seqs[usize::from(reply)];
            let tcp = Tcp { ack: self.seqs[usize::from(!reply)], ..Tcp::new(seq, 0) };
            // Lost behind the device, or before it: then something that came later passes first.
            if self.trouble && self.numbers.one_in(40) {
                self.pass(tcp, part, reply)?;
            } else if self.trouble && self.numbers.one_in(40) && behind.len() > 10 {
                let later = Tcp { seq: seq.wrapping_add(len as u32), ..tcp };
                self.pass(later, &behind[..behind.len().min(longest)], reply)?;
            }
            self.pass(tcp, part, reply)?;
            self.seqs[usize::from(reply)] = seq.wrapping_add(len as u32);
            rest = behind;
        }
        Ok(())
    }
}

/// Passes talks; gives how many records there were of each of the two connections, and how many runs of framing.
fn agree(programs: &mut Programs, seed: u64, late: usize, talk: &Talk) -> Result<([u64; 2], u64)> {
    let agent = Agent::new(programs)?;
    let numbers = Numbers(seed * 7919 + 1);
    let trouble = seed.is_multiple_of(3);
    let mut wire = Wire { programs, agent, numbers, seqs: SEQS, late, passed: 0, trouble };
    wire.handshake()?;
    talk.iter().try_for_each(|(reply, bytes)| wire.say(*reply, bytes))?;
    let Wire { programs, mut agent, .. } = wire;
    agent.drain(programs);
    agent.take_gathered();
    agent.correlator.finish(&mut agent.out);
    let (ours, captured) = (agent.told(false), agent.told(true));
    ensure!(ours == captured, "seed {seed}, {late} segments late:\n{ours:#?}\n{captured:#?}");
    ensure!(captured.len() >= 2, "seed {seed}: {captured:?}");
    Ok((agent.records, agent.framed))
}

fn http1(numbers: &mut Numbers) -> Talk {
    let extension = ["", ";x", "; a=\"0123456789012345678901234567890123456789\""][numbers.below(3)];
    let body: Vec<u8> =
        [&b"xyz"[..], b"abc\r\n", b"1f\r\n", b"0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"][numbers.below(4)].to_vec();
    let most = [900, 5000, 40_000][numbers.below(3)];
    let mut chunks = Vec::new();
    while chunks.len() < LARGE {
        let length = if numbers.one_in(12) { 1 + numbers.below(80) } else { 1 + numbers.below(most) };
        chunks.extend(format!("{length:x}{extension}\r\n").bytes());
        chunks.extend(body.iter().cycle().take(length));
        chunks.extend(b"\r\n");
    }
    let end: &[u8] = if numbers.one_in(2) { b"0\r\n\r\n" } else { b"0;end\r\nX-Sum: 12\r\n\r\n" };
    let head = "Transfer-Encoding: chunked\r\n\r\n";
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec();
    let (first, second) = if numbers.one_in(2) {
        ((false, format!("POST /up HTTP/1.1\r\nHost: a\r\n{head}")), true)
    } else {
        ((true, format!("HTTP/1.1 200 OK\r\n{head}")), false)
    };
    let large = [first.1.into_bytes(), chunks, end.to_vec()].concat();
    let next = (false, b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n".to_vec());
    let mut talk = if second {
        vec![(false, large), (true, answer.clone())]
    } else {
        vec![(false, b"GET /down HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()), (true, large)]
    };
    talk.extend([next, (true, answer)]);
    talk
}

/// Static fields of HPACK (RFC 7541, appendix A): GET or POST, http, /, and an authority; status 200.
fn request(stream: u32, flags: u8, upload: bool) -> Vec<u8> {
    let block = [if upload { 0x83 } else { 0x82 }, 0x86, 0x84, 0x41, 1, b'a'];
    [header(6, 1, flags, stream), block.to_vec()].concat()
}

fn response(stream: u32, flags: u8) -> Vec<u8> {
    [header(1, 1, flags, stream), vec![0x88]].concat()
}

fn window_update(stream: u32, by: usize) -> Vec<u8> {
    [header(4, 8, 0, stream), (by as u32).to_be_bytes().to_vec()].concat()
}

/// A large body, with other streams' frames between its own, and windows that are opened again now and then.
fn http2(numbers: &mut Numbers) -> Talk {
    const END_HEADERS: u8 = 4;
    const END: u8 = 1;
    let upload = numbers.one_in(2);
    let hello =
        [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(0, 4, 0, 0), window_update(0, 1 << 20)].concat();
    let ends = if upload { END_HEADERS } else { END_HEADERS | END };
    let mut talk = vec![(false, [hello, request(STREAM, ends, upload)].concat()), (true, frame(0, 4, 0, 0))];
    if !upload {
        talk.push((true, response(STREAM, END_HEADERS)));
    }
    let most = [600, 2000, 16_384][numbers.below(3)];
    let mut other = STREAM;
    let (mut sent, mut said) = (0, Vec::new());
    while sent < LARGE as u32 {
        let length = numbers.below(most) as u32 + u32::from(!numbers.one_in(30));
        said.extend(data(length));
        sent += length;
        match numbers.below(60) {
            0 => said.extend(frame(8, 6, 0, 0)),
            1 => said.extend([frame(30, 0, 8, STREAM)].concat()),
            2 => {
                other += 2;
                talk.push((!upload, std::mem::take(&mut said)));
                talk.push((false, request(other, END_HEADERS | END, false)));
                talk.push((true, [response(other, END_HEADERS), frame(700, 0, END, other)].concat()));
            }
            3..8 => {
                talk.push((!upload, std::mem::take(&mut said)));
                let opened =
                    [window_update(0, 20_000 + sent as usize % 900), window_update(STREAM, 30_000)].concat();
                talk.push((upload, opened));
            }
            _ => {}
        }
    }
    said.extend(frame(5, 0, END, STREAM));
    talk.push((!upload, said));
    if upload {
        talk.push((true, response(STREAM, END_HEADERS | END)));
    }
    talk.push((false, request(other + 2, END_HEADERS | END, false)));
    talk.push((true, response(other + 2, END_HEADERS | END)));
    talk
}

fn all_agree(name: &str, talk: fn(&mut Numbers) -> Talk) -> Result<()> {
    let mut programs = Programs::load(name)?;
    let (mut records, mut framed) = ([0, 0], 0);
    for seed in 0..9 {
        let late = [1, 3, 17][seed as usize % 3];
        let talk = talk(&mut Numbers(seed * 104_729 + 1));
        let (these, runs) = agree(&mut programs, seed, late, &talk)?;
        records = [records[0] + these[0], records[1] + these[1]];
        framed += runs;
    }
    eprintln!("{} records, {framed} of them runs of framing, instead of {}", records[0], records[1]);
    ensure!(framed > 100 && records[0] < records[1], "{records:?}, {framed} runs");
    Ok(())
}

#[test]
fn chunks_are_as_if_all_was_captured() -> Result<()> {
    all_agree("agree-chunks", http1)
}

#[test]
fn frames_are_as_if_all_was_captured() -> Result<()> {
    all_agree("agree-frames", http2)
}
