//! One request and its response (RFC 9110, 3.4), as it grows from stage to stage of the pipeline.
use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use serde::Serialize;

use crate::{Connection, Identity, Ktime, Link, Phases, Pod, Propagation};

/// Which end of the exchange the pod is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The pod got the request.
    Server,
    /// The pod sent the request.
    Client,
}

/// What the two ends speak. A connection of `Tls` or `Tcp` is one row when it ends: what its client sent stands for the
/// request, what its server sent for the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// HTTP/1.0 and HTTP/1.1 (RFC 9112).
    Http1,
    /// HTTP/2 (RFC 9113).
    Http2,
    /// gRPC over HTTP/2.
    Grpc,
    /// TLS: never guessed at.
    Tls,
    /// Anything else.
    Tcp,
}

/// Where a connection was seen, and its two ends: what the flow table is keyed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId {
    /// Netns cookie of the pod.
    pub netns: u64,
    /// Interface index of the vantage's device.
    pub ifindex: u32,
    /// The pod's end.
    pub local: Endpoint,
    /// The other end.
    pub peer: Endpoint,
}

/// An address and a port; IPv4 as v4-mapped IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The address.
    pub address: [u8; 16],
    /// The port.
    pub port: u16,
}

impl Protocol {
    /// Whether its rows are whole connections, and no requests.
    pub const fn is_connection(self) -> bool {
        matches!(self, Self::Tls | Self::Tcp)
    }
}

impl Endpoint {
    /// The address; IPv4 as itself.
    pub fn ip(self) -> IpAddr {
        Ipv6Addr::from(self.address).to_canonical()
    }

    /// For people: `a.b.c.d:port` or `[v6]:port`.
    pub fn socket_addr(self) -> SocketAddr {
        SocketAddr::new(self.ip(), self.port)
    }
}

/// One message on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageSpan {
    /// When its first byte first passed the vantage.
    pub first_byte: Ktime,
    /// When its last byte (seen so far, while it is incomplete) first passed the vantage.
    pub last_byte: Ktime,
    /// Its bytes on the wire, head and body with its framing.
    pub bytes: u64,
    /// Bytes of its body, without chunked framing.
    pub body_bytes: u64,
}

/// A request and its response as seen at one vantage.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Its connection.
    pub flow: FlowId,
    /// `VANTAGE_*` of the ABI.
    pub vantage: u8,
    /// Which end the pod is.
    pub side: Side,
    /// What the ends speak.
    pub protocol: Protocol,
    /// The request's method, as it was sent.
    pub method: String,
    /// The request's target: the path, without the query where that is redacted.
    pub path: String,
    /// The Host field, the authority of an absolute target, or the server name of TLS.
    pub authority: Option<String>,
    /// The final response's status code.
    pub status: Option<u16>,
    /// HTTP/2 stream; 0 on HTTP/1.
    pub stream_id: u32,
    /// The pod's socket; 0 while unknown.
    pub socket_cookie: u64,
    /// TCP sequence number of the request's first byte.
    pub request_seq: u32,
    /// Acknowledgement number of the segment that first carried it.
    pub request_ack: u32,
    /// The request on the wire.
    pub request: MessageSpan,
    /// The final response on the wire.
    pub response: Option<MessageSpan>,
    /// What gRPC adds to HTTP/2.
    pub grpc: Option<Box<Grpc>>,
    /// What the request's fields say of its trace.
    pub propagation: Option<Box<Propagation>>,
    /// How long flow control held the messages up; absent where the windows are unknown.
    pub flow_control: Option<FlowControl>,
    /// Why one of the ends broke the stream off, where it did.
    pub reset: Option<ErrorCode>,
    /// Of a row that is a connection: what is known of it.
    pub connection: Option<Box<Connection>>,
    /// Both messages were seen to their ends.
    pub complete: bool,
    /// What was odd.
    pub anomalies: Anomalies,
}

/// What a gRPC call says over its HTTP/2 stream (PROTOCOL-HTTP2.md of grpc/grpc).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grpc {
    /// `grpc-status`, of the trailers or of a response that is only trailers.
    pub status: Option<u32>,
    /// The request's messages; absent where not all were seen.
    pub request: Option<Messages>,
    /// The response's messages; absent where not all were seen.
    pub response: Option<Messages>,
    /// When the first byte of the response's first message first passed the vantage.
    pub first_message: Option<Ktime>,
    /// `grpc-timeout`, in ns.
    pub timeout_ns: Option<u64>,
    /// A message was compressed.
    pub compressed: bool,
    /// The client broke the call off.
    pub cancelled: bool,
}

/// Length-prefixed messages that came to their ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    /// How many.
    pub count: u64,
    /// Their bytes, without the five before each.
    pub bytes: u64,
}

/// How long a message could not be sent because its receiver gave no room (RFC 9113, 5.2), in ns: from the DATA frame
/// that used a window up, the stream's or the connection's, until the frame that opened it again passed the vantage.
/// Counts where the stream then goes on with DATA.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FlowControl {
    /// Of the request.
    pub request_blocked_ns: u64,
    /// Of the response.
    pub response_blocked_ns: u64,
}

/// An error code of RST_STREAM or GOAWAY (RFC 9113, 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(pub u32);

impl ErrorCode {
    /// All is well: the rest of a request is not needed.
    pub const NO_ERROR: Self = Self(0);
    /// The stream is not needed any more.
    pub const CANCEL: Self = Self(8);

    /// The RFC's name; nothing for a code that it does not have.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0x00 => "NO_ERROR",
            0x01 => "PROTOCOL_ERROR",
            0x02 => "INTERNAL_ERROR",
            0x03 => "FLOW_CONTROL_ERROR",
            0x04 => "SETTINGS_TIMEOUT",
            0x05 => "STREAM_CLOSED",
            0x06 => "FRAME_SIZE_ERROR",
            0x07 => "REFUSED_STREAM",
            0x08 => "CANCEL",
            0x09 => "COMPRESSION_ERROR",
            0x0a => "CONNECT_ERROR",
            0x0b => "ENHANCE_YOUR_CALM",
            0x0c => "INADEQUATE_SECURITY",
            0x0d => "HTTP_1_1_REQUIRED",
            _ => return None,
        })
    }
}

impl Exchange {
    /// When the last byte of both messages passed.
    pub fn last_byte(&self) -> Ktime {
        let request = self.request.last_byte;
        self.response.map_or(request, |response| response.last_byte.max(request))
    }
}

/// Who read and wrote the messages in the pod, from the socket events; absent while unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct App {
    /// When the call returned that read the last byte of the incoming message (server: the request).
    pub read: Option<Ktime>,
    /// When the call returned that wrote the last byte of the outgoing message (server: the response).
    pub write_returned: Option<Ktime>,
    /// The goroutine: the server's reader of the request, the client's writer of the request.
    pub goid: Option<u64>,
    /// The thread of that call.
    pub tid: Option<u32>,
    /// The process.
    pub pid: Option<u32>,
}

/// An exchange with what the pod's sockets said of it.
#[derive(Clone, Debug)]
pub struct JoinedExchange {
    /// What the wire said.
    pub exchange: Exchange,
    /// What the sockets said.
    pub app: App,
}

/// An exchange with its place in a trace, and where its time went.
#[derive(Clone, Debug)]
pub struct TracedExchange {
    /// What was joined.
    pub joined: JoinedExchange,
    /// Its span's place.
    pub link: Link,
    /// Where its time went.
    pub phases: Phases,
}

/// An exchange with the names of its two ends: what leaves the pipeline.
#[derive(Clone, Debug)]
pub struct AttributedExchange {
    /// What was joined.
    pub joined: JoinedExchange,
    /// Its span's place.
    pub link: Link,
    /// Where its time went.
    pub phases: Phases,
    /// `namespace/name` of the pod.
    pub pod: Option<Arc<str>>,
    /// The pod as its runtime told of it, where that was known in time.
    pub owner: Option<Arc<Pod>>,
    /// What kind of thing its path asks for: bounded, however many paths there are.
    pub route: Option<Arc<str>>,
    /// Inode number of the pod's netns; 0 while unknown.
    pub netns_inode: u64,
    /// Who that pod is, as the cluster says: what its spans' resource is made of.
    pub identity: Option<Arc<Identity>>,
    /// `namespace/name` of the pod at the other end, where it is one of this node, or the cluster says so.
    pub peer_pod: Option<Arc<str>>,
    /// Who the pod at the other end is, where it is one of this node of which the cluster has told. Not kept in
    /// [`Packed`](crate::Packed).
    pub peer_identity: Option<Arc<Identity>>,
    /// `namespace/name` of the service at the other end, where the cluster says that the address is one's.
    pub peer_service: Option<Arc<str>>,
    /// Name of the network that the other end is in, where it is no pod.
    pub peer_network: Option<Arc<str>>,
    /// What to add to `Ktime` for the time since the epoch, in ns.
    pub clock_offset: i64,
}

macro_rules! anomalies {
    ($($(#[$doc:meta])* $name:ident = $bit:literal, $text:literal;)*) => {
        /// One thing that was odd about an exchange or a connection.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Anomaly { $($(#[$doc])* $name = $bit,)* }

        impl Anomaly {
            /// Every kind, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The value of the metrics' label `kind` and of the JSON.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

anomalies! {
    /// A segment of the message was sent again.
    Retransmit = 0, "retransmit";
    /// The connection was older than its vantage.
    JoinedMidway = 1, "joined_midway";
    /// Bytes of the connection were lost on their way to the pipeline.
    Gap = 2, "gap";
    /// A head longer than `max_header_bytes`. In HTTP/1 what matters of it was read all the same.
    HeaderTooLarge = 3, "header_too_large";
    /// Content-Length and Transfer-Encoding, or two lengths, contradict each other (RFC 9112, 6.3).
    ConflictingLength = 4, "conflicting_length";
    /// The connection ended within a message.
    Truncated = 5, "truncated";
    /// The connection ended before the response began.
    RequestWithoutResponse = 6, "request_without_response";
    /// A response that answers no request that was seen.
    ResponseWithoutRequest = 7, "response_without_request";
    /// Bytes where a message should begin that begin none.
    Garbage = 8, "garbage";
    /// Bytes behind a message that began no other: the sender announced too short a body.
    BodyLongerThanAnnounced = 9, "body_longer_than_announced";
    /// The response was complete before the request.
    EarlyResponse = 10, "early_response";
    /// More requests waited for their response than a connection may have.
    TooManyPending = 11, "too_many_pending";
    /// The connection was forgotten to make room.
    Evicted = 12, "evicted";
    /// A peer said that it will not look at the request (GOAWAY).
    GoAway = 13, "goaway";
    /// The server sent the request itself, because it expected it (PUSH_PROMISE).
    Pushed = 14, "pushed";
    /// What no end of an HTTP/2 connection may send (RFC 9113).
    ProtocolError = 15, "protocol_error";
    /// A field of the head refers to a header table's entry that nobody saw inserted.
    UnknownHeaders = 16, "unknown_headers";
    /// A line of an HTTP/1 head is no field, or has bytes that no field has (RFC 9112, 5; RFC 9110, 5.5).
    MalformedField = 17, "malformed_field";
    /// Bytes of the message passed after later ones: reordered on their way, or lost before the vantage and sent again.
    OutOfOrder = 18, "out_of_order";
}

/// A set of [`Anomaly`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Anomalies(u32);

impl Anomalies {
    /// Adds one.
    pub fn insert(&mut self, anomaly: Anomaly) {
        self.0 |= 1 << anomaly as u32;
    }

    /// Whether it is in the set.
    pub fn contains(self, anomaly: Anomaly) -> bool {
        self.0 & (1 << anomaly as u32) != 0
    }

    /// Whether nothing was odd.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// One bit for each kind, by its number.
    pub(crate) fn bits(self) -> u32 {
        self.0
    }

    /// The set with these bits.
    pub(crate) fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// Those in the set, in the order of their numbers.
    pub fn iter(self) -> impl Iterator<Item = Anomaly> {
        Anomaly::ALL.iter().copied().filter(move |anomaly| self.contains(*anomaly))
    }
}

impl std::ops::BitOrAssign for Anomalies {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}
