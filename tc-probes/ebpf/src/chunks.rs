//! Chunks of a body in chunked transfer coding (RFC 9112, 7.1): data, the end of the line behind it, and the line with the
//! next one's size. The last chunk, of size 0, and what else is no chunk are user space's to read.
use aya_ebpf::bindings::__sk_buff;
use weft_abi::chunk_phase::{DATA, DATA_END, DIGITS, EXTENSION, SIZE};

use crate::reading::{NOT_FOUND, Reader, SEARCHED, get, is_less, is_some, least, masked, set};

/// The most pieces of 16 bytes of lines that are read of one segment: those of chunks of 512 bytes in 64 KiB.
const MAX_STEPS: u32 = 256;
/// Bytes of a line that are read at once.
const STEP: u32 = 16;
/// Larger chunks have their own want.
const MAX_CHUNK: u64 = 1 << 30;
/// Of a longer extension user space sees every byte.
const MAX_EXTENSION: u32 = 4096;

/// What a byte leads to, besides a phase.
const BAD: u8 = 5;
/// The line with a size is over.
const LINE_END: u8 = 6;
/// Searching: no line begins here, and none did behind a carriage return.
const SEEK: u8 = 7;
const SEEK_LF: u8 = 0;
/// Besides the phase in [`NEXT`]: the byte was read, and it is a digit of the size.
const READ: u8 = 0x08;
const DIGIT: u8 = 0x10;

/// Kinds of bytes: up to 15 a digit's value.
const CR: u8 = 16;
const LF: u8 = 17;
const DELIMITER: u8 = 18;
const OTHER: u8 = 19;
/// No byte at all.
const NOTHING: u8 = 31;
const KINDS: usize = 32;

static KIND_OF: [u8; 256] = kinds();
/// By phase and kind of the byte: where that leads.
static NEXT: [u8; 8 * KINDS] = table(false);
/// The same while a line is searched for.
static SEARCH: [u8; 8 * KINDS] = table(true);

const fn kinds() -> [u8; 256] {
    let mut kinds = [OTHER; 256];
    let mut byte = 0;
    while byte < 256 {
        kinds[byte] = match byte as u8 {
            digit @ b'0'..=b'9' => digit - b'0',
            digit @ b'a'..=b'f' => digit - b'a' + 10,
            digit @ b'A'..=b'F' => digit - b'A' + 10,
            b'\r' => CR,
            b'\n' => LF,
            b';' | b' ' | b'\t' => DELIMITER,
            _ => OTHER,
        };
        byte += 1;
    }
    kinds
}

const fn table(searching: bool) -> [u8; 8 * KINDS] {
    let mut table = [0; 8 * KINDS];
    let mut place = 0;
    while place < table.len() {
        let (phase, kind) = ((place / KINDS) as u8, (place % KINDS) as u8);
        table[place] = match next(phase, kind) {
            _ if !searching && (phase >= BAD || phase == DATA || kind == NOTHING) => phase,
            _ if searching && phase == LINE_END => LINE_END,
            BAD if searching && kind == CR => SEEK_LF,
            BAD if searching && kind == LF && phase == SEEK_LF => SIZE,
            BAD if searching => SEEK,
            next => next | READ,
        };
        place += 1;
    }
    table
}

const fn next(phase: u8, kind: u8) -> u8 {
    match (phase, kind) {
        (DATA_END, CR) => DATA_END,
        (DATA_END, LF) => SIZE,
        (SIZE | DIGITS, 0..CR) => DIGITS | DIGIT,
        (DIGITS | EXTENSION, LF) => LINE_END,
        (DIGITS, CR | DELIMITER) => EXTENSION,
        (EXTENSION, _) => EXTENSION,
        _ => BAD,
    }
}

#[inline(always)]
fn kind_of(byte: u8) -> u8 {
    KIND_OF[usize::from(byte)]
}

#[inline(always)]
fn look_up(table: &'static [u8; 8 * KINDS], phase: u8, kind: u8) -> u8 {
    let place = masked::<{ 8 * KINDS as i32 - 1 }>(u32::from(phase) * KINDS as u32 + u32::from(kind));
    // SAFETY: masked to the table's size.
    unsafe { *table.get_unchecked(place as usize) }
}

/// Reads the chunks of the segment, from where the flow is.
#[inline(always)]
pub fn read(ctx: *mut __sk_buff, reader: &Reader) {
    if !reader.units(MAX_STEPS, || weft_read_chunk(ctx)) {
        reader.lose(get!(reader, line));
    }
}

/// See [`Reader::unit`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn weft_read_chunk(ctx: *mut __sk_buff) -> u32 {
    Reader::unit(|reader| step(ctx, reader))
}

/// Reads a part of a line, or passes over a chunk. Says whether to go on.
#[inline(always)]
fn step(ctx: *mut __sk_buff, reader: &Reader) -> bool {
    if reader.rest() == 0 || get!(reader, framing.known) == 0 {
        return false;
    }
    if get!(reader, framing.have) != DATA {
        line(ctx, reader);
    }
    if get!(reader, framing.have) == DATA && reader.pass_over() {
        set!(reader, framing.have, DATA_END);
        set!(reader, line, get!(reader, at));
    }
    true
}

/// Reads up to 16 bytes of framing.
#[inline(always)]
fn line(ctx: *mut __sk_buff, reader: &Reader) {
    let len = least(reader.rest(), STEP);
    if !reader.load(ctx, 0, len) {
        return reader.lose(get!(reader, line));
    }
    let (mut phase, mut size) = (get!(reader, framing.have), get!(reader, framing.partial));
    let (mut over, mut used, mut extension) = (0, 0, get!(reader, framing.length));
    for place in 0..STEP {
        // Without branches, of which the verifier would follow each.
        let kind = kind_of(reader.byte(place as usize)) | NOTHING * is_less(len, place + 1) as u8;
        let next = look_up(&NEXT, phase, kind);
        let digit = u64::from(next >> 4);
        over |= size >> 30;
        size = size << (4 * digit) | u64::from(kind) * digit;
        let read = u32::from(next >> 3 & 1);
        used += read;
        extension += read & (is_some(u32::from(phase ^ EXTENSION)) ^ 1);
        phase = next & 7;
    }
    set!(reader, framing.have, phase);
    set!(reader, framing.partial, size);
    set!(reader, framing.length, extension);
    set!(reader, found, (over as u32) | (over >> 32) as u32);
    reader.advance(masked::<31>(used));
    let phase = get!(reader, framing.have);
    let size = get!(reader, framing.partial);
    let too_long = size > MAX_CHUNK || get!(reader, framing.length) > MAX_EXTENSION;
    let wrong = phase == BAD || get!(reader, found) > 0 || too_long || phase == LINE_END && size == 0;
    if wrong {
        return reader.lose(get!(reader, line));
    }
    if phase == LINE_END {
        reader.count(1, 1);
        set!(reader, framing.have, DATA);
        set!(reader, framing.left, size as u32);
        set!(reader, framing.partial, 0);
        set!(reader, framing.length, 0);
    }
}

/// Searches what was loaded for a line with a size behind the end of another one; gives its place.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn weft_find_chunk(len: u32) -> u32 {
    let Some(reader) = Reader::here() else { return NOT_FOUND };
    let (mut phase, mut begin, mut found, mut end) = (SIZE, 0, 0, 0);
    for at in 0..SEARCHED {
        phase = look_up(&SEARCH, phase, kind_of(reader.searched(at))) & 7;
        let begins = is_some(u32::from(phase ^ SIZE)) ^ 1;
        begin ^= (begin ^ (at + 1)) & begins.wrapping_neg();
        found |= is_some(u32::from(phase ^ LINE_END)) ^ 1;
        end += found ^ 1;
    }
    if found == 1 && end < len { begin } else { NOT_FOUND }
}
