//! tshark's HTTP/2 frames as exchanges: one stream, one request and one final response (RFC 9113, 8.1).

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use serde_json::Value;

use super::Seen;
use super::tshark::{Packet, fields, members, number, text};

/// The streams of each connection.
#[derive(Default)]
pub(super) struct Http2 {
    streams: BTreeMap<(u64, u64), Seen>,
    /// Streams whose header block goes on in CONTINUATION frames, and ends the message.
    ending: BTreeSet<(u64, u64)>,
}

/// The stream of a request that asked for HTTP/2.
const UPGRADED: u64 = 1;

/// Frame types (RFC 9113, 6).
const DATA: u64 = 0;
const HEADERS: u64 = 1;
const RST_STREAM: u64 = 3;
const PUSH_PROMISE: u64 = 5;
const CONTINUATION: u64 = 9;

impl Http2 {
    /// Takes one `http2` layer: a frame, or the preface.
    pub(super) fn take(&mut self, packet: &Packet<'_>, layer: &Value) {
        for frame in members(&layer["http2.stream"]) {
            let of = |name: &str| fields(frame, name).first().and_then(|value| number(value));
            let (Some(kind), Some(stream)) = (of("http2.type"), of("http2.streamid")) else { continue };
            match kind {
                DATA => {
                    self.data(packet, stream, of("http2.length").unwrap_or(0).saturating_sub(padding(frame)))
                }
                HEADERS | CONTINUATION => self.headers(packet, stream, frame),
                PUSH_PROMISE => self.promise(packet, of("http2.push_promise.promised_stream_id"), frame),
                RST_STREAM => self.reset(packet, stream, of("http2.rst_stream.error")),
                _ => {}
            }
            self.note_end(packet, stream, kind, frame);
        }
    }

    /// The exchanges.
    pub(super) fn finish(self) -> Vec<Seen> {
        self.streams.into_values().collect()
    }

    /// The request in HTTP/1 with which the client asked for HTTP/2 is that of stream 1 (RFC 7540, 3.2). Gives it back
    /// where nothing of the kind followed.
    pub(super) fn upgrade(&mut self, connection: u64, request: Seen) -> Option<Seen> {
        let unasked = |seen: &&mut Seen| seen.method.is_empty();
        let Some(seen) = self.streams.get_mut(&(connection, UPGRADED)).filter(unasked) else {
            return Some(request);
        };
        let answer = seen.clone();
        let (status, response_body) = (answer.status, answer.response_body);
        let ends = [request.ends[0], answer.ends[1]];
        let stream_id = answer.stream_id;
        *seen = Seen { protocol: "http/2", stream_id, status, response_body, ends, ..request };
        None
    }

    fn data(&mut self, packet: &Packet<'_>, stream: u64, length: u64) {
        let Some(seen) = self.streams.get_mut(&(packet.connection, stream)) else { return };
        let body =
            if packet.source == seen.client { &mut seen.request_body } else { &mut seen.response_body };
        *body = Some(body.unwrap_or(0) + length);
    }

    /// A message's last frame; where its fields go on in CONTINUATION, the last of these.
    fn note_end(&mut self, packet: &Packet<'_>, stream: u64, kind: u64, frame: &Value) {
        let key = (packet.connection, stream);
        if is_set(frame, "http2.flags.end_stream") && !is_set(frame, "http2.flags.eh") && kind == HEADERS {
            self.ending.insert(key);
        }
        let ends = match kind {
            DATA | HEADERS => is_set(frame, "http2.flags.end_stream") && !self.ending.contains(&key),
            CONTINUATION => is_set(frame, "http2.flags.eh") && self.ending.remove(&key),
            _ => false,
        };
        let Some(seen) = self.streams.get_mut(&key).filter(|_| ends) else { return };
        let [request, response] = &mut seen.ends;
        *(if packet.source == seen.client { request } else { response }) = Some(packet.time);
    }

    /// A stream is broken off, where its response was not whole.
    fn reset(&mut self, packet: &Packet<'_>, stream: u64, code: Option<u64>) {
        let Some(seen) = self.streams.get_mut(&(packet.connection, stream)) else { return };
        if seen.ends[1].is_none() {
            let name = code.and_then(|code| ERRORS.get(usize::try_from(code).ok()?).copied());
            seen.reset.get_or_insert_with(|| name.unwrap_or("unknown").to_owned());
        }
    }

    /// A request's fields, a response's, or trailers.
    fn headers(&mut self, packet: &Packet<'_>, stream: u64, frame: &Value) {
        let fields = header_fields(frame);
        if fields.contains_key(":method") {
            let client_first = (packet.source, packet.destination);
            return self.request(packet, client_first, stream, &fields);
        }
        let key = (packet.connection, stream);
        if stream == UPGRADED && fields.contains_key(":status") {
            let unasked = || Seen::begun(packet.destination, packet.source, 1, packet.time);
            self.streams.entry(key).or_insert_with(unasked);
        }
        let Some(seen) = self.streams.get_mut(&key) else { return };
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
        (client, server): (SocketAddr, SocketAddr),
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

/// Error codes by their numbers (RFC 9113, 7).
const ERRORS: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];

fn is_set(frame: &Value, flag: &str) -> bool {
    text(frame, flag).is_some_and(|flag| flag == "1")
}

/// Bytes of a DATA frame that are no data: the padding, and the byte that says how long it is (RFC 9113, 6.1).
fn padding(frame: &Value) -> u64 {
    let length = fields(frame, "http2.pad_length").first().and_then(|length| number(length));
    if is_set(frame, "http2.flags.padded") { length.unwrap_or(0) + 1 } else { 0 }
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
