//! tshark's HTTP/1 messages as exchanges: on a connection the n-th final response answers the n-th request.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Seen;
use super::tshark::{Packet, fields, number, text};
use super::tshark_http2::Http2;

/// The messages of each connection.
#[derive(Default)]
pub(super) struct Http1 {
    connections: BTreeMap<u64, Connection>,
}

#[derive(Default)]
struct Connection {
    requests: Vec<Seen>,
    /// Final responses, as exchanges of which the request is not known.
    responses: Vec<Seen>,
}

impl Http1 {
    /// Takes one `http` layer; one with neither a method nor a status is a part of a body. An interim response is none
    /// that ends an exchange (RFC 9110, 15.2).
    pub(super) fn take(&mut self, packet: &Packet<'_>, layer: &Value) {
        let connection = self.connections.entry(packet.connection).or_default();
        if let Some(method) = text(layer, "http.request.method") {
            connection.requests.push(request(packet, layer, method));
        }
        let status = text(layer, "http.response.code").and_then(|code| code.parse::<u16>().ok());
        if let Some(status) = status.filter(|status| *status == 101 || *status >= 200) {
            connection.responses.push(response(packet, layer, status));
        }
    }

    /// The exchanges; a response that answers no request is one without a request. Those that asked for HTTP/2 and got
    /// it are `http2`'s.
    pub(super) fn finish(self, http2: &mut Http2) -> Vec<Seen> {
        let mut exchanges = Vec::new();
        for (connection, messages) in self.connections {
            let upgraded = |seen: Seen| match seen.status {
                Some(101) => http2.upgrade(connection, seen),
                _ => Some(seen),
            };
            exchanges.extend(messages.exchanges().into_iter().filter_map(upgraded));
        }
        exchanges
    }
}

impl Connection {
    fn exchanges(self) -> Vec<Seen> {
        let mut responses = self.responses.into_iter();
        let mut exchanges: Vec<Seen> =
            self.requests.into_iter().map(|request| answered(request, responses.next())).collect();
        exchanges.extend(responses);
        exchanges
    }
}

fn request(packet: &Packet<'_>, layer: &Value, method: String) -> Seen {
    Seen {
        path: text(layer, "http.request.uri").unwrap_or_default(),
        authority: text(layer, "http.host"),
        request_body: body(layer),
        ends: [Some(packet.time), None],
        method,
        ..Seen::begun(packet.source, packet.destination, 0, packet.time)
    }
}

fn response(packet: &Packet<'_>, layer: &Value, status: u16) -> Seen {
    Seen {
        status: Some(status),
        response_body: body(layer),
        ends: [None, Some(packet.time)],
        ..Seen::begun(packet.destination, packet.source, 0, packet.time)
    }
}

fn answered(request: Seen, response: Option<Seen>) -> Seen {
    let Some(Seen { status: Some(status), response_body, ends, .. }) = response else { return request };
    let ends = [request.ends[0], ends[1]];
    // A length that such a response names is that of a body that is not there (RFC 9110, 8.6).
    let bodiless =
        request.method == "HEAD" || request.method == "CONNECT" || matches!(status, 101 | 204 | 304);
    Seen {
        status: Some(status),
        ends,
        response_body: if bodiless { Some(0) } else { response_body },
        ..request
    }
}

/// How long the body is, where tshark says it: the chunks that it took apart, else Content-Length.
fn body(layer: &Value) -> Option<u64> {
    if text(layer, "http.transfer_encoding").is_some() {
        return Some(fields(layer, "http.chunk_size").into_iter().filter_map(number).sum());
    }
    fields(layer, "http.content_length").first().and_then(|length| number(length))
}
