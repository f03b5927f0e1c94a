//! Chunks of a body in chunked transfer coding.
use weft_abi::chunk_phase;

use super::{Framing, Read};

/// Of a longer extension user space sees every byte.
const MAX_EXTENSION: usize = 4096;

/// The first line with a size that ends within the bytes: at their beginning, or behind the end of another line.
pub(super) fn find(bytes: &[u8]) -> Option<usize> {
    let ends = bytes.windows(2).enumerate().filter(|(_, window)| *window == b"\r\n").map(|(at, _)| at + 2);
    let mut skipped = 0;
    std::iter::once(0).chain(ends).find(|begin| {
        if *begin < skipped {
            return false;
        }
        let line = &bytes[*begin..];
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let behind = line.get(digits).copied();
        let end = line.iter().position(|byte| *byte == b'\n');
        let is_line =
            digits > 0 && (behind == Some(b'\n') || matches!(behind, Some(b'\r' | b';' | b' ' | b'\t')));
        // An extension goes to the end of its line, whatever is in it.
        skipped = if is_line { begin + end.unwrap_or(line.len()) } else { 0 };
        is_line && end.is_some()
    })
}

pub(super) fn read(mut framing: Framing, payload: &[u8], mut at: usize) -> Read {
    let mut read = Read { joins: 0, joined: framing.clone(), counts: [0; 2], end: None };
    let mut line = 0;
    while at < payload.len() {
        if framing.is_in_payload() {
            let passed = (payload.len() - at).min(framing.left as usize);
            at += passed;
            framing.left -= passed as u32;
            read.counts[0] += passed as u32;
            if framing.left > 0 {
                break;
            }
            (framing.line, line) = (true, at);
            continue;
        }
        if line == at {
            read.joined = framing.clone();
        }
        framing.partial.push(payload[at]);
        at += 1;
        match size(&framing.partial) {
            Line::More => {}
            Line::Size(size) => {
                (framing.left, framing.line) = (size, false);
                framing.partial.clear();
                read.counts[1] += 1;
            }
            Line::None => {
                read.joins = line;
                return read;
            }
        }
    }
    (read.joins, read.joined) = (payload.len(), framing.clone());
    read.end = Some(framing);
    read
}

enum Line {
    More,
    Size(u32),
    /// The last chunk, or no line with a size.
    None,
}

/// What the end of a line, and the next one with a size, say so far.
fn size(bytes: &[u8]) -> Line {
    let begin = bytes.iter().take_while(|byte| **byte == b'\r').count();
    let Some((b'\n', line)) = bytes[begin..].split_first() else {
        return if begin == bytes.len() { Line::More } else { Line::None };
    };
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    match (line.get(digits), line.last()) {
        (None, _) => Line::More,
        _ if digits == 0 => Line::None,
        (Some(b'\r' | b';' | b' ' | b'\t'), Some(_)) if line.len() - digits > MAX_EXTENSION => Line::None,
        (Some(b'\r' | b';' | b' ' | b'\t' | b'\n'), Some(last)) => {
            let size = u32::from_str_radix(std::str::from_utf8(&line[..digits]).unwrap_or(""), 16);
            match size {
                _ if *last != b'\n' => Line::More,
                Ok(size) if size > 0 => Line::Size(size),
                _ => Line::None,
            }
        }
        _ => Line::None,
    }
}

impl Framing {
    /// `FramedRun::partial`, `have` and `length`.
    pub(super) fn phase(&self) -> (u64, u8, u32) {
        let begin = self.partial.iter().take_while(|byte| **byte == b'\r').count();
        let line = self.partial.get(begin + 1..);
        let digits = line.unwrap_or_default().iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let size = line.and_then(|line| std::str::from_utf8(&line[..digits]).ok());
        let size = size.and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or(0);
        match line {
            _ if !self.line => (0, chunk_phase::DATA, 0),
            None => (0, chunk_phase::DATA_END, 0),
            Some([]) => (0, chunk_phase::SIZE, 0),
            Some(line) if digits == line.len() => (size, chunk_phase::DIGITS, 0),
            // Behind the byte that ends the size.
            Some(line) => (size, chunk_phase::EXTENSION, (line.len() - digits - 1) as u32),
        }
    }
}
