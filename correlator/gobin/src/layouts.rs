//! From a function's arguments to what a record of its call says, by the names of the members on the way. The offsets come from
//! the binary or from a table; nothing here depends on a version but the shapes, of which the first that fits counts.
//!
//! ABIInternal passes the receiver first; an interface takes two registers, its type's word and its data's.
use crate::{
    functions::Known,
    wanted::{GRPC, GRPC_TRANSPORT, HTTP, INTERNAL_HTTP2, X_HTTP2},
};

/// Registers of argument words, in ABIInternal's order.
const RAX: u8 = 0;
const RBX: u8 = 1;
const RCX: u8 = 2;
const RDI: u8 = 3;

/// What to read at a function.
pub struct Layout {
    package: &'static str,
    name: &'static str,
    /// To the data word of the `net.Conn`.
    pub conn: &'static [Way],
    /// To the HTTP/2 stream identifier.
    pub stream: &'static [Way],
    /// To the data word of the `context.Context`.
    pub context: &'static [Way],
}

/// From an argument along members.
pub struct Way {
    /// Which argument word.
    pub register: u8,
    /// The members.
    pub hops: &'static [Hop],
}

/// A member on the way.
pub struct Hop {
    /// The path of the package.
    pub package: &'static str,
    /// The structure.
    pub structure: &'static str,
    /// Its member.
    pub member: &'static str,
    /// What the member has to be.
    pub kind: Kind,
}

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A structure that lies in the one before.
    Inside,
    /// A pointer to the next one.
    Pointer,
    /// An interface: its data word is what is looked for.
    Interface,
    /// A number: what is looked for.
    Number,
}

/// What to read at this function; None of the runtime's.
pub fn of(known: &Known) -> Option<&'static Layout> {
    LAYOUTS.iter().find(|layout| layout.package == known.package && layout.name == known.name)
}

const fn hop(package: &'static str, structure: &'static str, member: &'static str, kind: Kind) -> Hop {
    Hop { package, structure, member, kind }
}

const REQUEST_CONTEXT: Hop = hop(HTTP, "Request", "ctx", Kind::Interface);

/// HTTP/2 is the same thrice, under other names.
macro_rules! h2_serve {
    ($package:expr, $conn:literal, $writer:literal, $state:literal, $stream:literal, $context:expr) => {
        Layout {
            package: $package,
            name: concat!("(*", $conn, ").runHandler"),
            conn: &[Way { register: RAX, hops: &[hop($package, $conn, "conn", Kind::Interface)] }],
            stream: &[Way {
                register: RBX,
                hops: &[
                    hop($package, $writer, "rws", Kind::Pointer),
                    hop($package, $state, "stream", Kind::Pointer),
                    hop($package, $stream, "id", Kind::Number),
                ],
            }],
            context: &[Way { register: RCX, hops: &[$context] }],
        }
    };
}

macro_rules! h2_call {
    ($package:expr, $stream:literal, $conn:literal) => {
        Layout {
            package: $package,
            name: concat!("(*", $stream, ").encodeAndWriteHeaders"),
            conn: &[Way {
                register: RAX,
                hops: &[
                    hop($package, $stream, "cc", Kind::Pointer),
                    hop($package, $conn, "tconn", Kind::Interface),
                ],
            }],
            stream: &[Way { register: RAX, hops: &[hop($package, $stream, "ID", Kind::Number)] }],
            context: &[Way { register: RAX, hops: &[hop($package, $stream, "ctx", Kind::Interface)] }],
        }
    };
}

/// A member of grpc's stream, from the stream of one side: that has held the common one since grpc 1.77, pointed to it since
/// 1.69, and before there was only the common one. The order is right because members come from a source that is whole: what
/// has the third shape has no stream of one side.
macro_rules! of_stream {
    ($register:expr, $side:literal, $member:literal, $kind:expr) => {
        &[
            Way {
                register: $register,
                hops: &[
                    hop(GRPC_TRANSPORT, $side, "Stream", Kind::Inside),
                    hop(GRPC_TRANSPORT, "Stream", $member, $kind),
                ],
            },
            Way {
                register: $register,
                hops: &[
                    hop(GRPC_TRANSPORT, $side, "Stream", Kind::Pointer),
                    hop(GRPC_TRANSPORT, "Stream", $member, $kind),
                ],
            },
            Way { register: $register, hops: &[hop(GRPC_TRANSPORT, "Stream", $member, $kind)] },
        ]
    };
}

const GRPC_CONN: &[Way] =
    &[Way { register: RAX, hops: &[hop(GRPC_TRANSPORT, "http2Client", "conn", Kind::Interface)] }];
/// What has happened when each of them is called was read in the sources of every release that the table knows:
///
/// - `runHandler` is only ever called by a `go` statement (`serverConn.processHeaders` and others, net/http/h2_bundle.go and
///   x/net http2/server.go): it runs in the goroutine that then runs the handler.
/// - `encodeAndWriteHeaders` is called by `clientStream.writeRequest` after `addStreamLocked` has given the stream its identifier,
///   in the goroutine that `ClientConn.roundTrip` starts for `cs.doRequest` (net/http/h2_bundle.go, x/net http2/transport.go,
///   since Go 1.27 net/http/internal/http2/transport.go): its parent is the goroutine that sends the request.
/// - `persistConn.roundTrip` is called by `Transport.roundTrip` in the goroutine that sends the request (net/http/transport.go).
/// - `handleStream` is the first thing that grpc's goroutine of a call does, or one of its workers (`serveStreams`,
///   grpc/server.go).
/// - `http2Client.write` (`Write` before 1.69) is called with a stream that `NewStream` returned: that has set its identifier under the
///   control buffer's lock (grpc/internal/transport/http2_client.go). It runs in the goroutine that sends a message, or says that
///   there is none.
const LAYOUTS: [Layout; 11] = [
    // The server is its receiver, a structure of one pointer; then the writer and the request.
    Layout {
        package: HTTP,
        name: "serverHandler.ServeHTTP",
        conn: &[],
        stream: &[],
        context: &[Way { register: RDI, hops: &[REQUEST_CONTEXT] }],
    },
    Layout {
        package: HTTP,
        name: "(*persistConn).roundTrip",
        conn: &[Way { register: RAX, hops: &[hop(HTTP, "persistConn", "conn", Kind::Interface)] }],
        stream: &[],
        context: &[Way {
            register: RBX,
            hops: &[hop(HTTP, "transportRequest", "Request", Kind::Pointer), REQUEST_CONTEXT],
        }],
    },
    h2_serve!(
        HTTP,
        "http2serverConn",
        "http2responseWriter",
        "http2responseWriterState",
        "http2stream",
        REQUEST_CONTEXT
    ),
    h2_serve!(
        INTERNAL_HTTP2,
        "serverConn",
        "responseWriter",
        "responseWriterState",
        "stream",
        hop(INTERNAL_HTTP2, "ServerRequest", "Context", Kind::Interface)
    ),
    h2_serve!(X_HTTP2, "serverConn", "responseWriter", "responseWriterState", "stream", REQUEST_CONTEXT),
    h2_call!(HTTP, "http2clientStream", "http2ClientConn"),
    h2_call!(INTERNAL_HTTP2, "clientStream", "ClientConn"),
    h2_call!(X_HTTP2, "clientStream", "ClientConn"),
    // The transport is an interface: the connection is the one of HTTP/2, unless net/http's server serves grpc.
    Layout {
        package: GRPC,
        name: "(*Server).handleStream",
        conn: &[Way { register: RCX, hops: &[hop(GRPC_TRANSPORT, "http2Server", "conn", Kind::Interface)] }],
        stream: of_stream!(RDI, "ServerStream", "id", Kind::Number),
        context: of_stream!(RDI, "ServerStream", "ctx", Kind::Interface),
    },
    Layout {
        package: GRPC_TRANSPORT,
        name: "(*http2Client).Write",
        conn: GRPC_CONN,
        stream: of_stream!(RBX, "ClientStream", "id", Kind::Number),
        context: of_stream!(RBX, "ClientStream", "ctx", Kind::Interface),
    },
    Layout {
        package: GRPC_TRANSPORT,
        name: "(*http2Client).write",
        conn: GRPC_CONN,
        stream: of_stream!(RBX, "ClientStream", "id", Kind::Number),
        context: of_stream!(RBX, "ClientStream", "ctx", Kind::Interface),
    },
];
