//! Frames of HTTP/2.
use super::{Framing, Read};

const HEADER: usize = 9;
/// What frames are told apart by: the stream's identifier, and the longest payload.
type Known = (u32, u32);

/// The first header of DATA of the stream without flags.
pub(super) fn find(bytes: &[u8], stream_id: u32) -> Option<usize> {
    let wanted = [&[0, 0][..], &stream_id.to_be_bytes()].concat();
    let place = bytes.windows(wanted.len()).position(|window| window == wanted)?;
    place.checked_sub(3)
}

pub(super) fn read(mut framing: Framing, payload: &[u8], mut at: usize, known: Known) -> Read {
    let (_, _, wanted_not) = framing.class;
    let mut read = Read { joins: 0, joined: framing.clone(), counts: [0; 2], end: None };
    let mut odd = framing.left > 0 && !wanted_not;
    loop {
        if framing.left == 0 {
            let begin = if framing.partial.is_empty() { at } else { 0 };
            let before = framing.clone();
            end(&mut framing);
            let taken = (HEADER - framing.partial.len()).min(payload.len() - at);
            framing.partial.extend_from_slice(&payload[at..at + taken]);
            at += taken;
            if framing.partial.len() < HEADER {
                break;
            }
            let is_none = is_none(&framing.partial, known.1);
            let plain = open(&mut framing, known.0);
            if (is_none || !plain) && !odd {
                (odd, read.joins) = (true, begin);
                if begin > 0 {
                    read.joined = before;
                }
            }
            if is_none {
                return read;
            }
            read.counts[1] += u32::from(!odd);
        }
        let passed = (payload.len() - at).min(framing.left as usize);
        at += passed;
        framing.left -= passed as u32;
        read.counts[0] += if odd { 0 } else { passed as u32 };
        if framing.left == 0 {
            end(&mut framing);
        }
        if at == payload.len() {
            break;
        }
    }
    if !odd {
        (read.joins, read.joined) = (payload.len(), framing.clone());
    }
    read.end = Some(framing);
    read
}

/// Whether this is no frame's header.
fn is_none(header: &[u8], max_frame: u32) -> bool {
    header[3] > 9 || u32::from_be_bytes([0, header[0], header[1], header[2]]) > max_frame
}

/// A header is complete; says whether it is one of those that are not wanted.
fn open(framing: &mut Framing, stream_id: u32) -> bool {
    let header = std::mem::take(&mut framing.partial);
    let number = |bytes: &[u8]| bytes.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    framing.length = number(&header[..3]);
    framing.left = framing.length;
    let (data, own) = (header[3] == 0, number(&header[5..]) == stream_id);
    framing.class = (data, data && own, data && own && header[4] & 9 == 0);
    framing.class.2
}

fn end(framing: &mut Framing) {
    let (data, own, _) = framing.class;
    framing.sums[0] += if data { i64::from(framing.length) } else { 0 };
    framing.sums[1] += if own { i64::from(framing.length) } else { 0 };
    framing.length = 0;
}

/// The other direction: frames that open windows.
pub(super) fn read_updates(mut framing: Framing, payload: &[u8], mut at: usize, known: Known) -> Read {
    let (stream_id, max_frame) = known;
    let mut read = Read { joins: 0, joined: framing.clone(), counts: [0; 2], end: None };
    let mut odd = framing.left > 0;
    let mut lost = false;
    loop {
        let passed = (payload.len() - at).min(framing.left as usize);
        at += passed;
        framing.left -= passed as u32;
        let rest = &payload[at..];
        if rest.is_empty() || lost {
            break;
        }
        let number = |bytes: &[u8]| bytes.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
        let stream = rest.get(5..HEADER).map(number);
        let ours = stream.filter(|stream| *stream == 0 || *stream == stream_id);
        if let (Some(stream), [0, 0, 4, 8, _, _, _, _, _, by @ ..]) = (ours, rest)
            && let Some(by) = by.get(..4).map(number)
        {
            let which = usize::from(stream != 0);
            framing.sums[which] += i64::from(by);
            read.counts[which] += if odd { 0 } else { by };
            at += HEADER + 4;
            continue;
        }
        if !odd {
            (odd, read.joins, read.joined) = (true, at, framing.clone());
        }
        match rest {
            [_, _, _, 4, flags, ..] if flags & 1 == 0 => lost = true,
            [_, _, _, 8, ..] if rest.len() < HEADER + 4 => lost = true,
            _ if rest.len() < HEADER || is_none(rest, max_frame) => lost = true,
            _ => {}
        }
        at += HEADER.min(rest.len());
        framing.left = number(&rest[..3.min(rest.len())]);
    }
    if !odd {
        (read.joins, read.joined) = (payload.len(), framing.clone());
    }
    read.end = (!lost).then_some(framing);
    read
}
