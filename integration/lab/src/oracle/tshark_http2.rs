//! tshark's HTTP/2 frames as exchanges: one stream, one request and one final response (RFC 9113, 8.1).

use std::collections::BTreeMap;

use serde_json::Value;

use super::Seen;
use super::tshark::{Packet, fields, members, number, text};

/// The streams of each connection.
#[derive(Default)]
pub(super) struct Http2 {
    streams: BTreeMap<(u64, u64), Seen>,
}

/// Frame types (RFC 9113, 6).
const DATA: u64 = 0;
const HEADERS: u64 = 1;
const PUSH_PROMISE: u64 = 5;
const CONTINUATION: u64 = 9;

impl Http2 {
    /// Takes one `http2` layer: a frame, or the preface.
    pub(super) fn take(&mut self, packet: &Packet<'_>, layer: &Value) {
        for frame in members(&layer["http2.stream"]) {
            let of = |name: &str| fields(frame, name).first().and_then(|value| number(value));
            let (Some(kind), Some(stream)) = (of("http2.type"), of("http2.streamid")) else { continue };
            let padding = if text(frame, "http2.flags.padded").is_some_and(|padded| padded == "1") {
                of("http2.pad_length").unwrap_or(0) + 1
            } else {
                0
            };
            match kind {
                DATA => self.data(packet, stream, of("http2.length").unwrap_or(0).saturating_sub(padding)),
                HEADERS | CONTINUATION => self.headers(packet, stream, frame),
                PUSH_PROMISE => self.promise(packet, of("http2.push_promise.promised_stream_id"), frame),
                _ => {}
            }
        }
    }

    /// The exchanges.
    pub(super) fn finish(self) -> Vec<Seen> {
        self.streams.into_values().collect()
    }

    fn data(&mut self, packet: &Packet<'_>, stream: u64, length: u64) {
        let Some(seen) = self.streams.get_mut(&(packet.connection, stream)) else { return };
        let body =
            if packet.source == seen.client { &mut seen.request_body } else { &mut seen.response_body };
        *body = Some(body.unwrap_or(0) + length);
    }

    /// A request's fields, a response's, or trailers.
    fn headers(&mut self, packet: &Packet<'_>, stream: u64, frame: &Value) {
        let fields = header_fields(frame);
        if fields.contains_key(":method") {
            let client_first = (packet.source, packet.destination);
            return self.request(packet, client_first, stream, &fields);
        }
        let Some(seen) = self.streams.get_mut(&(packet.connection, stream)) else { return };
        if packet.source == seen.server {
            respond(seen, &fields);
        }
    }

    /// What a client would have asked for.
    fn promise(&mut self, packet: &Packet<'_>, stream: Option<u64>, frame: &Value) {
        let client_first = (packet.destination, packet.source);
        self.request(packet, client_first, stream.unwrap_or(0), &header_fields(frame));
    }

    fn request(
        &mut self,
        packet: &Packet<'_>,
        (client, server): (std::net::SocketAddr, std::net::SocketAddr),
        stream: u64,
        fields: &BTreeMap<String, String>,
    ) {
        let of = |name: &str| fields.get(name).cloned();
        let grpc = of("content-type").is_some_and(|kind| kind.starts_with("application/grpc"));
        let stream_id = u32::try_from(stream).unwrap_or(u32::MAX);
        let seen = Seen {
            protocol: if grpc { "grpc" } else { "http/2" },
            method: of(":method").unwrap_or_default(),
            path: of(":path").unwrap_or_default(),
            authority: of(":authority").or_else(|| of("host")),
            request_body: Some(0),
            ..Seen::begun(client, server, stream_id, packet.time)
        };
        self.streams.insert((packet.connection, stream), seen);
    }
}

/// Takes a response's fields or its trailers; interim responses leave nothing behind.
fn respond(seen: &mut Seen, fields: &BTreeMap<String, String>) {
    let status = fields.get(":status").and_then(|status| status.parse::<u16>().ok());
    if let Some(status) = status.filter(|status| *status >= 200) {
        seen.status = Some(status);
        seen.response_body = Some(0);
    }
    if let Some(status) = fields.get("grpc-status").and_then(|status| status.parse().ok()) {
        seen.grpc_status = Some(status);
    }
}

/// The last value of each field.
fn header_fields(frame: &Value) -> BTreeMap<String, String> {
    let of = |field: &Value, name: &str| field[name].as_str().map(str::to_owned);
    fields(frame, "http2.header")
        .into_iter()
        .filter_map(|field| Some((of(field, "http2.header.name")?, of(field, "http2.header.value")?)))
        .collect()
}
