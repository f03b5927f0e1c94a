//! Which segments of a path name a thing, and not a kind of things.

/// A segment this long is no word that a route has.
const LONGEST_WORD: usize = 48;
/// Hexadecimal digits that are no word any more, where one of them is a digit.
const SHORTEST_HEX: usize = 8;
/// Letters and digits in any order that are no word any more: ULIDs, nanoids, base 64.
const SHORTEST_TOKEN: usize = 16;

/// Whether the segment says which: a number, a date, a UUID, a hash, a token, or anything that had to be encoded.
pub(super) fn is_variable(segment: &str) -> bool {
    let bytes = segment.as_bytes();
    let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    let letters = bytes.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    let plain = bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~:@".contains(byte));
    if !plain || bytes.len() > LONGEST_WORD {
        return true;
    }
    if digits == 0 {
        return false;
    }
    // Numbers, versions of them, times, dates: 17, 3.5, 2026-11-26, 12:30.
    if letters == 0 {
        return true;
    }
    is_hex(bytes) || is_token(bytes, digits)
}

/// UUIDs, hashes, object ids; also with a sign or two between.
fn is_hex(bytes: &[u8]) -> bool {
    let digits = bytes.iter().filter(|byte| byte.is_ascii_hexdigit()).count();
    digits >= SHORTEST_HEX && bytes.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-')
}

/// A good part digits, and not only behind a word, as in `http2` or `v1`.
fn is_token(bytes: &[u8], digits: usize) -> bool {
    bytes.len() >= SHORTEST_TOKEN && digits * 8 >= bytes.len() || digits > 4 && digits * 2 >= bytes.len()
}
