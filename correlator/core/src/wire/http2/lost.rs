//! What is done where bytes are missing. A stream's identifier is never used twice (RFC 9113, 5.1.1), so that whatever is
//! found again is of the right exchange; what may have been missed is said, or not told at all.
use std::num::NonZeroU64;

use super::{
    super::{conversation::Link, direction::Direction, protocol::HTTP2_PREFACE, stream::Chunk, work::Work},
    connection::{Connection, Cx},
    frame::{FrameHeader, FrameType, flag},
    half::{At, Half},
    messages::Growth,
    search::Fit,
    stream::{Phase, Role, Slot},
};
use crate::{Anomalies, Anomaly, Ktime};

/// A message whose end may have been missed is given up when nothing came of it for so long, in ns.
const UNSURE_FOR: u64 = 10_000_000_000;

impl Connection {
    /// Bytes are missing.
    pub(super) fn gap(&mut self, cx: &mut Cx<'_, '_>, offset: u64, len: u64) {
        let half = self.half(cx.direction);
        match half.at {
            At::Payload(frame, left) if len <= left.into() && half.may_skip(frame, left) => {
                self.skip(cx, frame, left, offset, len);
            }
            At::Lost => half.search.iter_mut().for_each(|search| search.gap(offset + len)),
            At::Opaque => {}
            _ => {
                let time = half.start.time;
                self.lose_until(cx, Anomaly::Gap, offset + len, time);
            }
        }
    }

    /// Bytes of a payload are missing of which no more is needed than their number.
    fn skip(&mut self, cx: &mut Cx<'_, '_>, frame: FrameHeader, left: u32, offset: u64, len: u64) {
        let half = self.half(cx.direction);
        let body_left = left.saturating_sub(half.pad.unwrap_or(0).into());
        let mut time = half.start.time;
        half.at = At::Payload(frame, left.saturating_sub(len as u32));
        if frame.kind == FrameType::Data
            && let Some(role) = self.role(cx.direction)
            && let Some(slot) = self.streams.get(frame.stream_id)
        {
            let body = len.min(body_left.into());
            time = slot.last_byte(role).unwrap_or(time);
            slot.message(role).walk.miss(body);
            slot.note(Anomaly::Gap);
            let growth = Growth { bytes: len, body, end: offset + len, time, odd: Anomalies::default() };
            self.grow(cx, frame.stream_id, growth);
        }
        if len == u64::from(left) {
            self.close_frame(cx, frame, offset + len, time);
        }
    }

    /// The place in a direction is lost.
    pub(super) fn lose(&mut self, cx: &mut Cx<'_, '_>, anomaly: Anomaly, time: Ktime) {
        if anomaly != Anomaly::Gap {
            cx.work.tally.count(anomaly);
        }
        self.lose_until(cx, anomaly, u64::MAX, time);
    }

    /// The same, by bytes that are missing before this offset.
    fn lose_until(&mut self, cx: &mut Cx<'_, '_>, anomaly: Anomaly, end: u64, time: Ktime) {
        self.half(cx.direction).lose(cx.direction, cx.work);
        self.forget_settings();
        self.doubt.get_or_insert(anomaly);
        self.doubt_messages(cx, anomaly, end, time);
    }

    /// Messages of a direction may have gone on, or ended, before this offset without being seen.
    fn doubt_messages(&mut self, cx: &mut Cx<'_, '_>, anomaly: Anomaly, end: u64, time: Ktime) {
        let Some(role) = self.role(cx.direction) else { return };
        for slot in self.streams.iter_mut().filter(|slot| slot.may_be_before(role, end)) {
            slot.break_message(role, anomaly);
            slot.message(role).unsure = true;
            self.unsure_since = NonZeroU64::new(time.0);
        }
        let over = |slot: &Slot| slot.is_done(Role::Response) && slot.is_unsure(Role::Request);
        self.streams.end_where(anomaly, self.all_seen, cx.work, over);
    }

    /// What was not heard of for long has ended unseen.
    pub(super) fn forget_unsure(&mut self, cx: &mut Cx<'_, '_>, now: Ktime) {
        let since = self.unsure_since.map(|since| Ktime(since.get()));
        let Some(since) = since.filter(|since| now.since(*since) >= UNSURE_FOR) else { return };
        let unsure = |slot: &Slot| slot.is_unsure(Role::Request) || slot.is_unsure(Role::Response);
        let silent = |slot: &Slot| unsure(slot) && slot.last_heard() <= since;
        self.streams.end_where(Anomaly::Gap, self.all_seen, cx.work, silent);
        let left = self.streams.iter_mut().any(|slot| unsure(slot));
        self.unsure_since = NonZeroU64::new(now.0).filter(|_| left);
    }

    /// Looks for a frame.
    pub(super) fn resume(&mut self, cx: &mut Cx<'_, '_>, chunk: &mut Chunk<'_>) {
        let at_preface = chunk.segment_start && chunk.front().starts_with(HTTP2_PREFACE);
        if at_preface && self.requests.is_none() {
            return self.begin_at_preface(cx);
        }
        let found = self.find(cx, chunk);
        let mut before = chunk.take(found.map_or(chunk.len, |at| at - chunk.offset));
        cx.work.opaque(cx.direction, before.len);
        before.advance(before.len);
        if found.is_some() {
            let half = self.half(cx.direction);
            (half.at, half.search) = (At::Header, None);
            self.doubt_messages(cx, Anomaly::Gap, chunk.offset, chunk.time);
        }
    }

    /// Where in the chunk a frame begins.
    fn find(&mut self, cx: &mut Cx<'_, '_>, chunk: &Chunk<'_>) -> Option<u64> {
        let max_frame = self.half(cx.direction).max_frame;
        let mut search = self.half(cx.direction).search.take().unwrap_or_default();
        let chain = search.take(chunk, max_frame, |frame| self.fit(cx.direction, frame));
        self.half(cx.direction).search = Some(search);
        let chain = chain?;
        chain.iter().for_each(|(at, header)| cx.work.safe(cx.direction, *at, header));
        chain.into_iter().map(|(at, _)| at).find(|at| *at >= chunk.offset)
    }

    /// The client's beginning, of a connection of which the server's was taken for its middle.
    fn begin_at_preface(&mut self, cx: &mut Cx<'_, '_>) {
        let mut whole = Self::from_preface(cx.direction);
        let server = cx.direction.reverse();
        self.halves.iter_mut().for_each(|half| half.forget_table(cx.work));
        std::mem::swap(self.half(server), whole.half(server));
        std::mem::swap(&mut self.half(server).decoder, &mut whole.half(server).decoder);
        *self = whole;
    }

    /// Bytes were sent again.
    pub(super) fn again(&mut self, cx: &mut Cx<'_, '_>, start: u64, end: u64) {
        cx.work.tally.count(Anomaly::Retransmit);
        let role = self.role(cx.direction);
        let half = self.half(cx.direction);
        if !half.at_boundary() && end > half.start.offset {
            half.odd.insert(Anomaly::Retransmit);
        }
        if let Some(block) = half.block.as_deref_mut()
            && end > block.start.offset
        {
            block.odd.insert(Anomaly::Retransmit);
        }
        if let Some(role) = role {
            self.streams.note_again(role, start, end);
        }
    }

    /// The sender of a direction will send no more.
    pub(super) fn end(&mut self, cx: &mut Cx<'_, '_>) {
        self.stop(cx);
        match self.role(cx.direction) {
            Some(Role::Request) => self.cut_requests(cx),
            Some(Role::Response) => self.end_all(cx, None),
            None => {}
        }
    }

    /// Requests that have not ended will not; they may be answered all the same.
    fn cut_requests(&mut self, cx: &mut Cx<'_, '_>) {
        let Self { halves, requests, streams, .. } = self;
        for slot in streams.iter_mut().filter(|slot| !slot.is_done(Role::Request)) {
            slot.end_wait(Role::Request, halves, *requests, cx.link.now);
            if !slot.is_unsure(Role::Request) {
                slot.break_message(Role::Request, Anomaly::Truncated);
                cx.work.tally.count(Anomaly::Truncated);
            }
            slot.message(Role::Request).phase = Phase::Done;
        }
        let over = |slot: &Slot| slot.is_done(Role::Response);
        self.streams.end_where(Anomaly::Truncated, self.all_seen, cx.work, over);
    }

    /// Nothing more of a direction is read.
    fn stop(&mut self, cx: &mut Cx<'_, '_>) {
        let half = self.half(cx.direction);
        let (lost, time) = (half.at == At::Lost, half.start.time);
        half.cut_off(cx.direction, cx.work);
        half.forget_table(cx.work);
        if lost {
            self.doubt_messages(cx, Anomaly::Gap, u64::MAX, time);
        }
    }

    /// The connection is over.
    pub(in crate::wire) fn close(&mut self, link: &Link, extra: Option<Anomaly>, work: &mut Work<'_>) {
        for direction in Direction::BOTH {
            let cx = &mut Cx { link, direction, work };
            self.stop(cx);
            self.end_bulk(cx);
        }
        self.end_all(&mut Cx { link, direction: Direction::FromPod, work }, extra);
    }

    /// All exchanges end as they are.
    fn end_all(&mut self, cx: &mut Cx<'_, '_>, extra: Option<Anomaly>) {
        let Self { halves, requests, streams, all_seen, .. } = self;
        streams.iter_mut().for_each(|slot| slot.end_waits(halves, *requests, cx.link.now));
        streams.end_all(extra, *all_seen, cx.work);
    }
}

/// How much further than any that was seen the stream of a request may be.
const STREAMS_AHEAD: u32 = 4096;

impl Connection {
    /// What a frame says for itself in this direction. Clients open odd streams, and promise nothing (RFC 9113, 5.1.1 and 8.4).
    /// Where it is known which streams are open, a message's frame of another one is no sign of anything, unless a request
    /// may begin with it.
    fn fit(&self, direction: Direction, frame: FrameHeader) -> Fit {
        let role = self.role(direction);
        let of_message = matches!(frame.kind, FrameType::Data | FrameType::Headers);
        let (id, odd) = (frame.stream_id, frame.stream_id % 2 == 1);
        let joined = role.is_none() || self.doubt == Some(Anomaly::JoinedMidway);
        let begins = frame.kind == FrameType::Headers
            && (self.highest..self.highest.saturating_add(STREAMS_AHEAD)).contains(&id);
        match role {
            Some(Role::Request) if frame.kind == FrameType::PushPromise || of_message && !odd => Fit::No,
            _ if self.streams.is_open(id) => Fit::Open,
            _ if !of_message || joined => Fit::Likely,
            Some(Role::Request) if begins => Fit::Likely,
            _ => Fit::Weightless,
        }
    }
}

impl Half {
    /// Whether bytes of the payload of a frame may be missing without harm.
    fn may_skip(&self, frame: FrameHeader, left: u32) -> bool {
        match frame.kind {
            FrameType::Data => !frame.has(flag::PADDED) || self.pad.is_some(),
            FrameType::Ping | FrameType::Priority | FrameType::Unknown(_) => true,
            FrameType::GoAway => frame.length - left >= 8,
            _ => false,
        }
    }

    /// Whether the next byte begins a frame, and no header block waits for its continuation.
    fn at_boundary(&self) -> bool {
        self.at == At::Header && self.piece.is_empty() && self.block.is_none()
    }

    /// Nothing comes any more.
    fn cut_off(&mut self, direction: Direction, work: &mut Work<'_>) {
        if let Some(mut block) = self.block.take() {
            work.tally.count(Anomaly::Truncated);
            block.abandon(direction, work);
        }
        self.at = At::Opaque;
        self.piece.clear();
        self.search = None;
    }
}

impl Slot {
    /// The stream ends here. Of its messages those whose end was not sent had more to send.
    pub(super) fn end_waits(&mut self, halves: &[Half; 2], requests: Option<Direction>, now: Ktime) {
        [Role::Request, Role::Response]
            .into_iter()
            .for_each(|role| self.end_wait(role, halves, requests, now));
    }

    fn end_wait(&mut self, role: Role, halves: &[Half; 2], requests: Option<Direction>, now: Ktime) {
        let Some(requests) = requests else { return };
        let half = if role == Role::Request { requests } else { requests.reverse() }.of(halves);
        let message = self.message(role);
        if message.phase == Phase::Open {
            message.window.end(&half.window, &half.initial_window, now);
        }
    }

    /// Whether bytes before this offset of its direction may be of the message.
    fn may_be_before(&self, role: Role, end: u64) -> bool {
        match role.of(&self.stream.messages).phase {
            Phase::Done => false,
            Phase::Open => true,
            Phase::Awaited => role == Role::Request || self.stream.answer_from < end,
        }
    }

    fn is_unsure(&self, role: Role) -> bool {
        role.of(&self.stream.messages).unsure
    }

    /// When anything last came of it.
    fn last_heard(&self) -> Ktime {
        let [request, response] = [Role::Request, Role::Response].map(|role| self.last_byte(role));
        request.max(response).unwrap_or_default()
    }

    fn last_byte(&self, role: Role) -> Option<Ktime> {
        let exchange = &self.stream.exchange;
        match role {
            Role::Request => Some(exchange.request.last_byte),
            Role::Response => exchange.response.map(|response| response.last_byte),
        }
    }
}
