//! Fields that are added to requests.
pub use http::HeaderMap;
use http::{HeaderName, HeaderValue, header};

/// What the transport says by itself.
const OWN: [HeaderName; 6] = [
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::HOST,
    header::TE,
    header::TRANSFER_ENCODING,
];

/// Why a field cannot be added.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// RFC 9110, 5.1.
    #[error(transparent)]
    Name(#[from] header::InvalidHeaderName),
    /// RFC 9110, 5.5.
    #[error(transparent)]
    Value(#[from] header::InvalidHeaderValue),
    /// It would contradict the request.
    #[error("{0} is the transport's own")]
    Own(HeaderName),
}

/// A field's name.
///
/// # Errors
/// When it is none, or the transport's own.
pub fn name(text: &str) -> Result<HeaderName, HeaderError> {
    let name: HeaderName = text.parse()?;
    let own = OWN.contains(&name) || name.as_str().starts_with("grpc-");
    if own { Err(HeaderError::Own(name)) } else { Ok(name) }
}

/// A field's value, which is no part of anything that is shown.
///
/// # Errors
/// When it is none.
pub fn value(text: &str) -> Result<HeaderValue, HeaderError> {
    let mut value: HeaderValue = text.parse()?;
    value.set_sensitive(true);
    Ok(value)
}
