//! Frames that the program in the kernel has read, and of which it tells no more than what there was in all.
use std::num::NonZeroU64;

use super::{
    super::{
        stream::Chunk,
        stretch::{FrameRun, Stretch, UpdateRun},
    },
    connection::{Connection, Cx},
    frame::{FrameHeader, FrameType, HEADER},
    half::{At, Half, Start},
    messages::Growth,
};
use crate::{Anomaly, Ktime};

/// What a stretch of DATA frames means where it is.
struct Passed {
    /// Bytes of the frames' headers, of which some may have come before it.
    headers: u64,
    /// Lengths of the frames that ended in it.
    ended: u32,
    /// The frame that it ends in, and how much of that is left.
    last: Option<(FrameHeader, u32)>,
}

impl Connection {
    /// The beginning of the chunk was read by the program.
    pub(super) fn take_stretch(&mut self, cx: &mut Cx<'_, '_>, chunk: &mut Chunk<'_>) {
        if matches!(self.half(cx.direction).at, At::Lost | At::Opaque | At::Preface(_)) {
            return;
        }
        match chunk.take_stretch() {
            // Nothing but a part of a frame's header, which is known.
            Some((part, Stretch::Frames(run))) if part.len == 0 && (run.body, run.headers) == (0, 0) => {}
            Some((part, Stretch::Frames(run))) => self.pass_frames(cx, &part, run),
            Some((part, Stretch::Updates(run))) => self.pass_updates(cx, &part, run),
            Some((part, Stretch::Chunks(_))) => self.pass_nothing(cx, &part),
            None => {}
        }
    }

    fn pass_frames(&mut self, cx: &mut Cx<'_, '_>, part: &Chunk<'_>, run: FrameRun) {
        let Some(passed) = self.half(cx.direction).passed(part.len, run) else {
            return self.pass_nothing(cx, part);
        };
        cx.decoded(part.len);
        let (body, end, time, odd) = (u64::from(run.body), part.end(), part.time, part.odd);
        if run.headers > 0 {
            self.resume_window(cx.direction, run.stream_id);
        }
        let bytes = passed.headers + body;
        self.grow(cx, run.stream_id, Growth { bytes, body, end, time, odd });
        self.miss(cx, run.stream_id, body);
        self.use_up_by_run(cx, run, passed.ended, time);
        let half = self.half(cx.direction);
        let ack = part.ack.and_then(NonZeroU64::new);
        half.start = Start { offset: end, time, ack, reverse_end: part.reverse_end };
        half.piece.clear();
        half.pad = None;
        half.at = passed.last.map_or(At::Header, |(frame, left)| At::Payload(frame, left));
    }

    /// Bytes of messages of a call were not seen.
    fn miss(&mut self, cx: &Cx<'_, '_>, stream_id: u32, body: u64) {
        if let Some(role) = self.role(cx.direction)
            && let Some(slot) = self.streams.get(stream_id)
        {
            slot.message(role).walk.miss(body);
        }
    }

    /// The program says whether the last frame used windows up; no other one did.
    fn use_up_by_run(&mut self, cx: &Cx<'_, '_>, run: FrameRun, ended: u32, time: Ktime) {
        let Some(role) = self.role(cx.direction) else { return };
        let half = cx.direction.of_mut(&mut self.halves);
        if let Some(slot) = self.streams.get(run.stream_id).filter(|_| ended > 0) {
            let window = &mut slot.message(role).window;
            window.use_up_by_run(ended, run.used_up, &mut half.window, &half.initial_window, time);
        } else {
            half.window.use_up_by_run(ended, run.used_up.connection, time);
        }
    }

    fn pass_updates(&mut self, cx: &mut Cx<'_, '_>, part: &Chunk<'_>, run: UpdateRun) {
        if self.half(cx.direction).at != At::Header || !self.half(cx.direction).piece.is_empty() {
            return self.pass_nothing(cx, part);
        }
        cx.decoded(part.len);
        let sender = cx.direction.reverse();
        let role = self.role(sender);
        let half = sender.of_mut(&mut self.halves);
        let [connection, stream] = run.opened;
        half.window.open_by_run(connection, run.were_used_up.connection, part.time);
        if let Some(role) = role
            && let Some(slot) = self.streams.get(run.stream_id)
        {
            let window = &mut slot.message(role).window;
            let initial = &half.initial_window;
            window.open_by_run(stream, run.were_used_up.stream, &half.window, initial, part.time);
        }
        self.note_opened(cx.direction, run.opened);
    }

    /// No such stretch can be here.
    fn pass_nothing(&mut self, cx: &mut Cx<'_, '_>, part: &Chunk<'_>) {
        cx.work.opaque(cx.direction, part.len);
        self.lose(cx, Anomaly::Gap, part.time);
    }
}

impl Half {
    /// What a stretch of `len` bytes means here; nothing where no such can be here.
    fn passed(&self, len: u64, run: FrameRun) -> Option<Passed> {
        let (open, left, have) = match self.at {
            At::Payload(frame, left) if frame.is_plain_data_of(run.stream_id) => (frame.length, left, 0),
            At::Header if self.block.is_none() => (0, 0, self.piece.len()),
            _ => return None,
        };
        let headers = HEADER as u64 * u64::from(run.headers);
        if headers + u64::from(run.body) != len + have || have > 0 && run.headers == 0 && len > 0 {
            return None;
        }
        let frame =
            |length| FrameHeader { length, kind: FrameType::Data, flags: 0, stream_id: run.stream_id };
        if run.headers == 0 {
            let still = left.checked_sub(run.body)?;
            let ended = if still == 0 { open } else { 0 };
            let last = (still > 0).then_some((frame(open), still));
            return (still == run.left).then_some(Passed { headers: 0, ended, last });
        }
        // What came of the last frame is of none that ended.
        let begun = if run.left == 0 { 0 } else { run.length.checked_sub(run.left)? };
        let others = run.body.checked_sub(left)?.checked_sub(begun)?;
        let last = (run.left > 0).then_some((frame(run.length), run.left));
        Some(Passed { headers, ended: open.checked_add(others)?, last })
    }
}
