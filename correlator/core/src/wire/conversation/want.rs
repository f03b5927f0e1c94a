use std::num::NonZeroU64;

use weft_abi::{
    FlowWant, FramingPlace, FramingVerdict, FramingWant, NO_LIMIT, WANT_CHUNKS, WANT_FROM, WANT_NONE,
};

use super::{
    super::{
        direction::Direction,
        http1::{Body, Chunked, State},
        stream::Chunk,
        stretch::Border,
        work::Work,
    },
    Conversation, Link, Spoken,
};

/// Telling the kernel costs a system call: only where more than this is left of a body.
const WORTH: u64 = 4096;
/// The same for a body in chunks, by what came of it so far or is left of a chunk.
const WORTH_CHUNKS: u64 = 64 * 1024;
/// Programs read no larger ones.
const LARGEST_CHUNK: u64 = 1 << 30;
/// Of smaller chunks a segment has too many for a program to read them all.
const WORTH_CHUNK: u64 = 512;
/// The same for connections that are not followed, by the size of a segment.
const WORTH_SEGMENT: u64 = 512;
/// The kernel compares sequence numbers within half their range: a skip of a longer body is told in steps.
const STEP: u64 = 1 << 29;

/// After so many bytes that the kernel copied though nobody wants them it is told once more: the flow had no slot, or had
/// to give it away. Some were on their way when it was told first.
const REMIND: u32 = 256 * 1024;

/// What the kernel was last told about a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Nothing was said: it captures all.
    Everything,
    /// Payload from this stream offset on.
    From(u64),
    /// No chunks. Where a line with a size begins, or the end of one's data is, as the program was last told; 0: nobody knows.
    Chunks(u64),
    /// No payload at all.
    Headers,
}

impl Conversation {
    /// Tells the kernel what is wanted of a direction from here on, where that changed.
    pub(super) fn want(
        &mut self,
        link: &Link,
        direction: Direction,
        at: u64,
        segment: u64,
        work: &mut Work<'_>,
    ) {
        let wanted = self.wanted(direction, at, segment);
        let forgotten = *direction.of(&self.unwanted) >= REMIND && wanted != Wanted::Everything;
        if wanted == *direction.of(&self.wanted) && !forgotten || self.closed {
            return;
        }
        *direction.of_mut(&mut self.wanted) = wanted;
        *direction.of_mut(&mut self.unwanted) = 0;
        let want = match wanted {
            Wanted::Everything => None,
            Wanted::From(offset) => Some(plain(WANT_FROM, link.seq_of(direction, offset))),
            Wanted::Chunks(_) => Some(self.chunks(link, direction, at, None)),
            Wanted::Headers => Some(plain(WANT_NONE, 0)),
        };
        work.out.wants.push((link.flow_key(direction), want));
    }

    /// Counts what of a chunk was copied though the kernel was told that nobody wants it.
    pub(super) fn note_unwanted(&mut self, direction: Direction, chunk: &Chunk<'_>) {
        let start = chunk.offset.saturating_add(chunk.hole);
        let until = self.gathered_until(direction).min(start.saturating_add(chunk.data.len() as u64));
        let unwanted = direction.of_mut(&mut self.unwanted);
        *unwanted = unwanted.saturating_add(until.saturating_sub(start) as u32);
    }

    fn wanted(&self, direction: Direction, at: u64, segment: u64) -> Wanted {
        let before = *direction.of(&self.wanted);
        let reader = direction.of(&self.readers);
        match reader.state {
            _ if self.rest.reads(direction) => Wanted::Everything,
            State::Opaque => opaque(before, segment),
            _ if self.spoken == Spoken::Opaque => opaque(before, segment),
            State::Body(Body::UntilClose) => Wanted::Headers,
            State::Body(Body::Chunked(body)) => chunked(body, reader.span.body_bytes, before, at),
            State::Body(body) => until(body.known_ahead(), before, at),
            _ => Wanted::Everything,
        }
    }

    /// No chunks from here on, as far as the program knows where they are; `verdict`: whether it is right about a place.
    fn chunks(&self, link: &Link, direction: Direction, at: u64, verdict: Option<(u64, bool)>) -> FlowWant {
        let seq = |offset| link.seq_of(direction, offset);
        let place = match direction.of(&self.readers).state {
            State::Body(Body::Chunked(body)) => {
                let left = body.place().and_then(|left| u32::try_from(left).ok());
                left.map(|left| FramingPlace { seq: seq(at), left, period: body.period() })
            }
            _ => None,
        };
        let verdict = verdict.map(|(offset, right)| FramingVerdict { seq: seq(offset), right });
        let framing = FramingWant { stream_id: 0, limits: [NO_LIMIT; 2], max_frame: 0, place, verdict };
        FlowWant { framing: Some(framing), ..plain(WANT_CHUNKS, 0) }
    }

    /// A program believes that a line with a chunk's size begins, or a chunk ends there. It hears at once where that is known, or it has not seen
    /// all; else when everything before it was read.
    pub(in super::super) fn border(
        &mut self,
        link: &Link,
        direction: Direction,
        Border { offset, saw_all }: Border,
        work: &mut Work<'_>,
    ) {
        let Wanted::Chunks(told) = *direction.of(&self.wanted) else { return };
        let at = *direction.of(&link.nexts);
        let known = offset == told;
        let waits = !known && saw_all && offset >= at;
        *direction.of_mut(&mut self.believed) = NonZeroU64::new(offset).filter(|_| waits);
        if !waits {
            let want = self.chunks(link, direction, at, Some((offset, known && saw_all)));
            work.out.wants.push((link.flow_key(direction), Some(want)));
        }
    }

    /// The place of which the program has to hear, once the stream has come to the end of a chunk.
    pub(super) fn border_in(&self, direction: Direction, chunk: &Chunk<'_>) -> Option<u64> {
        let believed = (*direction.of(&self.believed))?.get();
        (believed < chunk.end()).then_some(believed)
    }

    /// All before this offset was read: the program hears whether it is right about the place that it believes in.
    pub(super) fn judge(
        &mut self,
        link: &Link,
        direction: Direction,
        border: u64,
        at: u64,
        work: &mut Work<'_>,
    ) {
        *direction.of_mut(&mut self.believed) = None;
        let between = match direction.of(&self.readers).state {
            State::Body(Body::Chunked(body)) => body.is_between_chunks(),
            _ => false,
        };
        let right = at == border && between;
        if let Wanted::Chunks(told) = direction.of_mut(&mut self.wanted) {
            if right {
                *told = border;
            }
            let want = self.chunks(link, direction, at, Some((border, right)));
            work.out.wants.push((link.flow_key(direction), Some(want)));
        }
    }

    /// Up to which stream offset bytes of a direction may have passed of which the kernel gives a record only later.
    pub(in super::super) fn gathered_until(&self, direction: Direction) -> u64 {
        match *direction.of(&self.wanted) {
            Wanted::Everything => 0,
            Wanted::From(offset) => offset,
            Wanted::Chunks(_) | Wanted::Headers => u64::MAX,
        }
    }

    /// Takes back what the kernel was told.
    pub(super) fn unwant(&mut self, link: &Link, work: &mut Work<'_>) {
        for direction in Direction::BOTH {
            let wanted = direction.of_mut(&mut self.wanted);
            if *wanted != Wanted::Everything {
                *wanted = Wanted::Everything;
                work.out.wants.push((link.flow_key(direction), None));
            }
        }
    }
}

/// What is wanted in a body of which the next `left` bytes belong to it whatever they are. What was said stays while it does no
/// harm: up to a place that has passed nothing is skipped.
fn until(left: u64, before: Wanted, at: u64) -> Wanted {
    if left > WORTH || before != Wanted::Everything {
        Wanted::From(at.saturating_add(left).min(at / STEP * STEP + 2 * STEP))
    } else {
        Wanted::Everything
    }
}

/// What is wanted in a body in chunks of which so many bytes were seen. The program hears with each of its segments where the
/// next framing is, as long as it sends segments.
fn chunked(body: Chunked, seen: u64, before: Wanted, at: u64) -> Wanted {
    let left = body.place();
    if left.is_some_and(|left| left > LARGEST_CHUNK) {
        return until(left.unwrap_or_default(), before, at);
    }
    let began = if let Wanted::Chunks(told) = before { Some(told) } else { None };
    let least = if began.is_some() { WORTH_CHUNK / 2 } else { WORTH_CHUNK };
    let many = seen >= WORTH_CHUNKS && seen >= least * u64::from(body.lines());
    if many || left.is_some_and(|left| left > WORTH_CHUNKS) {
        Wanted::Chunks(left.map(|left| at + left).or(began).unwrap_or_default())
    } else {
        Wanted::Everything
    }
}

fn plain(kind: u32, argument: u32) -> FlowWant {
    FlowWant { kind, argument, framing: None }
}

fn opaque(before: Wanted, segment: u64) -> Wanted {
    if before == Wanted::Everything && segment < WORTH_SEGMENT { before } else { Wanted::Headers }
}
