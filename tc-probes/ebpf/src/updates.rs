//! WINDOW_UPDATE of HTTP/2 (RFC 9113, 6.9) in the direction against which a large body is sent.
use aya_ebpf::bindings::__sk_buff;

use crate::{
    frames::{HEADER, LAST_TYPE},
    reading::{Reader, get, is_some, least, set},
};

/// The most of one segment.
const MAX_UPDATES: u32 = 256;
/// Bytes of a whole WINDOW_UPDATE.
const UPDATE: u32 = 13;
const SETTINGS: u8 = 0x04;
const WINDOW_UPDATE: u8 = 0x08;
const ACK: u8 = 0x01;

/// Reads the frames of the segment, from where the flow is. Frames do not go over a segment's end here, but for long ones.
#[inline(always)]
pub fn read(ctx: *mut __sk_buff, reader: &Reader) {
    if get!(reader, framing.left) > 0 {
        reader.stop_joining(0);
    }
    if !reader.units(MAX_UPDATES, || weft_read_update(ctx)) {
        reader.lose(get!(reader, at));
    }
}

/// See [`Reader::unit`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn weft_read_update(ctx: *mut __sk_buff) -> u32 {
    Reader::unit(|reader| step(ctx, reader))
}

/// Passes over what is left of a frame, and reads the next one. Says whether to go on.
#[inline(always)]
fn step(ctx: *mut __sk_buff, reader: &Reader) -> bool {
    let (left, rest) = (get!(reader, framing.left), reader.rest());
    let passed = least(left, rest);
    reader.advance(passed);
    set!(reader, framing.left, left - passed);
    let (at, rest) = (get!(reader, at), rest - passed);
    if rest == 0 || get!(reader, framing.known) == 0 {
        return false;
    }
    let len = least(rest, UPDATE);
    if len < HEADER || !reader.load(ctx, 0, len) {
        reader.lose(at);
        return false;
    }
    frame(reader, at, len);
    true
}

/// A frame of which so many bytes are loaded: a WINDOW_UPDATE as a whole, or another one's header.
#[inline(always)]
fn frame(reader: &Reader, at: u32, len: u32) {
    let (kind, length) = (reader.byte(3), reader.word(0) >> 8);
    let stream_id = reader.word(5) & (u32::MAX >> 1);
    let on_stream = is_some(stream_id);
    let foreign = on_stream & is_some(stream_id ^ get!(reader, framing.stream_id));
    let other = u32::from(kind ^ WINDOW_UPDATE) | length ^ (UPDATE - HEADER) | len ^ UPDATE | foreign;
    if other == 0 {
        let bytes = reader.word(9) & (u32::MAX >> 1);
        // No run opens a window by more than fits the record.
        if (get!(reader, framing.counts[0]) | get!(reader, framing.counts[1])) > u32::MAX >> 1 {
            reader.stop_joining(at);
        }
        reader.count(on_stream, bytes);
        reader.sum(on_stream, bytes);
        return reader.advance(UPDATE);
    }
    reader.stop_joining(at);
    // SETTINGS may change windows; half a WINDOW_UPDATE, too.
    let changes = kind == SETTINGS && reader.byte(4) & ACK == 0;
    if changes
        || kind > LAST_TYPE
        || length > get!(reader, framing.max_frame)
        || kind == WINDOW_UPDATE && len < UPDATE
    {
        reader.lose(at);
    }
    reader.advance(HEADER);
    set!(reader, framing.left, length);
}
