/// The value for a method that is none of these (semantic conventions, `http.request.method`).
const UNKNOWN: &str = "_OTHER";

/// Methods of RFC 9110, 9.3, PATCH of RFC 5789 and QUERY, which the conventions know.
const KNOWN: [&str; 10] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"];

/// A method as a label's value; case matters (RFC 9110, 9.1).
pub(crate) fn label(method: &str) -> &'static str {
    KNOWN.into_iter().find(|known| *known == method).unwrap_or(UNKNOWN)
}
