//! gRPC over HTTP/2 (PROTOCOL-HTTP2.md of grpc/grpc): length-prefixed messages in the DATA frames of a stream, and what
//! its header fields say.
use crate::{Ktime, Messages};

/// A message's prefix: whether it is compressed, and its length in 4 bytes.
const PREFIX: usize = 5;

/// Whether a `content-type` is gRPC's. `application/grpc-web` is another protocol.
pub(super) fn is_grpc(content_type: &[u8]) -> bool {
    let rest = content_type.strip_prefix(b"application/grpc");
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// `grpc-timeout` in ns: at most 8 digits and a unit.
pub(super) fn timeout_ns(value: &[u8]) -> Option<u64> {
    let (unit, digits) = value.split_last()?;
    let unit = match unit {
        b'H' => 3_600_000_000_000,
        b'M' => 60_000_000_000,
        b'S' => 1_000_000_000,
        b'm' => 1_000_000,
        b'u' => 1000,
        b'n' => 1,
        _ => return None,
    };
    (digits.len() <= 8).then_some(())?;
    decimal(digits)?.checked_mul(unit)
}

/// A decimal number of at least one digit.
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// The messages of one direction of a call, as far as they came.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Walk {
    /// Bytes of a prefix so far.
    prefix: [u8; PREFIX],
    have: u8,
    /// Bytes that the message still needs.
    left: u64,
    /// Bytes of the message.
    size: u64,
    messages: Messages,
    /// When the first message's first byte passed.
    first: Option<Ktime>,
    compressed: bool,
    /// A prefix was not seen, or is none: nothing behind it can be told.
    lost: bool,
}

impl Walk {
    /// Of a direction whose beginning was not seen.
    pub(super) fn lost() -> Self {
        Self { lost: true, ..Self::default() }
    }

    /// The next bytes of the body.
    pub(super) fn take(&mut self, mut bytes: &[u8], time: Ktime) {
        while !bytes.is_empty() && !self.lost {
            let used = if self.within_message() { self.message(bytes) } else { self.prefix(bytes, time) };
            bytes = bytes.get(used..).unwrap_or_default();
        }
    }

    /// So many bytes of the body were not captured.
    pub(super) fn miss(&mut self, bytes: u64) {
        if bytes == 0 || self.lost {
            return;
        }
        if !self.within_message() || bytes > self.left {
            self.lost = true;
        } else {
            self.pass(bytes);
        }
    }

    /// Nothing more can be told.
    pub(super) fn lose(&mut self) {
        self.lost = true;
    }

    pub(super) fn messages(&self) -> Option<Messages> {
        (!self.lost).then_some(self.messages)
    }

    pub(super) fn first(&self) -> Option<Ktime> {
        self.first
    }

    pub(super) fn is_compressed(&self) -> bool {
        self.compressed
    }

    /// Gives what of the next bytes of the body is of messages' prefixes; what is none as something that is none.
    pub(super) fn prefixes(mut self, bytes: &[u8], mut give: impl FnMut(usize, &[u8])) {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty() && !self.lost) {
            let within = self.within_message();
            let used = if within { self.message(rest) } else { self.prefix(rest, Ktime(0)) };
            if !within {
                let prefix = rest.get(..used).unwrap_or_default();
                give(at, if self.lost { &[0xff; PREFIX] } else { prefix });
            }
            at += used;
        }
    }

    fn within_message(&self) -> bool {
        self.left > 0
    }

    fn message(&mut self, bytes: &[u8]) -> usize {
        let used = self.left.min(bytes.len() as u64);
        self.pass(used);
        used as usize
    }

    fn pass(&mut self, bytes: u64) {
        self.left -= bytes;
        if self.left == 0 {
            self.end();
        }
    }

    fn end(&mut self) {
        self.messages.count += 1;
        self.messages.bytes = self.messages.bytes.saturating_add(self.size);
    }

    fn prefix(&mut self, bytes: &[u8], time: Ktime) -> usize {
        self.first.get_or_insert(time);
        let have = usize::from(self.have);
        let mut used = 0;
        for (place, byte) in self.prefix.iter_mut().skip(have).zip(bytes) {
            *place = *byte;
            used += 1;
        }
        self.have += used as u8;
        if usize::from(self.have) == PREFIX {
            self.begin();
        }
        used
    }

    fn begin(&mut self) {
        let [compressed, length @ ..] = self.prefix;
        self.have = 0;
        self.lost = compressed > 1;
        if self.lost && self.messages.count == 0 {
            // It was no message's.
            self.first = None;
        }
        self.compressed |= compressed == 1;
        self.size = u64::from(u32::from_be_bytes(length));
        self.left = self.size;
        if self.left == 0 && !self.lost {
            self.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(lengths: &[usize]) -> Vec<u8> {
        let message = |len: &usize| [&[0][..], &(*len as u32).to_be_bytes(), &vec![7; *len]].concat();
        lengths.iter().flat_map(message).collect()
    }

    #[test]
    fn messages_are_counted_however_they_are_cut() {
        let body = body(&[0, 1, 300, 0, 5]);
        for cut in 1..body.len() {
            let mut walk = Walk::default();
            for (time, part) in (10..).zip(body.chunks(cut)) {
                walk.take(part, Ktime(time));
            }
            assert_eq!(walk.messages(), Some(Messages { count: 5, bytes: 306 }), "{cut}");
            assert_eq!(walk.first(), Some(Ktime(10)));
        }
    }

    #[test]
    fn what_is_missing_within_a_message_changes_nothing_and_a_missing_prefix_all() {
        let body = body(&[100, 20]);
        let mut walk = Walk::default();
        walk.take(&body[..10], Ktime(1));
        walk.miss(80);
        walk.take(&body[90..], Ktime(2));
        assert_eq!(walk.messages(), Some(Messages { count: 2, bytes: 120 }));
        let mut walk = Walk::default();
        walk.take(&body[..10], Ktime(1));
        walk.miss(96);
        walk.take(&body[106..], Ktime(2));
        assert_eq!(walk.messages(), None);
        let mut walk = Walk::default();
        walk.take(b"\x02\0\0\0\0", Ktime(1));
        assert_eq!(walk.messages(), None, "no such flag");
    }

    #[test]
    fn fields_of_a_call() {
        for (value, expected) in [
            (&b"100m"[..], Some(100_000_000)),
            (b"99999999H", Some(359_999_996_400_000_000_000_u128)),
            (b"5S", Some(5_000_000_000)),
            (b"7n", Some(7)),
            (b"123456789n", None),
            (b"S", None),
            (b"-1S", None),
            (b"1", None),
            (b"", None),
        ] {
            let expected = expected.and_then(|ns| u64::try_from(ns).ok());
            assert_eq!(timeout_ns(value), expected, "{}", String::from_utf8_lossy(value));
        }
        assert!(is_grpc(b"application/grpc") && is_grpc(b"application/grpc+proto"));
        assert!(is_grpc(b"application/grpc;charset=utf-8"));
        assert!(!is_grpc(b"application/grpc-web") && !is_grpc(b"application/json") && !is_grpc(b""));
    }
}
