//! Pointers in the data of an executable: as they are in the file, or as the loader will write them where a position-independent
//! program is moved.
use object::{
    LittleEndian as LE,
    elf::{self, Rela64},
};

use crate::elf::{Elf, array};

/// `R_X86_64_RELATIVE`: the addend, moved by where the program is loaded.
const RELATIVE: u64 = 8;

/// All pointers of a binary.
pub struct Pointers<'a> {
    elf: &'a Elf<'a>,
    relocations: &'a [Rela64<LE>],
}

impl<'a> Pointers<'a> {
    /// Those of this binary.
    pub fn of(elf: &'a Elf<'_>) -> Self {
        Self { elf, relocations: dynamic_table(elf).map_or(&[], array) }
    }

    /// Where there are pointers to an address, at most `most` of them.
    pub fn to(&self, address: u64, most: usize) -> Vec<u64> {
        let moved = self.relative().filter(|(_, to)| *to == address).map(|(at, _)| at);
        let written = self.elf.loaded(elf::PF_W).flat_map(|(start, bytes)| {
            let words = bytes.chunks_exact(8).zip(0_u64..);
            let found = words.filter(move |(word, _)| **word == address.to_le_bytes());
            found.map(move |(_, index)| start.wrapping_add(8 * index))
        });
        moved.chain(written).take(most).collect()
    }

    /// The pointer at an address.
    pub fn at(&self, address: u64) -> Option<u64> {
        let moved = self.relative().find(|(at, _)| *at == address).map(|(_, to)| to);
        moved.or_else(|| self.elf.bytes_at(address)?.first_chunk().map(|word| u64::from_le_bytes(*word)))
    }

    fn relative(&self) -> impl Iterator<Item = (u64, u64)> {
        let relative = |rela: &&Rela64<LE>| rela.r_info.get(LE) == RELATIVE;
        let moved = self.relocations.iter().filter(relative);
        moved.map(|rela| (rela.r_offset.get(LE), rela.r_addend.get(LE).cast_unsigned()))
    }
}

/// The loader loads libraries beside it (`DT_NEEDED`).
pub fn needs_libraries(elf: &Elf<'_>) -> bool {
    dynamic_entries(elf).iter().any(|entry| entry.d_tag.get(LE) == elf::DT_NEEDED)
}

fn dynamic_entries<'a>(elf: &Elf<'a>) -> &'a [elf::Dyn64<LE>] {
    let dynamic = elf.segments().iter().find(|segment| segment.p_type.get(LE) == elf::PT_DYNAMIC);
    dynamic.map_or(&[], |segment| array(elf.segment_bytes(segment)))
}

/// The relocations with addends that the loader applies (`DT_RELA`).
fn dynamic_table<'a>(elf: &Elf<'a>) -> Option<&'a [u8]> {
    let entries = dynamic_entries(elf);
    let value =
        |tag| entries.iter().find(|entry| entry.d_tag.get(LE) == tag).map(|entry| entry.d_val.get(LE));
    let bytes = elf.bytes_at(value(elf::DT_RELA)?)?;
    let length = usize::try_from(value(elf::DT_RELASZ)?).ok()?;
    Some(bytes.get(..length).unwrap_or(bytes))
}
