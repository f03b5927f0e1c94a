//! ClientHello and ServerHello (RFC 8446, 4.1; RFC 5246, 7.4.1): hostile bytes, read with bounds.
use super::super::text::encode;
use crate::TlsVersion;

/// Handshake types (RFC 8446, 4).
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
/// Extension types (RFC 8446, 4.2).
const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;
/// The name type of a DNS host name (RFC 6066, 3).
const HOST_NAME: u8 = 0;
/// No host name has more bytes (RFC 1035, 2.3.4).
const MAX_NAME: usize = 255;
/// Protocols that are kept of an offer, and bytes of each: the registered ones have at most 17.
const MAX_PROTOCOLS: usize = 8;
const MAX_PROTOCOL: usize = 32;

/// What a client says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ClientHello {
    pub(super) server_name: Option<String>,
    /// In the order of its preference.
    pub(super) protocols: Vec<String>,
}

/// What a server answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ServerHello {
    pub(super) version: TlsVersion,
    /// In the clear up to TLS 1.2 only (RFC 8446, 4.3.1).
    pub(super) protocol: Option<String>,
}

/// Bytes that are taken from the front, and never read behind their end.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(front)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    /// A vector with a length of one byte before it (RFC 8446, 3.4).
    fn short(&mut self) -> Option<&'a [u8]> {
        let len = self.u8()?;
        self.take(len.into())
    }

    /// The same, of two bytes.
    fn long(&mut self) -> Option<&'a [u8]> {
        let len = self.u16()?;
        self.take(len.into())
    }
}

/// A ClientHello; nothing where the message is none. What of its extensions is malformed is left out.
pub(super) fn client_hello(message: &[u8]) -> Option<ClientHello> {
    let mut reader = body(message, CLIENT_HELLO)?;
    // legacy_version, random; then legacy_session_id, cipher_suites, legacy_compression_methods.
    reader.take(2 + 32)?;
    reader.short()?;
    reader.long()?;
    reader.short()?;
    let mut hello = ClientHello::default();
    for (kind, data) in extensions(&mut reader) {
        match kind {
            SERVER_NAME => hello.server_name = server_name(data),
            ALPN => hello.protocols = protocols(data),
            _ => {}
        }
    }
    Some(hello)
}

/// A ServerHello; a HelloRetryRequest is one, too, and says the version.
pub(super) fn server_hello(message: &[u8]) -> Option<ServerHello> {
    let mut reader = body(message, SERVER_HELLO)?;
    let mut hello = ServerHello { version: TlsVersion(reader.u16()?), protocol: None };
    // random; then legacy_session_id_echo, cipher_suite, legacy_compression_method.
    reader.take(32)?;
    reader.short()?;
    reader.take(2 + 1)?;
    for (kind, data) in extensions(&mut reader) {
        match (kind, data) {
            (SUPPORTED_VERSIONS, &[high, low]) => hello.version = TlsVersion(u16::from_be_bytes([high, low])),
            (ALPN, _) => hello.protocol = protocols(data).into_iter().next(),
            _ => {}
        }
    }
    Some(hello)
}

fn body(message: &[u8], kind: u8) -> Option<Reader<'_>> {
    let mut reader = Reader(message);
    let found = reader.u8()?;
    let len = u32::from_be_bytes([0, reader.u8()?, reader.u8()?, reader.u8()?]);
    let body = Reader(reader.take(len as usize)?);
    (found == kind).then_some(body)
}

/// Types and contents, up to the first that is cut off. A hello may have none at all.
fn extensions<'a>(reader: &mut Reader<'a>) -> impl Iterator<Item = (u16, &'a [u8])> {
    let mut list = Reader(reader.long().unwrap_or_default());
    std::iter::from_fn(move || Some((list.u16()?, list.long()?)))
}

/// RFC 6066, 3: of the list's names the host name.
fn server_name(data: &[u8]) -> Option<String> {
    let mut list = Reader(Reader(data).long()?);
    let mut names = std::iter::from_fn(|| Some((list.u8()?, list.long()?)));
    let (_, name) = names.find(|(kind, _)| *kind == HOST_NAME)?;
    Some(name_text(name, MAX_NAME)).filter(|name| !name.is_empty())
}

/// RFC 7301, 3.1.
fn protocols(data: &[u8]) -> Vec<String> {
    let mut list = Reader(Reader(data).long().unwrap_or_default());
    let names = std::iter::from_fn(|| list.short());
    names.take(MAX_PROTOCOLS).map(|name| name_text(name, MAX_PROTOCOL)).collect()
}

/// The bytes of host names and of protocols' names; all others percent-encoded.
fn name_text(name: &[u8], max: usize) -> String {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/".contains(&byte);
    encode(name.get(..max).unwrap_or(name), valid)
}

#[cfg(test)]
mod tests;
