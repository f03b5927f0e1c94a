//! A stream that begins, from a request's header block.
use std::num::NonZeroU64;

use super::{
    block::Head,
    connection::{Connection, Cx},
    fields::Fields,
    grpc::Walk,
    stream::{Message, Slot, Stream},
};
use crate::{Anomalies, Anomaly, Exchange, MessageSpan, Protocol, Side, wire::direction::Direction};

impl Connection {
    /// A stream that begins with this request.
    pub(super) fn slot(&self, cx: &mut Cx<'_, '_>, id: u32, mut head: Head) -> Slot {
        head.anomalies |= head.odd;
        head.anomalies |= self.missing(cx, &head.fields);
        let Fields { grpc, unknown, grpc_timeout, .. } = head.fields;
        let answer_from = head.start.reverse_end.max(head.start.ack.map_or(0, NonZeroU64::get));
        let walk = if grpc { Walk::default() } else { Walk::lost() };
        let messages = [Message { walk, ..Message::default() }, Message::default()];
        let stream = Stream {
            exchange: self.exchange(cx, id, head),
            messages,
            answer_from,
            type_unknown: unknown && !grpc,
            timeout_ns: grpc_timeout,
            grpc_status: None,
            cancelled: false,
        };
        Slot { id, extents: Default::default(), stream: Box::new(stream) }
    }

    /// What a request must say (RFC 9113, 8.3.1) and this one does not, as far as that is known.
    fn missing(&self, cx: &mut Cx<'_, '_>, fields: &Fields) -> Anomalies {
        let mut anomalies = Anomalies::default();
        let needs_path = fields.method.as_deref() != Some("CONNECT");
        if fields.method.is_none() || fields.path.is_none() && needs_path {
            let anomaly = if fields.unknown { Anomaly::UnknownHeaders } else { Anomaly::ProtocolError };
            cx.work.tally.count(anomaly);
            anomalies.insert(anomaly);
            self.doubt.filter(|_| fields.unknown).into_iter().for_each(|doubt| anomalies.insert(doubt));
        }
        anomalies
    }

    fn exchange(&self, cx: &Cx<'_, '_>, id: u32, head: Head) -> Exchange {
        let Head { fields, anomalies, start, time, bytes, .. } = head;
        // The server sends a promise, and is no client for it.
        let of_client = self.requests.unwrap_or(cx.direction);
        Exchange {
            flow: cx.link.id,
            vantage: cx.link.vantage,
            side: if of_client == Direction::FromPod { Side::Client } else { Side::Server },
            protocol: if fields.grpc { Protocol::Grpc } else { Protocol::Http2 },
            method: fields.method.unwrap_or_default(),
            path: fields.path.unwrap_or_default(),
            authority: fields.authority,
            status: None,
            stream_id: id,
            socket_cookie: cx.link.cookie,
            request_seq: cx.link.seq_of(cx.direction, start.offset),
            request_ack: start.ack.map_or(0, |at| cx.link.seq_of(cx.direction.reverse(), at.get())),
            request: MessageSpan { first_byte: start.time, last_byte: time, bytes, body_bytes: 0 },
            response: None,
            grpc: None,
            flow_control: None,
            reset: None,
            connection: None,
            complete: false,
            anomalies,
        }
    }
}
