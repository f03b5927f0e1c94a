//! What the programs read of framing by themselves: frames of HTTP/2 and chunks, segment by segment.

mod agreement;
mod chunks;
mod frames;
mod windows;

use anyhow::{Result, ensure};
use weft_abi::{
    FlowKey, FlowWant, FramingPlace, FramingVerdict, FramingWant, NO_LIMIT, WANT_CHUNKS, WANT_FRAMES,
    WANT_UPDATES,
};
use weft_loader::{Flows, reverse};

use crate::load::Programs;
use crate::packet::Tcp;
use crate::runs::{flow, gathered_word, words};

/// The stream with the large body.
const STREAM: u32 = 1;
/// SETTINGS_MAX_FRAME_SIZE (RFC 9113, 6.5.2).
const MAX_FRAME: u32 = 16_384;

/// The programs, and one connection.
struct Bench {
    programs: Programs,
    flows: Flows,
    /// What is wanted of framing, but the place.
    framing: FramingWant,
}

impl Bench {
    fn new(name: &str) -> Result<Self> {
        let programs = Programs::load(name)?;
        let (flows, left) = Flows::take_over(&programs.pins)?;
        ensure!(left.is_empty());
        let framing = FramingWant {
            stream_id: STREAM,
            limits: [NO_LIMIT; 2],
            max_frame: MAX_FRAME,
            place: None,
            verdict: None,
        };
        Ok(Self { programs, flows, framing })
    }

    /// The connection's flow, or that of its other direction.
    fn key(&self, reply: bool) -> FlowKey {
        let there = flow(self.programs.cookie);
        if reply { reverse(&there) } else { there }
    }

    /// No framing of this kind.
    fn want(&mut self, kind: u32) -> Vec<String> {
        self.tell(kind, self.framing)
    }

    /// User space found right where the program began, or wrong.
    fn judge(&mut self, kind: u32, seq: u32, right: bool) {
        let verdict = Some(FramingVerdict { seq, right });
        assert_eq!(self.tell(kind, FramingWant { verdict, ..self.framing }), [""; 0]);
    }

    /// User space knows that so many bytes of a payload come behind `seq`.
    fn want_at(&mut self, kind: u32, seq: u32, left: u32) -> Vec<String> {
        self.want_every(kind, seq, left, 0)
    }

    /// The same, and that as many bytes are between the ends of any two units.
    fn want_every(&mut self, kind: u32, seq: u32, left: u32, period: u32) -> Vec<String> {
        let place = Some(FramingPlace { seq, left, period });
        self.tell(kind, FramingWant { place, ..self.framing })
    }

    fn tell(&mut self, kind: u32, framing: FramingWant) -> Vec<String> {
        let want = FlowWant { kind, argument: 0, framing: Some(framing) };
        self.set(kind == WANT_UPDATES, Some(want))
    }

    fn set(&mut self, reply: bool, want: Option<FlowWant>) -> Vec<String> {
        let key = self.key(reply);
        self.flows.set(key, want).iter().map(gathered_word).collect()
    }

    /// Passes one segment; gives what is in the ring.
    fn pass(&mut self, seq: u32, payload: &[u8]) -> Result<Vec<String>> {
        self.pass_as(Tcp::new(seq, 0), payload)
    }

    fn pass_as(&mut self, tcp: Tcp, payload: &[u8]) -> Result<Vec<String>> {
        self.programs.run("tc_ingress", &tcp.carrying(payload, false), 1)?;
        Ok(words(&self.programs.records()))
    }

    fn reply(&mut self, seq: u32, payload: &[u8]) -> Result<Vec<String>> {
        self.programs.run("tc_egress", &Tcp::new(seq, 0).carrying(payload, true), 1)?;
        Ok(words(&self.programs.records()))
    }

    /// Passes what lies one behind the other, in segments; gives what is in the ring, and where they end.
    fn pass_all<'a>(
        &mut self,
        mut seq: u32,
        payloads: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(Vec<String>, u32)> {
        let mut records = Vec::new();
        for payload in payloads {
            records.extend(self.pass(seq, payload)?);
            seq = seq.wrapping_add(payload.len() as u32);
        }
        Ok((records, seq))
    }

    /// A new slot of which the program reads the framing behind `first`, which is framing, and user space found it right.
    fn begin(&mut self, kind: u32, seq: u32, first: &[u8]) -> Result<u32> {
        self.set(false, None);
        self.want(kind);
        let records = self.pass(seq, first)?;
        let expected = [format!("border {seq}"), format!("{seq}+{}", first.len())];
        ensure!(records == expected, "{records:?}");
        self.judge(kind, seq, true);
        Ok(seq.wrapping_add(first.len() as u32))
    }

    fn gathered(&mut self) -> Vec<String> {
        self.flows.gathered().iter().map(gathered_word).collect()
    }
}

/// A frame of HTTP/2 (RFC 9113, 4.1) with a payload of so many bytes.
fn frame(length: u32, kind: u8, flags: u8, stream: u32) -> Vec<u8> {
    [header(length, kind, flags, stream), vec![b'x'; length as usize]].concat()
}

fn header(length: u32, kind: u8, flags: u8, stream: u32) -> Vec<u8> {
    [&length.to_be_bytes()[1..], &[kind, flags], &stream.to_be_bytes()].concat()
}

/// DATA of the stream without flags.
fn data(length: u32) -> Vec<u8> {
    frame(length, 0, 0, STREAM)
}

/// A chunk (RFC 9112, 7.1) with what stands behind its size, and the end of its line.
fn chunk(length: usize, extension: &str) -> Vec<u8> {
    [format!("{length:x}{extension}\r\n").into_bytes(), vec![b'x'; length], b"\r\n".to_vec()].concat()
}
