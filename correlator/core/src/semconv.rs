//! What the semantic conventions of OpenTelemetry (1.44) say of HTTP and RPC, for metrics and spans alike: values that are
//! bounded, however hostile what they come from.
use crate::Side;

/// What stands for a method that makes no sense, or that nobody knows.
pub const OTHER: &str = "_OTHER";
/// The most bytes of a DNS name (RFC 1035, 2.3.4); also enough for a method of gRPC.
const LONGEST: usize = 253;

/// Methods of RFC 9110, 9.3, PATCH of RFC 5789 and QUERY, which the conventions know.
const HTTP_METHODS: [&str; 10] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"];

/// Status codes of gRPC (doc/statuscodes.md of grpc/grpc), by number.
const RPC_CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
/// UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS (semantic conventions, rpc/grpc.md).
const RPC_SERVER_ERRORS: [u32; 6] = [2, 4, 12, 13, 14, 15];

/// `http.request.method`; case matters (RFC 9110, 9.1).
pub fn http_method(method: &str) -> &'static str {
    HTTP_METHODS.into_iter().find(|known| *known == method).unwrap_or(OTHER)
}

/// `rpc.method`: `/package.Service/Method` without its first slash.
pub fn rpc_method(path: &str) -> &str {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    match path.strip_prefix('/') {
        Some(method)
            if method.len() <= LONGEST
                && method.bytes().filter(|byte| *byte == b'/').count() == 1
                && method.bytes().all(plain) =>
        {
            method
        }
        _ => OTHER,
    }
}

/// `server.address` and `server.port` of an authority (RFC 3986, 3.2).
pub fn host_and_port(authority: &str) -> (&str, Option<u16>) {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, port.parse().ok()),
        _ => (authority, None),
    };
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte) || address.is_some();
    let bytes = host.trim_start_matches('[').trim_end_matches(']').bytes();
    let known = host.len() <= LONGEST && bytes.clone().all(|byte| plain(byte) && byte.is_ascii_graphic());
    (if known { address.unwrap_or(host) } else { OTHER }, port)
}

/// `rpc.response.status_code` of gRPC; nothing for a code that it does not have.
pub fn grpc_code(code: u32) -> Option<&'static str> {
    RPC_CODES.get(usize::try_from(code).ok()?).copied()
}

/// Whether a status is an error: for a server what is its own fault, for a client whatever did not succeed.
pub fn is_http_error(side: Side, status: u32) -> bool {
    match side {
        Side::Server => status >= 500,
        Side::Client => status >= 400,
    }
}

/// The same of gRPC's status codes.
pub fn is_grpc_error(side: Side, code: u32) -> bool {
    match side {
        Side::Server => RPC_SERVER_ERRORS.contains(&code),
        Side::Client => code != 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_a_host_or_nonsense() {
        for (authority, host, port) in [
            ("orders:8080", "orders", Some(8080)),
            ("orders.shop.svc", "orders.shop.svc", None),
            ("[fd00::1]:80", "fd00::1", Some(80)),
            ("10.0.0.1", "10.0.0.1", None),
            ("orders:", "orders", None),
            ("orders:99999", "orders", None),
            ("", "", None),
            ("a\"b", OTHER, None),
            ("a\nb:80", OTHER, Some(80)),
            ("caf\u{e9}", OTHER, None),
            ("[a b]", OTHER, None),
        ] {
            assert_eq!(host_and_port(authority), (host, port), "{authority:?}");
        }
        assert_eq!(host_and_port(&"a".repeat(300)).0, OTHER);
    }

    #[test]
    fn a_method_of_grpc_is_a_service_and_a_method() {
        for (path, expected) in [
            ("/shop.v1.Orders/Get", "shop.v1.Orders/Get"),
            ("shop.v1.Orders/Get", OTHER),
            ("/a/b/c", OTHER),
            ("/a", OTHER),
            ("/a/\u{7}", OTHER),
        ] {
            assert_eq!(rpc_method(path), expected, "{path:?}");
        }
    }

    #[test]
    fn whose_fault_an_error_is() {
        assert!(is_http_error(Side::Client, 404) && !is_http_error(Side::Server, 404));
        assert!(is_http_error(Side::Server, 503) && !is_http_error(Side::Client, 399));
        assert!(is_grpc_error(Side::Client, 5) && !is_grpc_error(Side::Server, 5));
        assert!(is_grpc_error(Side::Server, 13) && !is_grpc_error(Side::Client, 0));
        assert_eq!((grpc_code(14), grpc_code(17)), (Some("UNAVAILABLE"), None));
    }
}
