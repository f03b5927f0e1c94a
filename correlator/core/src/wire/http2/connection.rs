//! One connection: both directions' frames, from chunks of their streams.
use std::num::NonZeroU64;

use super::{
    super::{
        conversation::Link,
        direction::Direction,
        protocol::HTTP2_PREFACE,
        stream::{Chunk, Delivery},
        work::Work,
    },
    bulk::Bulk,
    frame::{FrameHeader, FrameType, HEADER, MAX_FRAME, flag},
    half::{At, Half},
    settings::Announced,
    stream::Role,
    streams::Streams,
    sync,
};
use crate::{Anomaly, Ktime};

/// What is said over one connection, as far as it is needed for what comes.
pub(in crate::wire) struct Connection {
    pub(super) halves: [Half; 2],
    pub(super) streams: Streams,
    /// Which direction the requests are in, once that is known.
    pub(super) requests: Option<Direction>,
    /// The highest stream that the client opened.
    pub(super) highest: u32,
    /// Why not everything that was said is known.
    pub(super) doubt: Option<Anomaly>,
    /// Everything was seen: settings and windows are known.
    pub(super) all_seen: bool,
    /// A header block was understood: the ends do speak HTTP/2.
    pub(super) confirmed: bool,
    /// What the two ends announced and the other did not acknowledge yet.
    pub(super) announced: [Option<Box<Announced>>; 2],
    /// Since when, in ns, some messages may have ended unseen.
    pub(super) unsure_since: Option<NonZeroU64>,
    /// The body that the kernel leaves out.
    pub(super) bulk: Option<Box<Bulk>>,
}

/// What is at hand while one direction's bytes are read.
pub(super) struct Cx<'c, 'w> {
    pub(super) link: &'c Link,
    pub(super) direction: Direction,
    pub(super) work: &'c mut Work<'w>,
}

impl Cx<'_, '_> {
    pub(super) fn decoded(&mut self, bytes: u64) {
        self.work.decoded(self.direction, bytes);
    }

    /// Something that no end may send; the frames go on.
    pub(super) fn violation(&mut self) {
        self.work.tally.count(Anomaly::ProtocolError);
    }
}

impl Connection {
    /// Seen from its beginning, with requests in this direction.
    pub(in crate::wire) fn new(requests: Direction) -> Self {
        let client = Half::new(At::Preface(HTTP2_PREFACE.len() as u8), true);
        Self::with_halves(requests, client, Half::new(At::Header, true))
    }

    /// Seen from the client's preface on; what the server said before is not known.
    pub(in crate::wire) fn from_preface(requests: Direction) -> Self {
        let client = Half::new(At::Preface(HTTP2_PREFACE.len() as u8), true);
        let mut connection = Self::with_halves(requests, client, Half::new(At::Lost, true));
        connection.all_seen = false;
        // Before the preface a server sends no header block, so that its table is known; the settings are not.
        for half in &mut connection.halves {
            half.first = false;
            half.decoder.set_limit(u32::MAX);
        }
        connection
    }

    /// Joined somewhere.
    pub(in crate::wire) fn joined() -> Self {
        Self {
            halves: [Half::new(At::Lost, false), Half::new(At::Lost, false)],
            streams: Streams::default(),
            requests: None,
            highest: 0,
            doubt: Some(Anomaly::JoinedMidway),
            all_seen: false,
            confirmed: false,
            announced: Default::default(),
            unsure_since: None,
            bulk: None,
        }
    }

    pub(super) fn with_halves(requests: Direction, client: Half, server: Half) -> Self {
        let halves = match requests {
            Direction::FromPod => [client, server],
            Direction::ToPod => [server, client],
        };
        let requests = Some(requests);
        Self { halves, requests, doubt: None, all_seen: true, ..Self::joined() }
    }

    pub(super) fn half(&mut self, direction: Direction) -> &mut Half {
        direction.of_mut(&mut self.halves)
    }

    /// Of which message this direction's frames are.
    pub(super) fn role(&self, direction: Direction) -> Option<Role> {
        let of = |requests| if requests == direction { Role::Request } else { Role::Response };
        self.requests.map(of)
    }

    /// What a direction's stream gave.
    pub(in crate::wire) fn deliver(
        &mut self,
        link: &Link,
        direction: Direction,
        delivery: Delivery<'_>,
        work: &mut Work<'_>,
    ) {
        let cx = &mut Cx { link, direction, work };
        match delivery {
            Delivery::Chunk(chunk) => {
                self.in_parts(cx, chunk);
                self.follow_bulk(cx, chunk.end());
            }
            Delivery::Gap(offset, len) => {
                self.gap(cx, offset, len);
                self.follow_bulk(cx, offset + len);
            }
            Delivery::Again(start, end, _) => self.again(cx, start, end),
            Delivery::End => self.end(cx),
        }
        if self.streams.len() == 0 {
            self.halves.iter_mut().for_each(|half| half.initial_window.forget_changes());
        }
    }

    /// A chunk, in two parts where a program believes that a frame begins within it.
    fn in_parts(&mut self, cx: &mut Cx<'_, '_>, mut chunk: Chunk<'_>) {
        if let Some(border) = self.border_in(cx.direction, &chunk) {
            let before = chunk.take(border.saturating_sub(chunk.offset));
            if before.len > 0 {
                self.chunk(cx, before);
            }
            self.judge(cx, border, chunk.offset);
        }
        self.chunk(cx, chunk);
    }

    /// From which stream offset on a socket I/O of a direction may tell something about an exchange that is not over.
    pub(in crate::wire) fn needed_from(&mut self, direction: Direction) -> Option<u64> {
        let end = self.streams.first_end(self.role(direction)?)?;
        Some(end.saturating_sub(1))
    }

    pub(in crate::wire) fn open_streams(&self) -> usize {
        self.streams.len()
    }

    /// How often it looked at a stream among all others.
    #[cfg(test)]
    pub(in crate::wire) fn visits(&self) -> u64 {
        self.streams.visits()
    }

    /// How many buffers it has on the heap beside its header tables.
    #[cfg(test)]
    pub(in crate::wire) fn buffers(&self) -> usize {
        let blocks = self.halves.iter().filter(|half| half.block.is_some()).count();
        let announced = self.announced.iter().filter(|announced| announced.is_some()).count();
        blocks + announced + usize::from(self.streams.holds())
    }

    /// What looked like HTTP/2 is none: no header block was ever understood, and frames are none.
    pub(in crate::wire) fn is_refuted(&self) -> bool {
        self.is_guessed() && self.halves.iter().any(|half| half.at == At::Lost && half.seen)
    }

    /// The longest payload that a direction's frames may have, as far as it is known what was agreed on.
    pub(super) fn max_frame(&self, direction: Direction) -> u32 {
        let known = self.all_seen || self.is_guessed();
        if known { direction.of(&self.halves).max_frame } else { MAX_FRAME }
    }

    /// Nothing but the look of some frames says that this is HTTP/2.
    fn is_guessed(&self) -> bool {
        !self.confirmed && self.doubt == Some(Anomaly::JoinedMidway)
    }

    fn chunk(&mut self, cx: &mut Cx<'_, '_>, mut chunk: Chunk<'_>) {
        self.forget_unsure(cx, chunk.time);
        self.take_stretch(cx, &mut chunk);
        // What breaks off where it was found in the same chunk is looked for in the next one.
        let mut searched = false;
        while chunk.len > 0 {
            match self.half(cx.direction).at {
                At::Preface(left) => self.preface(cx, left, &mut chunk),
                At::Header => self.header(cx, &mut chunk),
                At::Payload(frame, left) => self.payload(cx, frame, left, &mut chunk),
                At::Lost if !std::mem::replace(&mut searched, true) => self.resume(cx, &mut chunk),
                At::Lost | At::Opaque => {
                    cx.work.opaque(cx.direction, chunk.len);
                    chunk.advance(chunk.len);
                }
            }
        }
    }

    fn preface(&mut self, cx: &mut Cx<'_, '_>, left: u8, chunk: &mut Chunk<'_>) {
        let part = chunk.front();
        let at = HTTP2_PREFACE.len() - usize::from(left);
        let expected = HTTP2_PREFACE.get(at..).unwrap_or_default();
        let used = expected.len().min(part.len());
        if used == 0 || part.get(..used) != expected.get(..used) {
            return self.lose(cx, Anomaly::ProtocolError, chunk.time);
        }
        cx.decoded(used as u64);
        cx.work.safe(cx.direction, chunk.offset, expected.get(..used).unwrap_or_default());
        chunk.advance(used as u64);
        let left = left - used as u8;
        self.half(cx.direction).at = if left == 0 { At::Header } else { At::Preface(left) };
    }

    fn header(&mut self, cx: &mut Cx<'_, '_>, chunk: &mut Chunk<'_>) {
        let half = self.half(cx.direction);
        if half.piece.is_empty() {
            half.begin_frame(chunk);
        }
        half.odd |= chunk.odd;
        let (used, whole) = half.piece.fill(HEADER, chunk.front());
        if used == 0 {
            return self.lose(cx, Anomaly::Gap, chunk.time);
        }
        cx.decoded(used as u64);
        chunk.advance(used as u64);
        if whole {
            let (bytes, at) = (half.piece.take(), half.start.offset);
            let accepted = self.open_frame(cx, FrameHeader::parse(bytes), chunk);
            cx.work.safe(cx.direction, at, &if accepted { shown(bytes) } else { [0xff; HEADER] });
        }
    }

    /// A frame's header is complete; the chunk begins behind it. Says whether it is one.
    fn open_frame(&mut self, cx: &mut Cx<'_, '_>, mut frame: FrameHeader, chunk: &Chunk<'_>) -> bool {
        let (guessed, max_frame) = (self.is_guessed(), self.max_frame(cx.direction));
        let half = self.half(cx.direction);
        let settings_first = frame.kind == FrameType::Settings && !frame.has(flag::ACK);
        let unlikely = guessed && !sync::is_usual(frame, half.max_frame);
        if unlikely
            || frame.length > max_frame
            || half.first && !settings_first
            || !sync::has_its_length(frame)
        {
            self.lose(cx, Anomaly::ProtocolError, chunk.time);
            return false;
        }
        half.first = false;
        half.seen = true;
        half.at = At::Payload(frame, frame.length);
        if half.block.is_some() || frame.kind == FrameType::Continuation {
            frame = self.expect_continuation(cx, frame);
            self.half(cx.direction).at = At::Payload(frame, frame.length);
        }
        match frame.kind {
            FrameType::Data => self.begin_data(cx, frame, chunk),
            FrameType::Settings => self.begin_settings(cx, frame),
            _ => {}
        }
        if frame.length == 0 {
            self.close_frame(cx, frame, chunk.offset, chunk.time);
        }
        true
    }

    fn payload(&mut self, cx: &mut Cx<'_, '_>, frame: FrameHeader, left: u32, chunk: &mut Chunk<'_>) {
        let part = chunk.take(left.into());
        let half = self.half(cx.direction);
        half.odd |= part.odd;
        half.at = At::Payload(frame, left.saturating_sub(part.len as u32));
        match frame.kind {
            FrameType::Data => self.data(cx, frame, left, part),
            FrameType::Headers | FrameType::PushPromise | FrameType::Continuation => {
                self.fragment(cx, frame, part);
            }
            _ => self.control(cx, frame, part),
        }
        if self.half(cx.direction).at == At::Payload(frame, 0) {
            self.close_frame(cx, frame, part.end(), part.time);
        }
    }

    /// A frame is complete, up to this offset.
    pub(super) fn close_frame(&mut self, cx: &mut Cx<'_, '_>, frame: FrameHeader, end: u64, time: Ktime) {
        let half = self.half(cx.direction);
        half.at = At::Header;
        half.piece.clear();
        match frame.kind {
            FrameType::Data => self.end_data(cx, frame, time),
            FrameType::Settings => self.end_settings(cx, frame),
            _ if frame.is_of_block() => self.end_fragment(cx, frame, end, time),
            _ => {}
        }
    }
}

/// What may be seen of a frame's header: of a type that nobody knows, its length.
fn shown(header: [u8; HEADER]) -> [u8; HEADER] {
    match (FrameHeader::parse(header).kind, header) {
        (FrameType::Unknown(_), [a, b, c, ..]) => [a, b, c, 0xff, 0, 0, 0, 0, 0],
        _ => header,
    }
}
