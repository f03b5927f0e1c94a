//! The pipeline's inputs as a file: what was recorded on one machine replays to the same exchanges on any other. Bytes
//! in, bytes out; who opens the file (mode 0600: it holds raw traffic) is the caller's business.
//!
//! ```text
//! header: magic "weftrec\n" | u32 format version | u32 ABI version | u16 length | that many bytes of text for people
//! frame:  u32 length of the body | u8 kind | body
//! ```
//! Integers are little-endian. The body of a [`Input::Probe`] is the record as the programs wrote it (in the byte order
//! of the machine: the programs exist for little-endian ones only), every other body is JSON.
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weft_abi::{ABI_VERSION, MAX_CAPTURE, Segment};

use crate::{Config, Input, Ktime};

/// The version of the format; records have [`ABI_VERSION`] of their own.
pub const FORMAT_VERSION: u32 = 1;

/// The oldest version of the ABI whose records are read: what came later is of new kinds.
pub const OLDEST_ABI_VERSION: u32 = 1;

/// How a recording begins.
pub const MAGIC: [u8; 8] = *b"weftrec\n";

/// What a recording says of itself to whoever looks into it.
pub const WARNING: &str = "A weft recording: raw network traffic, with every secret in it (passwords, tokens, cookies, \
                           personal data). Readable by its owner only; do not pass it on.\n";

/// What a redacted recording says of itself.
pub const REDACTED: &str = "A weft recording, redacted: the values of the fields on the redaction list, bodies and everything \
                            that weft did not understand are masked, and queries where the list says so. Addresses, paths, \
                            hosts and all other fields of messages' heads are as they were.\n";

/// The largest body of a record: a segment with all the payload that one may carry.
const MAX_RECORD: usize = size_of::<Segment>() + MAX_CAPTURE;
/// The largest body of any other frame: the counters of some tens of thousands of vantages.
const MAX_JSON: usize = 16 * 1024 * 1024;
/// The longest text in a header.
const MAX_TEXT: usize = 4096;

const FRAME_HEADER: usize = 5;
const FIXED_HEADER: usize = MAGIC.len() + 4 + 4 + 2;

const KIND_PROBE: u8 = 1;
const KIND_WORKLOAD: u8 = 2;
const KIND_COUNTERS: u8 = 3;
const KIND_CONFIG: u8 = 4;
const KIND_CLOCK: u8 = 5;
const KIND_TICK: u8 = 6;
const KIND_PROCESS: u8 = 7;

/// Why an input cannot be recorded.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// A reader would refuse the frame.
    #[error("an input of {length} bytes is more than a recording takes ({limit}); it was left out")]
    TooLarge {
        /// Bytes of its body.
        length: usize,
        /// The most.
        limit: usize,
    },
    /// It has no JSON form.
    #[error("an input could not be written as JSON")]
    Json(#[source] serde_json::Error),
}

/// Why a recording cannot be read, or not further.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// It does not begin as one.
    #[error("this is no weft recording: it does not begin with `weftrec`")]
    NotARecording,
    /// Another format.
    #[error(
        "the recording has format version {found}, this program reads {FORMAT_VERSION}: use the weft that wrote it"
    )]
    FormatVersion {
        /// The file's.
        found: u32,
    },
    /// Other kernel programs.
    #[error(
        "the recording holds records of ABI version {found}, this program reads {OLDEST_ABI_VERSION} to {ABI_VERSION}: use \
         the weft that wrote it"
    )]
    AbiVersion {
        /// The file's.
        found: u32,
    },
    /// The header's text cannot be that long.
    #[error(
        "the recording's header announces {length} bytes of text, at most {MAX_TEXT} are possible: it is corrupted"
    )]
    TextTooLong {
        /// Announced.
        length: usize,
    },
    /// A frame of an unknown kind.
    #[error(
        "the frame at byte {offset} has the unknown kind {kind}: the recording is corrupted from there on"
    )]
    UnknownKind {
        /// Where the frame begins.
        offset: u64,
        /// Its kind.
        kind: u8,
    },
    /// A frame longer than any of its kind.
    #[error(
        "the frame at byte {offset} announces {length} bytes, at most {limit} are possible: the recording is corrupted \
         from there on"
    )]
    FrameTooLong {
        /// Where the frame begins.
        offset: u64,
        /// Announced.
        length: usize,
        /// The most that its kind may have.
        limit: usize,
    },
    /// A frame whose body is not what its kind says.
    #[error("the frame at byte {offset} is no {what}: the recording is corrupted there")]
    Body {
        /// Where the frame begins.
        offset: u64,
        /// What its kind says that it is.
        what: &'static str,
        /// What the parser says.
        #[source]
        source: serde_json::Error,
    },
}

/// What the bytes at hand begin with.
#[derive(Debug)]
pub enum Decoded<T> {
    /// It, and how many bytes it took.
    Whole(T, usize),
    /// Its beginning: at least this many bytes are needed in all. Where there are no more, the recording was cut off.
    Partial(usize),
}

/// Appends a header. A recording begins with it.
pub fn encode_header(out: &mut Vec<u8>) {
    header(WARNING, out);
}

/// Appends the header of a redacted recording.
pub fn encode_redacted_header(out: &mut Vec<u8>) {
    header(REDACTED, out);
}

fn header(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    out.extend_from_slice(&ABI_VERSION.to_le_bytes());
    out.extend_from_slice(&(text.len() as u16).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Appends one input; nothing where it fails.
pub fn encode(input: &Input<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    match input {
        Input::Probe(record) => frame(KIND_PROBE, record, out),
        Input::Workload(update) => json(KIND_WORKLOAD, update, out),
        Input::KernelCounters(counters) => json(KIND_COUNTERS, counters, out),
        Input::Config(config) => json(KIND_CONFIG, config.as_ref(), out),
        Input::Clock(offset) => json(KIND_CLOCK, offset, out),
        Input::Tick(now) => json(KIND_TICK, now, out),
        Input::Process(update) => json(KIND_PROCESS, update, out),
    }
}

fn json(kind: u8, value: &impl Serialize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    frame(kind, &serde_json::to_vec(value).map_err(EncodeError::Json)?, out)
}

fn frame(kind: u8, body: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let (length, limit) = (body.len(), limit(kind).unwrap_or(0));
    if length > limit {
        return Err(EncodeError::TooLarge { length, limit });
    }
    out.extend_from_slice(&(length as u32).to_le_bytes());
    out.push(kind);
    out.extend_from_slice(body);
    Ok(())
}

/// The largest body of a kind; none of a kind that does not exist.
fn limit(kind: u8) -> Option<usize> {
    match kind {
        KIND_PROBE => Some(MAX_RECORD),
        KIND_WORKLOAD..=KIND_PROCESS => Some(MAX_JSON),
        _ => None,
    }
}

/// Reads the header at the beginning of `bytes`. It holds nothing but versions and a text for people.
pub fn decode_header(bytes: &[u8]) -> Result<Decoded<()>, RecordingError> {
    let begun = bytes.len().min(MAGIC.len());
    if bytes.get(..begun) != MAGIC.get(..begun) {
        return Err(RecordingError::NotARecording);
    }
    let Some((fixed, text)) = bytes.split_first_chunk::<FIXED_HEADER>() else {
        return Ok(Decoded::Partial(FIXED_HEADER));
    };
    let [.., f0, f1, f2, f3, a0, a1, a2, a3, l0, l1] = *fixed;
    let (format, abi) = (u32::from_le_bytes([f0, f1, f2, f3]), u32::from_le_bytes([a0, a1, a2, a3]));
    let length = usize::from(u16::from_le_bytes([l0, l1]));
    match (format, abi) {
        (found, _) if found != FORMAT_VERSION => Err(RecordingError::FormatVersion { found }),
        (_, found) if !(OLDEST_ABI_VERSION..=ABI_VERSION).contains(&found) => {
            Err(RecordingError::AbiVersion { found })
        }
        _ if length > MAX_TEXT => Err(RecordingError::TextTooLong { length }),
        _ if text.len() < length => Ok(Decoded::Partial(FIXED_HEADER + length)),
        _ => Ok(Decoded::Whole((), FIXED_HEADER + length)),
    }
}

/// Measures the frame at the beginning of `bytes`, which is at byte `offset` of the recording. What it announces is checked
/// before it is waited for: no recording makes its reader hold more than 16 MiB.
pub fn measure(bytes: &[u8], offset: u64) -> Result<Decoded<()>, RecordingError> {
    let Some((&[l0, l1, l2, l3, kind], rest)) = bytes.split_first_chunk::<FRAME_HEADER>() else {
        return Ok(Decoded::Partial(FRAME_HEADER));
    };
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    let limit = limit(kind).ok_or(RecordingError::UnknownKind { offset, kind })?;
    match () {
        () if length > limit => Err(RecordingError::FrameTooLong { offset, length, limit }),
        () if length > rest.len() => Ok(Decoded::Partial(FRAME_HEADER + length)),
        () => Ok(Decoded::Whole((), FRAME_HEADER + length)),
    }
}

/// Reads the frame at the beginning of `bytes`, measured as [`measure`] does.
pub fn decode(bytes: &[u8], offset: u64) -> Result<Decoded<Input<'_>>, RecordingError> {
    let length = match measure(bytes, offset)? {
        Decoded::Whole((), length) => length,
        Decoded::Partial(needed) => return Ok(Decoded::Partial(needed)),
    };
    match bytes.get(FRAME_HEADER - 1..length).and_then(<[u8]>::split_first) {
        Some((kind, body)) => Ok(Decoded::Whole(input(*kind, body, offset)?, length)),
        None => Ok(Decoded::Partial(length)),
    }
}

fn input(kind: u8, body: &[u8], offset: u64) -> Result<Input<'_>, RecordingError> {
    Ok(match kind {
        KIND_PROBE => Input::Probe(body),
        KIND_WORKLOAD => Input::Workload(parse("workload", body, offset)?),
        KIND_COUNTERS => Input::KernelCounters(parse("kernel's counters", body, offset)?),
        KIND_CONFIG => Input::Config(Arc::new(parse::<Config>("configuration", body, offset)?)),
        KIND_CLOCK => Input::Clock(parse("clock's offset", body, offset)?),
        KIND_TICK => Input::Tick(parse::<Ktime>("time", body, offset)?),
        KIND_PROCESS => Input::Process(parse("process", body, offset)?),
        kind => return Err(RecordingError::UnknownKind { offset, kind }),
    })
}

fn parse<'a, T: Deserialize<'a>>(
    what: &'static str,
    body: &'a [u8],
    offset: u64,
) -> Result<T, RecordingError> {
    serde_json::from_slice(body).map_err(|source| RecordingError::Body { offset, what, source })
}

/// The inputs of a recording that is in memory whole. Ends at its end, where it was cut off, or behind the first error.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
    end: Option<End>,
}

/// How a recording ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Behind a whole frame.
    Whole,
    /// Within a frame (the recorder was killed): everything before it was read.
    Truncated {
        /// Where that frame (or the header) begins.
        offset: u64,
    },
    /// At an error, which the iterator gave.
    Corrupted,
}

impl<'a> Reader<'a> {
    /// Reads the header. One that was cut off is a recording without inputs.
    pub fn new(bytes: &'a [u8]) -> Result<Self, RecordingError> {
        Ok(match decode_header(bytes)? {
            Decoded::Whole((), offset) => Self { bytes, offset, end: None },
            Decoded::Partial(_) => Self { bytes, offset: 0, end: Some(End::Truncated { offset: 0 }) },
        })
    }

    /// How it ended; absent while there may be more.
    pub fn end(&self) -> Option<End> {
        self.end
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<Input<'a>, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.end.is_some() {
            return None;
        }
        let rest = self.bytes.get(self.offset..).filter(|rest| !rest.is_empty());
        let Some(rest) = rest else {
            self.end = Some(End::Whole);
            return None;
        };
        let offset = self.offset as u64;
        match decode(rest, offset) {
            Ok(Decoded::Whole(input, length)) => {
                self.offset += length;
                Some(Ok(input))
            }
            Ok(Decoded::Partial(_)) => {
                self.end = Some(End::Truncated { offset });
                None
            }
            Err(error) => {
                self.end = Some(End::Corrupted);
                Some(Err(error))
            }
        }
    }
}
