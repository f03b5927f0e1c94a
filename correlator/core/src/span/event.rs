//! What happened while a span was open.
use super::attribute::{Attribute, Value, key};
use crate::{Anomaly, AttributedExchange, FlowControl};

/// Segments of the exchange were sent again.
const RETRANSMIT: &str = "weft.retransmit";
/// A message could not be sent because its receiver gave no room.
const BLOCKED: &str = "weft.flow_control";

/// Something that happened at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// What.
    pub name: &'static str,
    /// In ns since the epoch: when the message that it happened to was over. When within it nobody noted.
    pub time: u64,
    /// What is said of it.
    pub attributes: Vec<Attribute>,
}

/// Those of an exchange, in the order of time.
pub(super) fn of(attributed: &AttributedExchange) -> Vec<Event> {
    let exchange = &attributed.joined.exchange;
    let FlowControl { request_blocked_ns, response_blocked_ns } = exchange.flow_control.unwrap_or_default();
    let requested = exchange.request.last_byte;
    let answered = exchange.response.map_or(requested, |response| response.last_byte);
    let stalls = [("request", requested, request_blocked_ns), ("response", answered, response_blocked_ns)]
        .into_iter()
        .filter(|(_, _, ns)| *ns > 0)
        .map(|(message, time, ns)| blocked(message, attributed.epoch(time), ns));
    let again = exchange.anomalies.contains(Anomaly::Retransmit);
    let again = again.then(|| Event { name: RETRANSMIT, time: attributed.end(), attributes: Vec::new() });
    let mut events: Vec<_> = stalls.chain(again).collect();
    events.sort_by_key(|event| event.time);
    events
}

fn blocked(message: &'static str, time: u64, ns: u64) -> Event {
    let ns = i64::try_from(ns).unwrap_or(i64::MAX);
    let attributes = vec![
        Attribute { key: key::WEFT_MESSAGE.into(), value: Value::Text(message.into()) },
        Attribute { key: key::WEFT_BLOCKED.into(), value: Value::Number(ns) },
    ];
    Event { name: BLOCKED, time, attributes }
}
