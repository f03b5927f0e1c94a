//! The container: a header, the sections, a segment for each that is loaded, and the table of sections.

/// `SHF_ALLOC`.
pub const LOADED: u64 = 2;
/// `SHF_WRITE`.
pub const WRITABLE: u64 = 1;
/// `SHF_EXECINSTR`.
pub const EXECUTABLE: u64 = 4;
/// `SHT_SYMTAB`.
pub const SYMTAB: u32 = 2;
/// `SHT_STRTAB`.
pub const STRTAB: u32 = 3;
const PROGBITS: u32 = 1;
const HEADER: usize = 64;
const SEGMENT: usize = 56;

/// A section.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: u32,
    /// Its flags.
    pub flags: u64,
    /// Its virtual address.
    pub address: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The section that it goes with, counted from 1.
    pub link: u32,
}

impl Section {
    /// One that is not loaded.
    pub fn new(name: &'static str, bytes: Vec<u8>) -> Self {
        Self { name, kind: PROGBITS, flags: 0, address: 0, bytes, link: 0 }
    }
}

/// An executable of these sections, which are counted from 1.
pub fn elf(sections: &[Section]) -> Vec<u8> {
    let loaded: Vec<&Section> = sections.iter().filter(|section| section.flags & LOADED != 0).collect();
    let start = (HEADER + SEGMENT * loaded.len()).next_multiple_of(16);
    let names = Section { kind: STRTAB, ..Section::new(".shstrtab", names(sections)) };
    let mut body = Vec::new();
    let mut headers = vec![0; 64];
    let mut segments = Vec::new();
    let mut name_at = 1;
    for section in sections.iter().chain([&names]) {
        let offset = start + body.len();
        body.extend(&section.bytes);
        body.resize(body.len().next_multiple_of(16), 0);
        headers.extend(section_header(section, name_at, offset));
        name_at += section.name.len() as u32 + 1;
        if section.flags & LOADED != 0 {
            segments.extend(segment_header(section, offset));
        }
    }
    let mut bytes = file_header(loaded.len() as u16, start + body.len(), sections.len() as u16 + 2);
    bytes.extend(segments);
    bytes.resize(start, 0);
    [bytes, body, headers].concat()
}

fn names(sections: &[Section]) -> Vec<u8> {
    let all = sections.iter().map(|section| section.name).chain([".shstrtab"]);
    let mut names = vec![0];
    all.for_each(|name| names.extend([name.as_bytes(), &[0]].concat()));
    names
}

fn file_header(segments: u16, sections_at: usize, sections: u16) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    // An executable for x86-64.
    bytes.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    for word in [super::TEXT, HEADER as u64, sections_at as u64] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend([0; 4]);
    for half in [HEADER as u16, SEGMENT as u16, segments, 64, sections, sections - 1] {
        bytes.extend(half.to_le_bytes());
    }
    bytes
}

fn section_header(section: &Section, name: u32, offset: usize) -> Vec<u8> {
    let mut bytes = [name.to_le_bytes(), section.kind.to_le_bytes()].concat();
    for word in [section.flags, section.address, offset as u64, section.bytes.len() as u64] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(section.link.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(1_u64.to_le_bytes());
    bytes.extend(0_u64.to_le_bytes());
    bytes
}

fn segment_header(section: &Section, offset: usize) -> Vec<u8> {
    const LOAD: u32 = 1;
    let execute = if section.flags & EXECUTABLE == 0 { 0 } else { 1 };
    let write = if section.flags & WRITABLE == 0 { 0 } else { 2 };
    let mut bytes = [LOAD.to_le_bytes(), (4_u32 | execute | write).to_le_bytes()].concat();
    let length = section.bytes.len() as u64;
    for word in [offset as u64, section.address, section.address, length, length, 1] {
        bytes.extend(word.to_le_bytes());
    }
    bytes
}
