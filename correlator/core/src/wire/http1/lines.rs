//! The lines of a head. A line ends with CRLF or with a bare LF (RFC 9112, 2.2); a head ends with an empty line.
use std::ops::Range;

use memchr::memchr;

/// Goes through the lines of bytes that begin with a head, looking at each byte once.
pub(super) struct Lines<'a> {
    bytes: &'a [u8],
    /// Behind the last line that was taken.
    pub(super) taken: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, taken: 0 }
    }

    /// Where the next line is, without its end; nothing while that has not come.
    pub(super) fn next(&mut self) -> Option<Range<usize>> {
        let start = self.taken;
        let rest = self.bytes.get(start..)?;
        let len = memchr(b'\n', rest)?;
        self.taken = start + len + 1;
        let cr = len.checked_sub(1).and_then(|last| rest.get(last)) == Some(&b'\r');
        Some(start..start + len - usize::from(cr))
    }
}

/// Finds a head's end in bytes that come piece by piece, looking at each once.
#[derive(Default)]
pub(in super::super) struct HeadEnd {
    line: Line,
}

/// What has come of a line.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Line {
    #[default]
    Nothing,
    /// A CR and nothing before it.
    Cr,
    Something,
}

impl HeadEnd {
    /// Behind which of these bytes the head ends; they follow those of the calls before.
    pub(in super::super) fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut taken = 0;
        loop {
            let rest = bytes.get(taken..).unwrap_or_default();
            let Some(len) = memchr(b'\n', rest) else {
                self.line = self.line.with(rest);
                return None;
            };
            taken += len + 1;
            let line = std::mem::take(&mut self.line).with(rest.get(..len).unwrap_or_default());
            if line != Line::Something {
                return Some(taken);
            }
        }
    }
}

impl Line {
    fn with(self, bytes: &[u8]) -> Self {
        match (self, bytes) {
            (line, []) => line,
            (Self::Nothing, [b'\r']) => Self::Cr,
            _ => Self::Something,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heads_end_is_found_across_pieces() {
        for (text, end) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\nrest", 27),
            ("GET / HTTP/1.1\nHost: a\n\nrest", 24),
            ("GET / HTTP/1.1\r\n\r\r\nA: \r\n\nrest", 25),
        ] {
            let text = text.as_bytes();
            for cut in 0..text.len() {
                let mut head = HeadEnd::default();
                let (first, second) = text.split_at(cut);
                let found = head.find(first).or_else(|| head.find(second).map(|index| index + cut));
                assert_eq!(found, Some(end), "cut at {cut}");
            }
        }
    }

    #[test]
    fn lines_are_without_their_ends() {
        let text = b"a\r\n\r\r\nb\n\n\r\nrest";
        let mut lines = Lines::new(text);
        let found: Vec<_> = std::iter::from_fn(|| lines.next()).map(|range| &text[range]).collect();
        assert_eq!(found, [&b"a"[..], b"\r", b"b", b"", b""]);
        assert_eq!(lines.taken, text.len() - 4);
    }
}
