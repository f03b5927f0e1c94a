//! The programs of the kernel as a model: what they record of segments when they are told what is wanted. It does what
//! `tc-probes/ebpf` and the loader do, so that user space can be tested against it with any delay.
mod chunks;
mod frames;

use std::collections::{HashMap, VecDeque};

use weft_abi::{
    Border, FlowKey, FlowWant, FramedRun, FramingPlace, FramingVerdict, FramingWant, Header, KIND_BORDER,
    KIND_CHUNK_RUN, KIND_FRAME_RUN, KIND_RUN, KIND_UPDATE_RUN, NO_LIMIT, Run, Segment, WANT_CHUNKS,
    WANT_FRAMES, WANT_FROM, WANT_NONE, WANT_UPDATES, tcp_flag,
};
use zerocopy::{FromBytes as _, IntoBytes as _};

use super::Bench;
use crate::Config;

/// As in `weft_abi::knowledge`; where nothing is known, there is no [`Framing`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Known {
    Told,
    #[default]
    Begun,
    Right,
}

/// Where in its framing a flow is.
#[derive(Clone, Debug, Default)]
struct Framing {
    anchor: u32,
    known: Known,
    /// By what windows were used up, or opened, since then: the connection's and the stream's.
    sums: [i64; 2],
    left: u32,
    length: u32,
    /// Of the frame that is coming: DATA, of the stream, not wanted.
    class: (bool, bool, bool),
    /// Bytes of a header, or of a line with a chunk's size and what is before it; with `line`, there is one.
    partial: Vec<u8>,
    line: bool,
}

/// What was found in a segment.
struct Read {
    /// So many bytes at its beginning are not wanted.
    joins: usize,
    /// The flow there, and at the segment's end; nothing where the place is lost.
    joined: Framing,
    counts: [u32; 2],
    end: Option<Framing>,
}

#[derive(Default)]
struct Slot {
    want: (u32, u32),
    stream_id: u32,
    limits: [i32; 2],
    max_frame: u32,
    next: Option<u32>,
    /// A segment passed, so that what comes behind it is no copy.
    seen: bool,
    framing: Option<Framing>,
    run: Option<Gathered>,
}

struct Gathered {
    run: Run,
    counts: [u32; 2],
}

/// All programs' flows.
#[derive(Default)]
pub(super) struct Program {
    slots: HashMap<FlowKey, Slot>,
    /// What they wrote in all.
    pub(super) written: u64,
}

impl Program {
    /// Another want, as the loader passes it on; gives what was gathered.
    pub(super) fn want(&mut self, key: FlowKey, want: Option<FlowWant>) -> Option<Vec<u8>> {
        let Some(want) = want else { return self.slots.remove(&key)?.flush(0) };
        let framed = |kind| kind >= WANT_FRAMES;
        let before = self.slots.get(&key).map(|slot| slot.want.0);
        if before.is_none_or(|kind| kind != want.kind && framed(kind.max(want.kind))) {
            let gathered = self.slots.remove(&key).and_then(|mut slot| slot.flush(0));
            self.slots.insert(key, Slot::new(want));
            return gathered;
        }
        if let Some(slot) = self.slots.get_mut(&key) {
            slot.tell(want);
        }
        None
    }

    /// A segment of which everything was captured passes: what the programs write.
    pub(super) fn pass(&mut self, record: &[u8]) -> Vec<Vec<u8>> {
        let (segment, payload) = match Segment::read_from_prefix(record) {
            Ok((segment, payload)) if record[0] == weft_abi::KIND_SEGMENT => (segment, payload),
            _ => return vec![record.to_vec()],
        };
        let key =
            FlowKey { netns: segment.header.netns, tuple: segment.tuple, ifindex: segment.header.ifindex };
        let windows = self.windows(&key);
        let Some(slot) = self.slots.get_mut(&key) else { return vec![record.to_vec()] };
        let written = match slot.want.0 {
            WANT_FROM | WANT_NONE => slot.plain(&segment, payload, record),
            _ => slot.framed(&segment, payload, record, windows),
        };
        self.written += written.len() as u64;
        written
    }

    /// What user space takes now and then.
    pub(super) fn gathered(&mut self) -> Vec<Vec<u8>> {
        let mut keys: Vec<_> = self.slots.keys().copied().collect();
        keys.sort_by_key(|key| key.tuple.source_port);
        keys.iter().filter_map(|key| self.slots.get_mut(key)?.flush(0)).collect()
    }

    /// The limits of a flow's windows and what the other direction adds to them, as far as that is known.
    fn windows(&self, key: &FlowKey) -> Option<([i32; 2], [i64; 2])> {
        let slot = self.slots.get(key)?;
        if slot.want.0 == WANT_CHUNKS || slot.want.0 == WANT_FRAMES && slot.limits == [NO_LIMIT; 2] {
            return Some(([NO_LIMIT; 2], [0; 2]));
        }
        let mut reverse = *key;
        (reverse.tuple.source, reverse.tuple.destination) = (key.tuple.destination, key.tuple.source);
        (reverse.tuple.source_port, reverse.tuple.destination_port) =
            (key.tuple.destination_port, key.tuple.source_port);
        let peer = self.slots.get(&reverse)?;
        let other = if slot.want.0 == WANT_FRAMES { WANT_UPDATES } else { WANT_FRAMES };
        let limits = if slot.want.0 == WANT_FRAMES { slot.limits } else { peer.limits };
        let told = peer.framing.as_ref().is_some_and(|framing| framing.known == Known::Told);
        let is_known = peer.is_right() || slot.want.0 == WANT_FRAMES && told;
        (is_known && peer.want.0 == other).then(|| (limits, peer.framing.clone().unwrap_or_default().sums))
    }
}

impl Slot {
    fn new(want: FlowWant) -> Self {
        let mut slot = Self { want: (want.kind, want.argument), ..Self::default() };
        let Some(FramingWant { stream_id, limits, max_frame, place, .. }) = want.framing else { return slot };
        (slot.stream_id, slot.limits, slot.max_frame) = (stream_id, limits, max_frame);
        if let Some(place) = place {
            slot.next = Some(place.seq);
            slot.framing = Some(Framing::told(want, place));
        }
        slot
    }

    fn is_right(&self) -> bool {
        self.framing.as_ref().is_some_and(|framing| framing.known == Known::Right)
    }

    fn tell(&mut self, want: FlowWant) {
        if let Some(framing) = want.framing {
            (self.stream_id, self.limits) = (framing.stream_id, framing.limits);
            self.max_frame = framing.max_frame;
            self.judge(framing.verdict);
            if let (Some(place), Some(next), None) = (framing.place, self.next, &self.framing)
                && self.seen
                && want.kind == WANT_CHUNKS
            {
                let ahead = place.seq.wrapping_add(place.left).wrapping_sub(next) as i32;
                let guessed = match (ahead, place.left > 0, place.period) {
                    (1.., ..) | (0, false, _) => Some(ahead as u32),
                    (_, true, 1..) => Some(place.period - ahead.unsigned_abs() % place.period),
                    _ => None,
                };
                if let Some(left) = guessed {
                    let place = FramingPlace { seq: next, left, ..place };
                    self.framing = Some(Framing::told(want, place));
                }
            }
        }
        self.want = (want.kind, want.argument);
    }

    fn judge(&mut self, verdict: Option<FramingVerdict>) {
        let (Some(verdict), Some(framing)) = (verdict, &mut self.framing) else { return };
        if verdict.seq == framing.anchor && framing.known == Known::Begun {
            framing.known = Known::Right;
            self.framing.take_if(|_| !verdict.right);
        }
    }

    fn flush(&mut self, windows: u8) -> Option<Vec<u8>> {
        let Gathered { run, counts } = self.run.take()?;
        if run.header.kind == KIND_RUN {
            return Some(run.as_bytes().to_vec());
        }
        let framing = self.framing.as_ref().expect("a run whose framing is not known");
        let chunks = run.header.kind == KIND_CHUNK_RUN;
        let (partial, have, length) = if chunks { framing.phase() } else { framing.header() };
        let framed = FramedRun {
            run,
            partial,
            counts,
            stream_id: self.stream_id,
            length,
            left: framing.left,
            have,
            windows,
            pad: 0,
        };
        Some(framed.as_bytes().to_vec())
    }

    fn plain(&mut self, segment: &Segment, payload: &[u8], record: &[u8]) -> Vec<Vec<u8>> {
        let len = payload.len() as u32;
        let ahead = match self.want.0 {
            WANT_NONE => u32::MAX,
            _ => (self.want.1.wrapping_sub(segment.seq) as i32).max(0) as u32,
        };
        if is_plain(segment) && self.follows(segment) && len < ahead {
            self.join(segment, len, KIND_RUN);
            return Vec::new();
        }
        let mut written: Vec<_> = self.flush(0).into_iter().collect();
        self.follow(segment);
        written.push(part(segment, &record[size_of::<Segment>()..], 0, ahead.min(len) as usize, 0));
        written
    }

    fn framed(
        &mut self,
        segment: &Segment,
        payload: &[u8],
        record: &[u8],
        windows: Option<([i32; 2], [i64; 2])>,
    ) -> Vec<Vec<u8>> {
        let may_join = windows.is_some() && is_plain(segment) && self.is_right() && self.follows(segment);
        let mut written: Vec<_> = if may_join { None } else { self.flush(0) }.into_iter().collect();
        let begun = self.begin(segment, payload);
        let before = self.framing.clone().unwrap_or_default();
        let at = self.next.map_or(0, |next| next.wrapping_sub(segment.seq) as i32).max(0) as usize;
        let at = begun.unwrap_or(at.min(payload.len()));
        let read = self.framing.as_ref().map(|framing| self.read(framing.clone(), payload, at));
        let end = read.as_ref().and_then(|read| read.end.clone());
        if let (Some(_), Some(framing)) = (begun, &end) {
            written.push(border(segment, framing.anchor, self.next_with(segment)));
        }
        let joins = read.as_ref().filter(|_| may_join).map_or(0, |read| read.joins);
        let mut changed = 0;
        if let (Some(read), true) = (&read, joins > 0) {
            self.join(segment, joins as u32, self.run_kind());
            let counts = &mut self.run.as_mut().expect("joined").counts;
            (counts[0], counts[1]) = (counts[0] + read.counts[0], counts[1] + read.counts[1]);
            changed = self.changed(windows.expect("known"), before.sums, read.joined.sums);
            self.framing = Some(read.joined.clone());
        }
        if joins < payload.len() || payload.is_empty() || changed != 0 {
            written.extend(self.flush(changed));
        }
        if joins == payload.len() && joins > 0 {
            return written;
        }
        self.framing = end;
        self.follow(segment);
        written.push(part(segment, &record[size_of::<Segment>()..], joins, 0, u8::from(joins > 0)));
        written
    }

    /// Finds out where in its framing the segment begins; gives the place where the flow's framing begins to be read.
    fn begin(&mut self, segment: &Segment, payload: &[u8]) -> Option<usize> {
        let ahead = self.next.map(|next| segment.seq.wrapping_sub(next) as i32);
        if let Some(framing) = &mut self.framing {
            let hole = ahead.unwrap_or(0).max(0) as u32;
            let hidden = hole == 0 || framing.is_in_payload() && framing.left > hole;
            if !hidden || ahead.is_none() {
                self.framing = None;
            } else {
                framing.left -= hole;
            }
        }
        let at = ahead.map_or(0, |ahead| -ahead).max(0) as usize;
        if let Some(framing) = &mut self.framing {
            let told = framing.known == Known::Told;
            framing.known = if told { Known::Begun } else { framing.known };
            return told.then_some(at.min(payload.len()));
        }
        if at >= payload.len() {
            return None;
        }
        let searched = &payload[at..payload.len().min(at + 512)];
        let place = match self.want.0 {
            WANT_FRAMES => frames::find(searched, self.stream_id)?,
            WANT_CHUNKS => chunks::find(searched)?,
            _ => 0,
        };
        let anchor = segment.seq.wrapping_add((at + place) as u32);
        self.framing = Some(Framing { anchor, line: self.want.0 == WANT_CHUNKS, ..Framing::default() });
        if self.want.0 == WANT_CHUNKS {
            // Behind the end of a line.
            self.framing.as_mut()?.partial = b"\n".to_vec();
        }
        Some(at + place)
    }

    fn read(&self, framing: Framing, payload: &[u8], at: usize) -> Read {
        match self.want.0 {
            WANT_FRAMES => frames::read(framing, payload, at, (self.stream_id, self.max_frame)),
            WANT_CHUNKS => chunks::read(framing, payload, at),
            _ => frames::read_updates(framing, payload, at, (self.stream_id, self.max_frame)),
        }
    }

    fn run_kind(&self) -> u8 {
        match self.want.0 {
            WANT_FRAMES => KIND_FRAME_RUN,
            WANT_CHUNKS => KIND_CHUNK_RUN,
            _ => KIND_UPDATE_RUN,
        }
    }

    fn changed(&self, (limits, others): ([i32; 2], [i64; 2]), before: [i64; 2], after: [i64; 2]) -> u8 {
        let bit = |which: usize| {
            let limit = i64::from(limits[which]);
            let changed = match self.want.0 {
                WANT_CHUNKS => false,
                WANT_FRAMES => limit + others[which] - after[which] <= 0,
                _ => limit + before[which] - others[which] <= 0 && limit + after[which] - others[which] > 0,
            };
            u8::from(changed && limits[which] != NO_LIMIT) << which
        };
        bit(0) | bit(1)
    }

    fn follows(&self, segment: &Segment) -> bool {
        self.seen && self.next == Some(segment.seq)
    }

    fn next_with(&self, segment: &Segment) -> u32 {
        let end = segment.seq.wrapping_add(segment.payload_len);
        self.next.filter(|next| end.wrapping_sub(*next) as i32 <= 0).unwrap_or(end)
    }

    fn follow(&mut self, segment: &Segment) {
        let next = self.next_with(segment);
        if self.next != Some(next) {
            (self.next, self.seen) = (Some(next), true);
        }
    }

    fn join(&mut self, segment: &Segment, bytes: u32, kind: u8) {
        let run = Run {
            header: Header { kind, ..segment.header },
            tuple: segment.tuple,
            seq: segment.seq,
            len: 0,
            ack: 0,
            first_time: segment.header.time,
            cookie: 0,
            segments: 0,
            pad: [0; 5],
        };
        let run = &mut self.run.get_or_insert(Gathered { run, counts: [0; 2] }).run;
        run.len += bytes;
        run.segments += 1;
        run.ack = segment.ack;
        run.cookie = segment.cookie;
        run.header.time = run.header.time.max(segment.header.time);
        self.next = Some(segment.seq.wrapping_add(bytes));
    }
}

impl Framing {
    fn told(want: FlowWant, FramingPlace { seq, left, .. }: FramingPlace) -> Self {
        let chunks = want.kind == WANT_CHUNKS && left == 0;
        Self {
            anchor: seq.wrapping_add(left),
            known: Known::Told,
            left,
            class: if want.kind == WANT_FRAMES { (true, true, true) } else { (false, false, false) },
            partial: if chunks { b"\n".to_vec() } else { Vec::new() },
            line: chunks,
            ..Self::default()
        }
    }

    fn is_in_payload(&self) -> bool {
        self.partial.is_empty() && !self.line
    }

    /// The bytes of a frame's header.
    fn header(&self) -> (u64, u8, u32) {
        let mut bytes = [0; 8];
        bytes[..self.partial.len()].copy_from_slice(&self.partial);
        (u64::from_ne_bytes(bytes), self.partial.len() as u8, self.length)
    }
}

fn is_plain(segment: &Segment) -> bool {
    segment.payload_len > 0 && segment.tcp_flags & (tcp_flag::SYN | tcp_flag::FIN | tcp_flag::RST) == 0
}

/// The record of a segment behind so many bytes, of which `hole` more are not wanted.
fn part(segment: &Segment, payload: &[u8], from: usize, hole: usize, number: u8) -> Vec<u8> {
    let data = &payload[from + hole..];
    let rest = Segment {
        seq: segment.seq.wrapping_add(from as u32),
        payload_len: segment.payload_len - from as u32,
        capture_offset: if data.is_empty() { 0 } else { hole as u32 },
        captured: data.len() as u32,
        part: number,
        ..*segment
    };
    [rest.as_bytes(), data].concat()
}

fn border(segment: &Segment, seq: u32, next: u32) -> Vec<u8> {
    let header = Header { kind: KIND_BORDER, ..segment.header };
    Border { header, tuple: segment.tuple, seq, next, pad: 0 }.as_bytes().to_vec()
}

/// Programs and user space together: user space is always so many records late.
pub(super) struct Watched {
    pub(super) program: Program,
    pub(super) bench: Bench,
    pub(super) records: Vec<Vec<u8>>,
}

impl Watched {
    /// What comes of segments when user space is so many records late, and takes what is gathered each time that so many
    /// passed.
    pub(super) fn pass(segments: &[Vec<u8>], lag: usize, take: usize) -> Self {
        let bench = Bench::new(Config::default());
        let mut watched = Self { program: Program::default(), bench, records: Vec::new() };
        let mut ring = VecDeque::new();
        for (count, segment) in (1..).zip(segments) {
            ring.extend(watched.program.pass(segment));
            while ring.len() > lag {
                watched.handle(ring.pop_front().expect("not empty"));
            }
            if count % take == 0 {
                ring.drain(..).for_each(|record| watched.handle(record));
                watched.program.gathered().into_iter().for_each(|record| watched.handle(record));
            }
        }
        ring.into_iter().for_each(|record| watched.handle(record));
        watched.program.gathered().into_iter().for_each(|record| watched.handle(record));
        watched.bench.finish();
        watched
    }

    fn handle(&mut self, record: Vec<u8>) {
        self.bench.records([&record]);
        self.records.push(record);
        for (key, want) in std::mem::take(&mut self.bench.notes.wants) {
            if let Some(gathered) = self.program.want(key, want) {
                self.handle(gathered);
            }
        }
    }
}
