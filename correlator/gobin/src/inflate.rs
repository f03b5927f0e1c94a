//! Sections as they were before the linker compressed them: in memory of a bound that no header raises.
use std::borrow::Cow;

use miniz_oxide::inflate::{
    TINFLStatus,
    core::{DecompressorOxide, decompress, inflate_flags},
};

use crate::elf::{Elf, Section};

/// `ELFCOMPRESS_ZLIB`; others are not what Go's linker writes.
const ZLIB: u32 = 1;
/// Length of `Elf64_Chdr`.
const HEADER: usize = 24;
/// What the sections begin with that were called `.zdebug_...`, before their length in big-endian.
const OLD_MAGIC: &[u8] = b"ZLIB";

/// A section's bytes.
#[derive(Debug)]
pub struct Contents<'a> {
    /// The first of them, at most as many as were asked for.
    pub bytes: Cow<'a, [u8]>,
    /// These are all.
    pub whole: bool,
}

/// The section `.debug_<name>` or `.zdebug_<name>`, as it was before it was compressed: at most `most` bytes where it was.
pub fn debug_section<'a>(elf: &Elf<'a>, name: &str, most: usize) -> Option<Contents<'a>> {
    if let Some(section) = elf.section(&format!(".debug_{name}")) {
        return plain_or_compressed(section, most);
    }
    let section = elf.section(&format!(".zdebug_{name}"))?;
    let (length, stream) = section.bytes.strip_prefix(OLD_MAGIC)?.split_first_chunk()?;
    Some(inflate(stream, u64::from_be_bytes(*length), most))
}

fn plain_or_compressed(section: Section<'_>, most: usize) -> Option<Contents<'_>> {
    if !section.compressed {
        return Some(Contents { bytes: Cow::Borrowed(section.bytes), whole: true });
    }
    let (header, stream) = section.bytes.split_at_checked(HEADER)?;
    let kind = u32::from_le_bytes(*header.first_chunk()?);
    let length = u64::from_le_bytes(*header.get(8..)?.first_chunk()?);
    (kind == ZLIB).then(|| inflate(stream, length, most))
}

fn inflate<'a>(stream: &[u8], length: u64, most: usize) -> Contents<'a> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let mut bytes = vec![0; length.min(most)];
    // The checksum protects nothing that is not checked anyhow.
    let flags = inflate_flags::TINFL_FLAG_PARSE_ZLIB_HEADER
        | inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF
        | inflate_flags::TINFL_FLAG_IGNORE_ADLER32;
    let (status, _, written) = decompress(&mut DecompressorOxide::new(), stream, &mut bytes, 0, flags);
    bytes.truncate(written);
    Contents { bytes: Cow::Owned(bytes), whole: status == TINFLStatus::Done && written == length }
}
