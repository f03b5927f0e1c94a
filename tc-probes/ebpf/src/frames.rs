//! Frames of HTTP/2 (RFC 9113, 4.1) in a direction in which a large body is sent.
use aya_ebpf::bindings::__sk_buff;
use weft_abi::frame_class::{DATA, PLAIN, STREAM};

use crate::reading::{NOT_FOUND, Reader, SEARCHED, get, is_less, is_some, least, set};

/// The most frames of one segment: of 700 bytes each in 64 KiB.
const MAX_FRAMES: u32 = 128;
/// Bytes of a frame's header.
pub const HEADER: u32 = 9;
/// Types with a meaning (6); others are there to be ignored, and nobody sends them.
pub const LAST_TYPE: u8 = 0x09;
const END_STREAM: u8 = 0x01;
const PADDED: u8 = 0x08;

/// Reads the frames of the segment, from where the flow is.
#[inline(always)]
pub fn read(ctx: *mut __sk_buff, reader: &Reader) {
    if get!(reader, framing.left) > 0 && u32::from(get!(reader, framing.class)) & PLAIN == 0 {
        reader.stop_joining(0);
    }
    if !reader.units(MAX_FRAMES, || weft_read_frame(ctx)) {
        reader.lose(get!(reader, at));
    }
}

/// See [`Reader::unit`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn weft_read_frame(ctx: *mut __sk_buff) -> u32 {
    Reader::unit(|reader| step(ctx, reader))
}

/// Reads a frame's header, unless the flow is behind one, and passes over the payload. Says whether to go on.
#[inline(always)]
fn step(ctx: *mut __sk_buff, reader: &Reader) -> bool {
    if reader.rest() == 0 || get!(reader, framing.known) == 0 {
        return false;
    }
    if get!(reader, framing.left) == 0 && !header(ctx, reader) {
        return false;
    }
    if reader.pass_over() {
        end(reader);
    }
    true
}

/// Says whether the header is complete.
#[inline(always)]
fn header(ctx: *mut __sk_buff, reader: &Reader) -> bool {
    // A hole may have ended the frame before.
    end(reader);
    let have = u32::from(get!(reader, framing.have));
    let len = least(HEADER - have, reader.rest());
    let at = get!(reader, at);
    if len == 0 || !reader.load(ctx, have, len) {
        reader.lose(at);
        return false;
    }
    reader.advance(len);
    if have + len < HEADER {
        set!(reader, framing.have, (have + len) as u8);
        return false;
    }
    set!(reader, framing.have, 0);
    open(reader, if have == 0 { at } else { 0 });
    true
}

/// A header is complete, which began there.
#[inline(always)]
fn open(reader: &Reader, at: u32) {
    let (kind, flags) = (reader.byte(3), reader.byte(4));
    let length = reader.word(0) >> 8;
    let stream_id = reader.word(5) & (u32::MAX >> 1);
    let foreign = is_some(stream_id ^ get!(reader, framing.stream_id));
    let data = is_some(u32::from(kind)) ^ 1;
    let own = data & (foreign ^ 1);
    let too_long = is_less(get!(reader, framing.max_frame), length);
    let plain = own & (is_some(u32::from(flags & (END_STREAM | PADDED)) | too_long) ^ 1);
    reader.count(1, plain);
    set!(reader, framing.class, (data * DATA + own * STREAM + plain * PLAIN) as u8);
    set!(reader, framing.length, length);
    set!(reader, framing.left, length);
    if get!(reader, framing.class) as u32 & PLAIN == 0 {
        reader.stop_joining(at);
    }
    if u32::from(kind > LAST_TYPE) | too_long > 0 {
        reader.lose(at);
    }
}

/// The frame's payload is over: what it used up of the windows counts, once.
#[inline(always)]
fn end(reader: &Reader) {
    let (length, class) = (get!(reader, framing.length), u32::from(get!(reader, framing.class)));
    reader.sum(0, length * (class & DATA));
    reader.sum(1, length * (class >> 1 & 1));
    set!(reader, framing.length, 0);
}

/// Searches what was loaded for a frame's header of DATA of the stream without flags; gives its place.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn weft_find_frame(len: u32) -> u32 {
    let Some(reader) = Reader::here() else { return NOT_FOUND };
    let wanted = u64::from(get!(reader, framing.stream_id));
    let (mut last, mut found, mut place) = (u64::MAX, 0, 0);
    for at in 0..SEARCHED {
        last = last << 8 | u64::from(reader.searched(at));
        // Type, flags and stream are the last six bytes.
        let other = (last << 16 >> 16) ^ wanted;
        found |= is_some(other as u32 | (other >> 32) as u32) ^ 1;
        place += found ^ 1;
    }
    if found == 1 && place < len && place + 1 >= HEADER { place + 1 - HEADER } else { NOT_FOUND }
}
