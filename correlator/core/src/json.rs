//! An exchange as one line of `/api/v1/exchanges`, `weft replay --json` and the expected files of tests. What is unknown
//! is absent, never 0 and never null; times are ns since the epoch.
use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq},
};
use weft_abi::{VANTAGE_LO, VANTAGE_VETH};

use crate::{
    Anomalies, App, AttributedExchange, Connection, ErrorCode, Exchange, ExchangeId, Grpc, JoinedExchange,
    Ktime, Link, MessageSpan, Phases, Protocol, Side, SpanId, Tcp, Tls, TlsVersion, TraceId,
};

impl Serialize for AttributedExchange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let JoinedExchange { exchange, app } = &self.joined;
        let clock = Clock(self.clock_offset);
        let mut map = serializer.serialize_map(None)?;
        self.whose(exchange, &mut map)?;
        what(exchange, &mut map)?;
        optional(&mut map, "route", self.route.as_deref())?;
        optional(&mut map, "grpc", exchange.grpc.as_deref().map(|grpc| clock.grpc(grpc)))?;
        optional(&mut map, "flow_control", exchange.flow_control)?;
        optional(&mut map, "reset", exchange.reset)?;
        connection(exchange, &mut map)?;
        self.between(exchange, &mut map)?;
        map.serialize_entry("request", &clock.message(&exchange.request))?;
        optional(&mut map, "response", exchange.response.as_ref().map(|response| clock.message(response)))?;
        optional(&mut map, "app", clock.app(app))?;
        optional(&mut map, "phases_ns", Some(self.phases).filter(|phases| *phases != Phases::default()))?;
        trace(exchange, &self.link, &mut map)?;
        map.serialize_entry("complete", &exchange.complete)?;
        map.serialize_entry("anomalies", &exchange.anomalies)?;
        map.end()
    }
}

impl AttributedExchange {
    fn whose<M: SerializeMap>(&self, exchange: &Exchange, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("exchange_id", &exchange.id())?;
        map.serialize_entry("side", exchange.side.name())?;
        map.serialize_entry("vantage", vantage_name(exchange.vantage))?;
        optional(map, "pod", self.pod.as_deref())?;
        let workload = self.identity.as_deref().and_then(|identity| identity.workload.as_ref());
        optional(map, "workload", workload.map(|workload| workload.name.as_str()))?;
        optional(map, "netns", known(self.netns_inode))
    }

    fn between<M: SerializeMap>(&self, exchange: &Exchange, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("local", &exchange.flow.local.socket_addr())?;
        map.serialize_entry("peer", &exchange.flow.peer.socket_addr())?;
        optional(map, "peer_pod", self.peer_pod.as_deref())?;
        optional(map, "peer_service", self.peer_service.as_deref())?;
        optional(map, "peer_network", self.peer_network.as_deref())?;
        optional(map, "socket_cookie", known(exchange.socket_cookie))?;
        map.serialize_entry("stream_id", &exchange.stream_id)
    }
}

fn what<M: SerializeMap>(exchange: &Exchange, map: &mut M) -> Result<(), M::Error> {
    map.serialize_entry("protocol", exchange.protocol.name())?;
    optional(map, "method", Some(exchange.method.as_str()).filter(|method| !method.is_empty()))?;
    optional(map, "path", Some(exchange.path.as_str()).filter(|path| !path.is_empty()))?;
    optional(map, "authority", exchange.authority.as_deref())?;
    optional(map, "status", exchange.status)?;
    optional(map, "grpc_status", exchange.grpc.as_deref().and_then(|grpc| grpc.status))
}

fn connection<M: SerializeMap>(exchange: &Exchange, map: &mut M) -> Result<(), M::Error> {
    let Some(Connection { tls, tcp }) = exchange.connection.as_deref() else { return Ok(()) };
    optional(map, "tls", tls.as_ref().map(TlsJson::new))?;
    optional(map, "tcp", Some(tcp).filter(|tcp| **tcp != Tcp::default()))
}

/// The span that this side is, and where it has its place.
fn trace<M: SerializeMap>(exchange: &Exchange, link: &Link, map: &mut M) -> Result<(), M::Error> {
    map.serialize_entry("trace_id", &link.trace_id)?;
    map.serialize_entry("span_id", &exchange.span_id())?;
    optional(map, "parent_span_id", link.parent_span_id)?;
    map.serialize_entry("evidence", link.evidence.name())
}

fn optional<M: SerializeMap>(
    map: &mut M,
    key: &'static str,
    value: Option<impl Serialize>,
) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(key, &value))
}

/// Numbers whose 0 means that they are unknown.
fn known(number: u64) -> Option<u64> {
    (number != 0).then_some(number)
}

fn vantage_name(vantage: u8) -> &'static str {
    match vantage {
        VANTAGE_VETH => "veth",
        VANTAGE_LO => "lo",
        _ => "unknown",
    }
}

/// What to add to a time for ns since the epoch.
#[derive(Clone, Copy)]
struct Clock(i64);

impl Clock {
    fn epoch(self, time: Ktime) -> u64 {
        time.0.saturating_add_signed(self.0)
    }

    fn message(self, message: &MessageSpan) -> MessageJson {
        let MessageSpan { first_byte, last_byte, bytes, body_bytes } = *message;
        MessageJson {
            first_byte: self.epoch(first_byte),
            last_byte: self.epoch(last_byte),
            bytes,
            body_bytes,
        }
    }

    fn grpc(self, grpc: &Grpc) -> GrpcJson {
        let Grpc { status: _, request, response, first_message, timeout_ns, compressed, cancelled } = *grpc;
        GrpcJson {
            request_messages: request.map(|messages| messages.count),
            request_message_bytes: request.map(|messages| messages.bytes),
            response_messages: response.map(|messages| messages.count),
            response_message_bytes: response.map(|messages| messages.bytes),
            first_message: first_message.map(|time| self.epoch(time)),
            timeout_ns,
            compressed: compressed.then_some(true),
            cancelled: cancelled.then_some(true),
        }
    }

    fn app(self, app: &App) -> Option<AppJson> {
        let App { read, write_returned, goid, tid, pid } = *app;
        let (read, write_returned) =
            (read.map(|time| self.epoch(time)), write_returned.map(|time| self.epoch(time)));
        (*app != App::default()).then_some(AppJson { read, write_returned, goid, tid, pid })
    }
}

#[derive(Serialize)]
struct MessageJson {
    first_byte: u64,
    last_byte: u64,
    bytes: u64,
    body_bytes: u64,
}

#[derive(Serialize)]
struct AppJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    read: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    write_returned: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    goid: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
}

#[derive(Serialize)]
struct GrpcJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    request_messages: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_message_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_messages: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_message_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_message: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compressed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancelled: Option<bool>,
}

#[derive(Serialize)]
struct TlsJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<TlsVersion>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sni: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alpn: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    alpn_offered: &'a [String],
}

impl<'a> TlsJson<'a> {
    fn new(tls: &'a Tls) -> Self {
        let Tls { version, sni, alpn, alpn_offered } = tls;
        Self { version: *version, sni: sni.as_deref(), alpn: alpn.as_deref(), alpn_offered }
    }
}

impl Serialize for TlsVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.name() {
            Some(name) => serializer.serialize_str(name),
            None => serializer.collect_str(&format_args!("0x{:04x}", self.0)),
        }
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.name() {
            Some(name) => serializer.serialize_str(name),
            None => serializer.collect_str(&format_args!("0x{:x}", self.0)),
        }
    }
}

impl Side {
    /// As in the JSON: `server` or `client`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }
}

impl Protocol {
    /// As in the JSON and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http1 => "http/1.1",
            Self::Http2 => "http/2",
            Self::Grpc => "grpc",
            Self::Tls => "tls",
            Self::Tcp => "tcp",
        }
    }
}

impl Serialize for Anomalies {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut names = serializer.serialize_seq(None)?;
        for anomaly in self.iter() {
            names.serialize_element(anomaly.name())?;
        }
        names.end()
    }
}

impl Serialize for ExchangeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for SpanId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for TraceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
