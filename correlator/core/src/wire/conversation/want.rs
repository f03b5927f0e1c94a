use weft_abi::{FlowKey, FlowWant, WANT_FROM, WANT_NONE};

use super::{
    super::{
        decode::tuple,
        direction::Direction,
        http1::{Body, State},
        stream::Chunk,
        work::Work,
    },
    Conversation, Link, Spoken,
};

/// Telling the kernel costs a system call: only where more than this is left of a body.
const WORTH: u64 = 4096;
/// The same for one chunk of a body in chunks: when the kernel hears of a smaller one it has mostly passed.
const WORTH_CHUNK: u64 = 256 * 1024;
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
            Wanted::From(offset) => {
                Some(FlowWant { kind: WANT_FROM, argument: link.seq_of(direction, offset) })
            }
            Wanted::Headers => Some(FlowWant { kind: WANT_NONE, argument: 0 }),
        };
        work.out.wants.push((key(link, direction), want));
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
        match direction.of(&self.readers).state {
            _ if self.rest.reads(direction) => Wanted::Everything,
            State::Opaque => opaque(before, segment),
            _ if self.spoken == Spoken::Opaque => opaque(before, segment),
            State::Body(Body::UntilClose) => Wanted::Headers,
            State::Body(body) => until(&body, before, at),
            _ => Wanted::Everything,
        }
    }

    /// Up to which stream offset bytes of a direction may have passed of which the kernel gives a record only later.
    pub(in super::super) fn gathered_until(&self, direction: Direction) -> u64 {
        match *direction.of(&self.wanted) {
            Wanted::Everything => 0,
            Wanted::From(offset) => offset,
            Wanted::Headers => u64::MAX,
        }
    }

    /// Takes back what the kernel was told.
    pub(super) fn unwant(&mut self, link: &Link, work: &mut Work<'_>) {
        for direction in Direction::BOTH {
            let wanted = direction.of_mut(&mut self.wanted);
            if *wanted != Wanted::Everything {
                *wanted = Wanted::Everything;
                work.out.wants.push((key(link, direction), None));
            }
        }
    }
}

/// What is wanted in a body whose next bytes belong to it whatever they are. What was said stays while it does no harm:
/// up to a place that has passed nothing is skipped, until it is so far behind that it would seem to be ahead.
fn until(body: &Body, before: Wanted, at: u64) -> Wanted {
    let left = body.known_ahead();
    let stays = matches!(before, Wanted::From(until) if until.max(at) - until.min(at) <= STEP);
    match body {
        Body::Chunked(_) if left <= WORTH_CHUNK && stays => before,
        Body::Chunked(_) if left <= WORTH_CHUNK => Wanted::Everything,
        _ if left > WORTH || before != Wanted::Everything => {
            Wanted::From(at.saturating_add(left).min(at / STEP * STEP + 2 * STEP))
        }
        _ => Wanted::Everything,
    }
}

fn opaque(before: Wanted, segment: u64) -> Wanted {
    if before == Wanted::Everything && segment < WORTH_SEGMENT { before } else { Wanted::Headers }
}

fn key(link: &Link, direction: Direction) -> FlowKey {
    FlowKey { netns: link.id.netns, tuple: tuple(&link.id, direction), ifindex: link.id.ifindex }
}
