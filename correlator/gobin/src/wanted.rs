//! The structures that weft looks into, and what it looks for there.

/// Members of a structure. A dot leads into a member that is a structure itself.
pub struct Structure {
    /// The path of its package.
    pub package: &'static str,
    /// Its name in the package.
    pub name: &'static str,
    /// Its members; not each version has each of them.
    pub members: &'static [&'static str],
}

const fn structure(package: &'static str, name: &'static str, members: &'static [&'static str]) -> Structure {
    Structure { package, name, members }
}

/// The path of Go's own HTTP server and client.
pub const HTTP: &str = "net/http";
/// Where net/http has its HTTP/2 since Go 1.27.
pub const INTERNAL_HTTP2: &str = "net/http/internal/http2";
/// The module that has HTTP/2 for itself.
pub const X_NET: &str = "golang.org/x/net";
/// Its package.
pub const X_HTTP2: &str = "golang.org/x/net/http2";
/// grpc-go: the module, and its package.
pub const GRPC: &str = "google.golang.org/grpc";
/// grpc-go's connections.
pub const GRPC_TRANSPORT: &str = "google.golang.org/grpc/internal/transport";
/// Go's runtime.
pub const RUNTIME: &str = "runtime";

/// All of them.
pub const STRUCTURES: [Structure; 33] = [
    structure(RUNTIME, "g", &["goid", "parentGoid", "m"]),
    structure(RUNTIME, "m", &["curg"]),
    // Since Go 1.25 each list of `gFree` counts itself; `gFree.n` was for both.
    structure(
        RUNTIME,
        "schedt",
        &["timeToRun", "stwTotalTimeGC", "ngsys", "gFree.n", "gFree.stack.size", "gFree.noStack.size"],
    ),
    structure(RUNTIME, "p", &["gFree.n", "gFree.size"]),
    structure(RUNTIME, "mstats", &["numgc", "pause_total_ns"]),
    structure(RUNTIME, "gcControllerState", &["heapLive", "gcPercentHeapGoal"]),
    structure(HTTP, "Request", &["ctx"]),
    structure(HTTP, "persistConn", &["conn"]),
    structure(HTTP, "transportRequest", &["Request"]),
    structure(HTTP, "http2serverConn", &["conn"]),
    structure(HTTP, "http2responseWriter", &["rws"]),
    structure(HTTP, "http2responseWriterState", &["stream"]),
    structure(HTTP, "http2stream", &["id"]),
    structure(HTTP, "http2clientStream", &["cc", "ctx", "ID"]),
    structure(HTTP, "http2ClientConn", &["tconn"]),
    structure(INTERNAL_HTTP2, "serverConn", &["conn"]),
    structure(INTERNAL_HTTP2, "responseWriter", &["rws"]),
    structure(INTERNAL_HTTP2, "responseWriterState", &["stream"]),
    structure(INTERNAL_HTTP2, "stream", &["id"]),
    structure(INTERNAL_HTTP2, "ServerRequest", &["Context"]),
    structure(INTERNAL_HTTP2, "clientStream", &["cc", "ctx", "ID"]),
    structure(INTERNAL_HTTP2, "ClientConn", &["tconn"]),
    structure(X_HTTP2, "serverConn", &["conn"]),
    structure(X_HTTP2, "responseWriter", &["rws"]),
    structure(X_HTTP2, "responseWriterState", &["stream"]),
    structure(X_HTTP2, "stream", &["id"]),
    structure(X_HTTP2, "clientStream", &["cc", "ctx", "ID"]),
    structure(X_HTTP2, "ClientConn", &["tconn"]),
    structure(GRPC_TRANSPORT, "http2Server", &["conn"]),
    structure(GRPC_TRANSPORT, "http2Client", &["conn"]),
    structure(GRPC_TRANSPORT, "Stream", &["id", "ctx"]),
    // Since grpc 1.69 each side has its own kind of stream around the common one.
    structure(GRPC_TRANSPORT, "ServerStream", &["Stream"]),
    structure(GRPC_TRANSPORT, "ClientStream", &["Stream"]),
];
