//! From header blocks and DATA to exchanges.
use super::{
    super::work::Begun,
    block::Head,
    connection::{Connection, Cx},
    stream::{Extent, Message, Phase, Role, Slot, touch},
};
use crate::{Anomalies, Anomaly, Ktime, MessageSpan, Protocol};

/// What a part of a frame adds to a message.
#[derive(Clone, Copy)]
pub(super) struct Growth {
    pub(super) bytes: u64,
    pub(super) body: u64,
    /// Behind its last byte.
    pub(super) end: u64,
    pub(super) time: Ktime,
    pub(super) odd: Anomalies,
}

impl Connection {
    /// A header block is complete.
    pub(super) fn head(&mut self, cx: &mut Cx<'_, '_>, head: Head) {
        if self.requests.is_none() {
            self.requests = match (head.fields.of_request, head.fields.of_response) {
                _ if head.promised != 0 => Some(cx.direction.reverse()),
                (true, false) if head.stream_id % 2 == 1 => Some(cx.direction),
                (false, true) => Some(cx.direction.reverse()),
                _ => None,
            };
        }
        match self.role(cx.direction) {
            Some(Role::Response) if head.promised != 0 => self.promise(cx, head),
            Some(Role::Request) if head.promised == 0 => self.request(cx, head),
            Some(Role::Response) => self.response(cx, head),
            Some(Role::Request) => cx.violation(),
            None => {}
        }
    }

    fn request(&mut self, cx: &mut Cx<'_, '_>, head: Head) {
        let id = head.stream_id;
        if id.is_multiple_of(2) {
            return cx.violation();
        }
        if self.streams.get(id).is_some() {
            return self.trailers(cx, &head);
        }
        let seen_before = id <= self.highest;
        // Who did not see all tells a request from the trailers of an older one by its fields.
        let doubtful = self.doubt.is_some() && !head.fields.of_request;
        self.highest = self.highest.max(id);
        if !seen_before && !doubtful {
            self.open(cx, id, head);
        }
    }

    fn open(&mut self, cx: &mut Cx<'_, '_>, id: u32, head: Head) {
        let (ends, start, end) = (head.ends_stream, head.start.offset, head.end);
        let mut slot = self.slot(cx, id, head);
        slot.extents = [Extent { start, end }, Extent::default()];
        slot.message(Role::Request).phase = Phase::Open;
        let time = slot.stream.exchange.request.last_byte;
        for (role, direction) in [(Role::Request, cx.direction), (Role::Response, cx.direction.reverse())] {
            let half = direction.of(&self.halves);
            slot.message(role).window.begin(&half.window, &half.initial_window, time);
        }
        cx.work.out.begun.push(Begun::new(&slot.stream.exchange, cx.direction, (start, end)));
        self.streams.insert(slot, self.all_seen, cx.work);
        if ends {
            self.end_message(cx, id);
        }
    }

    /// PUSH_PROMISE (RFC 9113, 6.6 and 8.4): the server sends the request, too.
    fn promise(&mut self, cx: &mut Cx<'_, '_>, head: Head) {
        let id = head.promised;
        if id % 2 == 1 || self.streams.get(id).is_some() {
            return cx.violation();
        }
        let mut slot = self.slot(cx, id, head);
        slot.note(Anomaly::Pushed);
        slot.message(Role::Request).phase = Phase::Done;
        let (time, half) = (slot.stream.exchange.request.last_byte, cx.direction.of(&self.halves));
        slot.message(Role::Response).window.begin(&half.window, &half.initial_window, time);
        self.streams.insert(slot, self.all_seen, cx.work);
    }

    fn response(&mut self, cx: &mut Cx<'_, '_>, head: Head) {
        let id = head.stream_id;
        let Some(slot) = self.streams.get(id) else {
            if self.doubt.is_none() && id > self.highest {
                cx.work.tally.count(Anomaly::ResponseWithoutRequest);
            }
            return;
        };
        let message = *slot.message(Role::Response);
        let no_head_yet = slot.stream.exchange.response.is_none();
        // Who does not know a status that was an interim one sees it by the next head.
        let instead = slot.stream.exchange.status.is_none() && head.fields.of_response;
        match message.phase {
            Phase::Done => cx.violation(),
            _ if message.broken && no_head_yet && !head.fields.of_response => self.trailers(cx, &head),
            Phase::Awaited => self.begin_response(cx, id, &head),
            Phase::Open if instead => self.begin_response(cx, id, &head),
            Phase::Open => self.trailers(cx, &head),
        }
    }

    fn begin_response(&mut self, cx: &mut Cx<'_, '_>, id: u32, head: &Head) {
        let Head { fields, anomalies, start, time, bytes, end, .. } = head;
        if fields.status.is_some_and(|status| status < 200) && !head.ends_stream {
            return;
        }
        let Some(slot) = self.streams.get(id) else { return };
        let exchange = &mut slot.stream.exchange;
        exchange.anomalies |= *anomalies;
        exchange.status = fields.status;
        exchange.response =
            Some(MessageSpan { first_byte: start.time, last_byte: *time, bytes: *bytes, body_bytes: 0 });
        exchange.anomalies |= head.odd;
        if fields.status.is_none() {
            let anomaly = if fields.unknown { Anomaly::UnknownHeaders } else { Anomaly::ProtocolError };
            exchange.anomalies.insert(anomaly);
            cx.work.tally.count(anomaly);
        }
        let tunnel = exchange.method == "CONNECT" && fields.status.is_some_and(|status| status < 300);
        let extent = Extent { start: start.offset, end: *end };
        let before = std::mem::replace(Role::Response.of_mut(&mut slot.extents), extent);
        // With its head here, nothing of it was missed, whatever was missed before. Its window may have been opened by now.
        let message = slot.message(Role::Response);
        *message = Message { phase: Phase::Open, window: message.window, ..Message::default() };
        let half = cx.direction.of(&self.halves);
        message.window.begin(&half.window, &half.initial_window, *time);
        slot.learn_of_call(fields);
        self.streams.cover(Role::Response, id, extent, before.start == 0);
        if tunnel {
            self.end_at_response(cx, id);
        } else if head.ends_stream {
            self.end_message(cx, id);
        }
    }

    /// CONNECT (RFC 9113, 8.5, and RFC 8441): what follows is no message of HTTP.
    fn end_at_response(&mut self, cx: &mut Cx<'_, '_>, id: u32) {
        let all_seen = self.all_seen;
        if let Some(slot) = self.streams.get(id) {
            slot.message(Role::Response).phase = Phase::Done;
        }
        self.streams.finish(id, true, all_seen, cx.work);
    }

    /// RFC 9113, 8.1: a block behind the body.
    fn trailers(&mut self, cx: &mut Cx<'_, '_>, head: &Head) {
        let id = head.stream_id;
        let growth = Growth { bytes: head.bytes, body: 0, end: head.end, time: head.time, odd: head.odd };
        self.grow(cx, id, growth);
        let response = !self.is_request(cx);
        if let Some(slot) = self.streams.get(id) {
            slot.stream.exchange.anomalies |= head.anomalies;
            if response {
                slot.learn_of_call(&head.fields);
            }
        }
        if head.ends_stream {
            self.end_message(cx, id);
        }
    }

    /// A message has more bytes.
    pub(super) fn grow(&mut self, cx: &mut Cx<'_, '_>, id: u32, growth: Growth) {
        let Some(role) = self.role(cx.direction) else { return };
        let Some(slot) = self.streams.get(id) else { return };
        let Growth { bytes, body, end, time, odd } = growth;
        let message = slot.message(role);
        message.unsure = false;
        match message.phase {
            Phase::Done => return cx.violation(),
            Phase::Awaited if !message.broken => slot.break_message(role, Anomaly::ProtocolError),
            Phase::Awaited | Phase::Open => {}
        }
        touch(&mut slot.stream.exchange, role, bytes, body, time);
        let extent = role.of_mut(&mut slot.extents);
        let new = extent.start == 0;
        if new {
            extent.start = end.saturating_sub(bytes);
        }
        extent.end = end;
        let extent = *extent;
        let anomalies = &mut slot.stream.exchange.anomalies;
        let noted = anomalies.contains(Anomaly::Retransmit);
        *anomalies |= odd;
        // Copies do not matter any more to a message that has the anomaly.
        if new || !noted {
            self.streams.cover(role, id, extent, new);
        }
    }

    /// A message's last byte passed.
    pub(super) fn end_message(&mut self, cx: &mut Cx<'_, '_>, id: u32) {
        let all_seen = self.all_seen;
        let Some(role) = self.role(cx.direction) else { return };
        let Some(slot) = self.streams.get(id) else { return };
        slot.message(role).phase = Phase::Done;
        let request = *slot.message(Role::Request);
        if slot.is_done(Role::Response) && (request.phase == Phase::Done || request.unsure) {
            self.streams.finish(id, false, all_seen, cx.work);
        }
    }
}

impl Slot {
    /// What a response's fields, or its trailers, say of a call.
    fn learn_of_call(&mut self, fields: &super::fields::Fields) {
        let stream = &mut *self.stream;
        if fields.grpc_status.is_some() {
            stream.grpc_status = fields.grpc_status;
        }
        let is_call = fields.grpc || fields.grpc_status.is_some();
        if is_call && stream.type_unknown && stream.exchange.protocol != Protocol::Grpc {
            stream.exchange.protocol = Protocol::Grpc;
            if stream.exchange.response.is_some_and(|response| response.body_bytes > 0) {
                let [_, response] = &mut stream.messages;
                response.walk.lose();
            }
        }
    }
}
