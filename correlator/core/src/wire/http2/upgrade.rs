//! From HTTP/1.1 to HTTP/2 by Upgrade (RFC 7540, 3.2; gone from RFC 9113, still in use): the request in HTTP/1.1 is that of
//! stream 1.
use super::{
    super::{direction::Direction, pair::Open, work::Work},
    connection::Connection,
    grpc::Walk,
    stream::{Extent, Message, Phase, Role, Slot, Stream},
};
use crate::Protocol;

/// The stream of the request that asked for the upgrade.
const UPGRADED: u32 = 1;

impl Connection {
    /// What follows the response 101 to `open`, which was sent in this direction. What the client announced in
    /// HTTP2-Settings is not looked at, so that neither settings nor windows are known.
    pub(in crate::wire) fn upgraded(requests: Direction, open: Open, work: &mut Work<'_>) -> Self {
        let mut connection = Self::new(requests);
        connection.forget_settings();
        connection.confirmed = true;
        connection.highest = UPGRADED;
        connection.streams.insert(slot(open), false, work);
        connection
    }
}

fn slot(open: Open) -> Slot {
    let Open { mut exchange, request: (start, end), answer_at, broken, .. } = open;
    (exchange.protocol, exchange.stream_id) = (Protocol::Http2, UPGRADED);
    let message = Message { walk: Walk::lost(), broken, ..Message::default() };
    let stream = Stream {
        exchange,
        messages: [message, Message::default()],
        answer_from: answer_at.unwrap_or(0),
        type_unknown: false,
        timeout_ns: None,
        grpc_status: None,
        cancelled: false,
    };
    let extents = [Extent { start, end }, Extent::default()];
    let mut slot = Slot { id: UPGRADED, extents, stream: Box::new(stream) };
    slot.message(Role::Request).phase = Phase::Done;
    slot
}
