//! Bytes of strangers as text that is safe to store and to show.

/// The bytes that are printable ASCII as they are, others percent-encoded (RFC 3986, 2.1).
pub(super) fn printable(bytes: &[u8]) -> String {
    encode(bytes, |byte| byte.is_ascii_graphic())
}

/// An authority without user information, which may hold a password (RFC 9110, 4.2.4): it ends with the last `@`.
pub(super) fn without_user(authority: &[u8]) -> &[u8] {
    authority.get(user_end(authority)..).unwrap_or_default()
}

/// Where an authority's user information ends; 0 where it has none.
pub(super) fn user_end(authority: &[u8]) -> usize {
    authority.iter().rposition(|byte| *byte == b'@').map_or(0, |at| at + 1)
}

/// The bytes that `keep` names as they are, others percent-encoded.
pub(super) fn encode(bytes: &[u8], keep: impl Fn(u8) -> bool) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        if keep(*byte) {
            text.push(char::from(*byte));
        } else {
            let digit =
                |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0').to_ascii_uppercase();
            text.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    text
}
