//! The parts of an ELF file by name and by address. Whatever a header claims, what is given lies in the file.
use object::{
    LittleEndian as LE, Pod,
    elf::{self, FileHeader64, ProgramHeader64, SectionHeader64},
    pod,
    read::elf::FileHeader as _,
};

use crate::Error;

/// More sections or segments than any linker makes for an executable; the rest is not looked at.
const MOST_HEADERS: usize = 1024;

/// An ELF file for x86-64.
#[derive(Clone, Copy)]
pub struct Elf<'a> {
    bytes: &'a [u8],
    sections: &'a [SectionHeader64<LE>],
    segments: &'a [ProgramHeader64<LE>],
    section_names: &'a [u8],
}

/// A section that has bytes in the file.
#[derive(Clone, Copy, Debug)]
pub struct Section<'a> {
    /// Its virtual address; 0 where it is not loaded.
    pub address: u64,
    /// Its bytes, as far as the file has them.
    pub bytes: &'a [u8],
    /// They are compressed (`SHF_COMPRESSED`).
    pub compressed: bool,
    /// The index of the section that it goes with (`sh_link`).
    pub link: usize,
}

impl<'a> Elf<'a> {
    /// None: not ELF.
    pub fn parse(bytes: &'a [u8]) -> Result<Option<Self>, Error> {
        if !bytes.starts_with(&elf::ELFMAG) {
            return Ok(None);
        }
        let Ok(header) = FileHeader64::<LE>::parse(bytes) else {
            return Err(Error::Elf { what: "header" });
        };
        let sections = header.section_headers(LE, bytes).map_err(|_| Error::Elf { what: "section table" })?;
        let segments =
            header.program_headers(LE, bytes).map_err(|_| Error::Elf { what: "program headers" })?;
        let sections = sections.get(..MOST_HEADERS).unwrap_or(sections);
        let segments = segments.get(..MOST_HEADERS).unwrap_or(segments);
        let mut elf = Self { bytes, sections, segments, section_names: &[] };
        let names = header.section_strings_index(LE, bytes).ok();
        elf.section_names = names.and_then(|index| elf.section_at(index.0)).map_or(&[], |names| names.bytes);
        Ok(Some(elf))
    }

    /// The section of this name.
    pub fn section(&self, name: &str) -> Option<Section<'a>> {
        let named = |header: &&SectionHeader64<LE>| self.has_name(header, name);
        self.sections.iter().find(named).and_then(|header| self.contents(header))
    }

    /// The section of this index.
    pub fn section_at(&self, index: usize) -> Option<Section<'a>> {
        self.sections.get(index).and_then(|header| self.contents(header))
    }

    /// The first section of this type.
    pub fn section_of_type(&self, kind: elf::SectionType) -> Option<Section<'a>> {
        let header = self.sections.iter().find(|header| header.sh_type.get(LE) == kind)?;
        self.contents(header)
    }

    /// The segments.
    pub fn segments(&self) -> &'a [ProgramHeader64<LE>] {
        self.segments
    }

    /// A segment's bytes in the file.
    pub fn segment_bytes(&self, segment: &ProgramHeader64<LE>) -> &'a [u8] {
        window(self.bytes, segment.p_offset.get(LE), segment.p_filesz.get(LE))
    }

    /// The loaded segments with these flags, with their addresses: all together not more bytes than the file has, though hostile
    /// segments may overlap.
    pub fn loaded(&self, flags: elf::ProgramFlags) -> impl Iterator<Item = (u64, &'a [u8])> {
        let mut left = self.bytes.len();
        let segments = self.segments.iter().filter(move |segment| {
            segment.p_type.get(LE) == elf::PT_LOAD && segment.p_flags.get(LE).contains(flags)
        });
        segments.map(move |segment| {
            let bytes = self.segment_bytes(segment);
            let bytes = bytes.get(..left).unwrap_or(bytes);
            left -= bytes.len();
            (segment.p_vaddr.get(LE), bytes)
        })
    }

    /// What the file has from an address on, to the end of its segment.
    pub fn bytes_at(&self, address: u64) -> Option<&'a [u8]> {
        let (segment, into) = self.segment_at(address)?;
        self.segment_bytes(segment).get(usize::try_from(into).ok()?..)
    }

    /// Where in the file an address is.
    pub fn offset_of(&self, address: u64) -> Option<u64> {
        let (segment, into) = self.segment_at(address)?;
        let offset = segment.p_offset.get(LE).checked_add(into)?;
        (offset < self.bytes.len() as u64).then_some(offset)
    }

    /// The address of the file's beginning.
    pub fn linked_at(&self) -> Option<u64> {
        let mut loads = self.segments.iter().filter(|segment| segment.p_type.get(LE) == elf::PT_LOAD);
        loads.find(|segment| segment.p_offset.get(LE) == 0).map(|segment| segment.p_vaddr.get(LE))
    }

    /// There is code at this address.
    pub fn is_code(&self, address: u64) -> bool {
        // At address 0 of a position-independent program is its ELF header.
        let code = |segment: &ProgramHeader64<LE>| segment.p_flags.get(LE).contains(elf::PF_X);
        address != 0 && self.segment_at(address).is_some_and(|(segment, _)| code(segment))
    }

    fn segment_at(&self, address: u64) -> Option<(&'a ProgramHeader64<LE>, u64)> {
        let loads = self.segments.iter().filter(|segment| segment.p_type.get(LE) == elf::PT_LOAD);
        loads
            .filter_map(|segment| Some((segment, address.checked_sub(segment.p_vaddr.get(LE))?)))
            .find(|(segment, into)| *into < segment.p_filesz.get(LE))
    }

    fn has_name(&self, header: &SectionHeader64<LE>, name: &str) -> bool {
        let start = header.sh_name.get(LE) as usize;
        let found = self.section_names.get(start..).unwrap_or_default();
        found.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&0))
    }

    fn contents(&self, header: &SectionHeader64<LE>) -> Option<Section<'a>> {
        if header.sh_type.get(LE) == elf::SHT_NOBITS {
            return None;
        }
        Some(Section {
            address: header.sh_addr.get(LE),
            bytes: window(self.bytes, header.sh_offset.get(LE), header.sh_size.get(LE)),
            compressed: header.sh_flags.get(LE).contains(elf::SHF_COMPRESSED),
            link: header.sh_link.get(LE) as usize,
        })
    }
}

/// An ELF file, but of 32 bits, or for another processor than x86-64.
pub fn is_of_another_kind(bytes: &[u8]) -> bool {
    /// Where `e_machine` is in every kind of file.
    const MACHINE: std::ops::Range<usize> = 18..20;
    let kind = [elf::ELFCLASS64.0, elf::ELFDATA2LSB.0];
    let machine = elf::EM_X86_64.0.to_le_bytes();
    let (found, found_machine) = (bytes.get(4..6), bytes.get(MACHINE));
    bytes.starts_with(&elf::ELFMAG) && (found != Some(&kind) || found_machine != Some(&machine))
}

/// As many `T` as there are whole ones.
pub fn array<T: Pod>(bytes: &[u8]) -> &[T] {
    pod::slice_from_bytes(bytes, bytes.len() / size_of::<T>().max(1)).map_or(&[], |(all, _)| all)
}

/// The part of `bytes` that a header claims, as far as it is there.
pub fn window(bytes: &[u8], offset: u64, length: u64) -> &[u8] {
    let clamp = |position: u64| usize::try_from(position).unwrap_or(usize::MAX).min(bytes.len());
    bytes.get(clamp(offset)..clamp(offset.saturating_add(length))).unwrap_or_default()
}

/// The name that begins at `offset` of a table of strings that end with 0; at most `most` bytes of it are looked at.
pub fn string_at(table: &[u8], offset: usize, most: usize) -> Option<&[u8]> {
    let rest = table.get(offset..)?;
    let rest = rest.get(..most).unwrap_or(rest);
    rest.get(..rest.iter().position(|byte| *byte == 0)?)
}
