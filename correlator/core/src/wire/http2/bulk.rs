//! A large body, of which the kernel is asked to read the frames by itself (see `weft_abi::WANT_FRAMES`): those with its DATA,
//! and those by which its receiver opens the windows again. How long these were used up shows only where both directions are
//! told in the right order. So the program counts along, and ends a run where a window is used up or opened again; what it has
//! to know for that are the windows at the places from which it reads.
use weft_abi::{FlowWant, FramingPlace, FramingVerdict, FramingWant, NO_LIMIT, WANT_FRAMES, WANT_UPDATES};

use super::{
    super::{conversation::Link, direction::Direction, stream::Chunk, stretch::Border, work::Work},
    connection::{Connection, Cx},
    frame::{FrameType, HEADER},
    half::{At, Half},
    stream::{Phase, Role, Slot},
};

/// A body is worth leaving out when so much of it was seen.
const BULK: u64 = 64 * 1024;
/// And when its frames have so many bytes: of smaller ones a segment has too many for a program to read them all.
const WORTH_FRAME: u64 = 512;

/// The body, and what the kernel was told of it.
pub(super) struct Bulk {
    stream_id: u32,
    /// Who sends it.
    sender: Direction,
    /// By direction: in the sender's its frames, in the other one those that open windows.
    told: [Told; 2],
    /// By how much the windows of the connection and of the stream were opened since it is told of.
    opened: [i64; 2],
    /// The windows where the program began to read frames, without what they were opened by.
    level: [i64; 2],
    /// By how much they were opened where it began to read what opens them.
    opened_before: [i64; 2],
}

/// What the program was told of a direction.
#[derive(Clone, Copy, Default)]
struct Told {
    /// Where a frame begins; 0: nobody knows.
    frame: u64,
    /// Where the program believes that one begins; 0 for nowhere.
    believed: u64,
}

impl Connection {
    /// A program believes that a frame begins there. It hears at once where that is known, or it has not seen all; else when
    /// everything before it was read.
    pub(in crate::wire) fn border(
        &mut self,
        link: &Link,
        direction: Direction,
        Border { offset, saw_all }: Border,
        work: &mut Work<'_>,
    ) {
        let Some(bulk) = &mut self.bulk else { return };
        let told = direction.of_mut(&mut bulk.told);
        let known = offset == told.frame;
        let waits = !known && saw_all && offset >= *direction.of(&link.nexts);
        told.believed = if waits { offset } else { 0 };
        if !waits {
            self.tell(&mut Cx { link, direction, work }, [None; 2], Some((offset, known && saw_all)));
        }
    }

    /// The place of which the program has to hear, once the stream has come to the end of a chunk.
    pub(super) fn border_in(&self, direction: Direction, chunk: &Chunk<'_>) -> Option<u64> {
        let Told { believed, .. } = *direction.of(&self.bulk.as_ref()?.told);
        (1..chunk.end()).contains(&believed).then_some(believed)
    }

    /// All before this offset was read: the program hears whether a frame begins at the place that it believes in.
    pub(super) fn judge(&mut self, cx: &mut Cx<'_, '_>, border: u64, at: u64) {
        let right = at == border && self.half(cx.direction).left() == Some(0);
        let windows = self.windows();
        let Some(bulk) = &mut self.bulk else { return };
        let told = cx.direction.of_mut(&mut bulk.told);
        told.believed = 0;
        if right {
            told.frame = border;
            bulk.begin(cx.direction, windows, 0);
        }
        self.tell(cx, [None; 2], Some((border, right)));
    }

    /// Up to which stream offset bytes may have passed of which the kernel gives a record only later.
    pub(in crate::wire) fn gathered_until(&self) -> u64 {
        if self.bulk.is_some() { u64::MAX } else { 0 }
    }

    /// Up to which stream offset nothing but the number of a direction's bytes is of use, from the next one on.
    pub(in crate::wire) fn unread_until(&self, direction: Direction, next: u64) -> u64 {
        let At::Payload(frame, left) = direction.of(&self.halves).at else { return next };
        let is_call = self.streams.peek(frame.stream_id).is_none_or(Slot::is_call);
        if frame.is_plain_data_of(frame.stream_id) && !is_call { next + u64::from(left) } else { next }
    }

    /// Windows were opened by a direction's frames.
    pub(super) fn note_opened(&mut self, direction: Direction, by: [u32; 2]) {
        if let Some(bulk) = self.bulk.as_deref_mut().filter(|bulk| bulk.sender != direction) {
            let [connection, stream] = &mut bulk.opened;
            let [by_connection, by_stream] = by;
            *connection += i64::from(by_connection);
            *stream += i64::from(by_stream);
        }
    }

    /// The same by one frame.
    pub(super) fn note_update(&mut self, direction: Direction, stream_id: u32, by: u32) {
        let of_bulk = self.bulk.as_ref().is_some_and(|bulk| bulk.stream_id == stream_id);
        if stream_id == 0 || of_bulk {
            self.note_opened(direction, if stream_id == 0 { [by, 0] } else { [0, by] });
        }
    }

    /// All up to this offset of a direction was read: whether there is a body to leave out.
    pub(super) fn follow_bulk(&mut self, cx: &mut Cx<'_, '_>, at: u64) {
        if self.bulk.is_some() {
            if !self.bulk_goes_on() {
                self.end_bulk(cx);
            }
        } else if let Some(stream_id) = self.bulk_stream(cx.direction) {
            self.begin_bulk(cx, stream_id, at);
        }
    }

    /// A large body of which nothing but its length is of use, and which a direction is in the middle of. gRPC's has messages
    /// in it.
    fn bulk_stream(&mut self, direction: Direction) -> Option<u32> {
        let role = self.role(direction)?;
        let At::Payload(frame, _) = self.half(direction).at else { return None };
        let slot = self.streams.get(frame.stream_id).filter(|_| frame.kind == FrameType::Data)?;
        let large =
            !slot.is_call() && slot.body_bytes(role) >= BULK && has_frames_of(slot, role, WORTH_FRAME);
        (large && frame.is_plain_data_of(frame.stream_id)).then_some(frame.stream_id)
    }

    fn bulk_goes_on(&mut self) -> bool {
        let Some(Bulk { stream_id, sender, .. }) = self.bulk.as_deref() else { return false };
        let lost = self.halves.iter().any(|half| matches!(half.at, At::Lost | At::Opaque));
        let Some((role, slot)) = self.role(*sender).zip(self.streams.peek(*stream_id)) else { return false };
        let open = role.of(&slot.stream.messages).phase == Phase::Open;
        open && !lost && has_frames_of(slot, role, WORTH_FRAME / 2)
    }

    fn begin_bulk(&mut self, cx: &mut Cx<'_, '_>, stream_id: u32, at: u64) {
        let sender = cx.direction;
        self.bulk = Some(Box::new(Bulk::new(stream_id, sender)));
        let windows = self.windows();
        let Some(bulk) = &mut self.bulk else { return };
        let mut places = [None; 2];
        for direction in Direction::BOTH {
            let half = direction.of(&self.halves);
            let left = half.left();
            let at = if direction == sender { at } else { *direction.of(&cx.link.nexts) };
            let frame = left.map_or(0, |left| at + u64::from(left));
            *direction.of_mut(&mut bulk.told) = Told { frame, believed: 0 };
            let in_progress = if let At::Payload(frame, _) = half.at { frame.length } else { 0 };
            bulk.begin(direction, windows, in_progress);
            *direction.of_mut(&mut places) = left.map(|left| (at, left));
        }
        self.tell(cx, places, None);
    }

    /// How much may still be sent, on the connection and on the stream; on that without its initial window.
    fn windows(&self) -> [i64; 2] {
        let Some(Bulk { stream_id, sender, .. }) = self.bulk.as_deref() else { return [0; 2] };
        let (role, slot) = (self.role(*sender), self.streams.peek(*stream_id));
        let message = role.zip(slot).map(|(role, slot)| role.of(&slot.stream.messages));
        let stream = message.map_or(0, |message| message.window.credit());
        [sender.of(&self.halves).window.credit(), stream]
    }

    /// Tells the kernel all that is known; `places`: how far the directions were read, and what is left of a payload there;
    /// `verdict`: whether this place in the direction at hand is right.
    fn tell(&self, cx: &mut Cx<'_, '_>, places: [Option<(u64, u32)>; 2], verdict: Option<(u64, bool)>) {
        let Some(bulk) = self.bulk.as_deref() else { return };
        let limits = if self.all_seen {
            bulk.limits(bulk.sender.of(&self.halves).initial_window.size())
        } else {
            [NO_LIMIT; 2]
        };
        let other = bulk.sender.reverse();
        for (direction, kind) in [(bulk.sender, WANT_FRAMES), (other, WANT_UPDATES)] {
            let seq = |offset| cx.link.seq_of(direction, offset);
            let place =
                direction.of(&places).map(|(at, left)| FramingPlace { seq: seq(at), left, period: 0 });
            let verdict = verdict.filter(|_| direction == cx.direction);
            let verdict = verdict.map(|(offset, right)| FramingVerdict { seq: seq(offset), right });
            let (stream_id, max_frame) = (bulk.stream_id, self.max_frame(direction));
            let framing = Some(FramingWant { stream_id, limits, max_frame, place, verdict });
            let want = FlowWant { kind, argument: 0, framing };
            cx.work.out.wants.push((cx.link.flow_key(direction), Some(want)));
        }
    }

    /// All payload is wanted again.
    pub(super) fn end_bulk(&mut self, cx: &mut Cx<'_, '_>) {
        if self.bulk.take().is_some() {
            for direction in Direction::BOTH {
                cx.work.out.wants.push((cx.link.flow_key(direction), None));
            }
        }
    }
}

impl Bulk {
    fn new(stream_id: u32, sender: Direction) -> Self {
        let (told, opened) = ([Told::default(); 2], [0; 2]);
        Self { stream_id, sender, told, opened, level: opened, opened_before: opened }
    }

    /// The program begins to read a direction where the windows are these, behind a frame that uses up so much of them.
    fn begin(&mut self, direction: Direction, windows: [i64; 2], in_progress: u32) {
        if direction != self.sender {
            return self.opened_before = self.opened;
        }
        let ([connection, stream], [by_connection, by_stream]) = (windows, self.opened);
        let used_up = i64::from(in_progress);
        self.level = [connection - by_connection - used_up, stream - by_stream - used_up];
    }

    /// The windows at the two places where the program began.
    fn limits(&self, initial: u32) -> [i32; 2] {
        let ([connection, stream], [by_connection, by_stream]) = (self.level, self.opened_before);
        let limit = |window: i64| window.clamp(i32::MIN.into(), i64::from(NO_LIMIT) - 1) as i32;
        [limit(connection + by_connection), limit(stream + by_stream + i64::from(initial))]
    }
}

/// Whether a message's frames have so many bytes of its body on the average.
fn has_frames_of(slot: &Slot, role: Role, bytes: u64) -> bool {
    let headers = slot.header_bytes(role) / HEADER as u64;
    slot.body_bytes(role) >= bytes.saturating_mul(headers)
}

impl Half {
    /// How many bytes of a payload come before the next frame; nothing within a frame's header.
    fn left(&self) -> Option<u32> {
        match self.at {
            At::Header if self.piece.is_empty() => Some(0),
            At::Payload(_, left) => Some(left),
            _ => None,
        }
    }
}
