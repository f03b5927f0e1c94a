//! Header blocks of HTTP/2 with nothing in them that the redaction list names: what is masked has as many bytes on the wire
//! and in the tables as before, so that every index still leads to its entry.
use super::{
    super::http2::{FrameHeader, FrameType, Literal, Literals, coded_mask},
    head::MASK,
};
use crate::Config;

/// A part of a header block's frames: whose payload it is, where it is, and what it says.
pub(in super::super) struct BlockPart {
    pub(in super::super) frame: FrameHeader,
    pub(in super::super) offset: u64,
    pub(in super::super) bytes: Vec<u8>,
}

/// The payloads of a block's frames, masked, with their places.
pub(in super::super) fn masked_frames(
    parts: Vec<BlockPart>,
    literals: &Literals,
    config: &Config,
) -> Vec<(u64, Vec<u8>)> {
    let frames = payloads(parts);
    let fragments: Vec<_> = frames.iter().map(fragment).collect();
    let block: Vec<u8> = fragments.iter().flat_map(|(_, fragment)| fragment.iter().copied()).collect();
    let masked = masked_block(&block, literals, config);
    let mut rest = masked.as_slice();
    let mut shown = Vec::new();
    for (frame, (before, fragment)) in frames.iter().zip(&fragments) {
        let (own, behind) = rest.split_at_checked(fragment.len()).unwrap_or((rest, &[]));
        rest = behind;
        // What is before the fragment is the padding's length, a priority or a promised stream; behind it is padding.
        let kept = frame.bytes.get(..*before).unwrap_or_default();
        shown.push((frame.offset, [kept, own].concat()));
    }
    shown
}

/// Parts of one frame's payload become one.
fn payloads(parts: Vec<BlockPart>) -> Vec<BlockPart> {
    let mut frames: Vec<BlockPart> = Vec::new();
    for part in parts {
        match frames.last_mut() {
            Some(last) if last.bytes.len() < last.frame.length as usize => last.bytes.extend(part.bytes),
            _ => frames.push(part),
        }
    }
    frames
}

/// How many bytes are before a frame's part of the block, and that part; of a frame that contradicts itself all is before.
fn fragment(frame: &BlockPart) -> (usize, &[u8]) {
    match frame.frame.fragment(&frame.bytes) {
        Some((_, fragment)) => {
            (fragment.as_ptr().addr().saturating_sub(frame.bytes.as_ptr().addr()), fragment)
        }
        None => (usize::from(frame.frame.kind != FrameType::Continuation), &[]),
    }
}

/// What cannot be decoded is replaced by what cannot, either.
fn masked_block(block: &[u8], literals: &Literals, config: &Config) -> Vec<u8> {
    let mut masked = block.to_vec();
    if let Some(rest) = masked.get_mut(literals.read..) {
        rest.fill(0xff);
    }
    for literal in &literals.values {
        let from = masked_from(literal, config);
        let Some(place) = masked.get_mut(literal.place.clone()) else { continue };
        match from {
            Some(from) if literal.coded => {
                let coded = coded_mask(place, &literal.value, from);
                place.iter_mut().zip(coded).for_each(|(place, byte)| *place = byte);
            }
            Some(from) => place.iter_mut().skip(from).for_each(|byte| *byte = MASK),
            None => {}
        }
    }
    masked
}

/// From which byte of its value on a field is masked. What its sender holds for a secret is one, and so is what nobody knows
/// the name of.
fn masked_from(literal: &Literal, config: &Config) -> Option<usize> {
    let Some(name) = &literal.name else { return Some(0) };
    let listed = config.redact_headers.iter().any(|listed| listed.as_bytes().eq_ignore_ascii_case(name));
    if listed || literal.never_indexed && !name.starts_with(b":") {
        return Some(0);
    }
    let query = literal.value.iter().position(|byte| *byte == b'?').map(|mark| mark + 1);
    query.filter(|_| config.redact_query && name == b":path")
}
