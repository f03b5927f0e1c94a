//! Debugging information of structures: DWARF 4, as Go's linker arranges it.
use super::Section;

/// Abbreviations: a unit (language), a structure (name), a member (name, offset, type), a pointer, a number; the attributes'
/// names and forms in pairs.
const ABBREVIATIONS: &[u8] = &[
    1, 0x11, 1, 0x13, 0x0b, 0, 0, // unit: language as a byte
    2, 0x13, 1, 0x03, 0x08, 0, 0, // structure: name as a string
    3, 0x0d, 0, 0x03, 0x08, 0x38, 0x0f, 0x49, 0x10, 0, 0, // member: name, offset, type in any unit
    4, 0x0f, 0, 0, 0, // pointer
    5, 0x24, 0, 0, 0, // number
    0,
];
const GO: u8 = 22;
/// Where the two types are that members have: behind the unit's header and its own entry.
const POINTER: u32 = 13;
const NUMBER: u32 = 14;

/// A structure: its name, and its members with their offsets, and whether each is a pointer.
pub type Structure<'a> = (&'a str, &'a [(&'a str, u32, bool)]);

/// The sections `.debug_info` and `.debug_abbrev`.
pub fn debugging(structures: &[Structure<'_>]) -> [Section; 2] {
    let mut entries = vec![1, GO, 4, 5];
    for (name, members) in structures {
        entries.push(2);
        string(&mut entries, name);
        for (name, offset, pointer) in *members {
            entries.push(3);
            string(&mut entries, name);
            uleb128(&mut entries, *offset);
            entries.extend((if *pointer { POINTER } else { NUMBER }).to_le_bytes());
        }
        entries.push(0);
    }
    entries.push(0);
    // Version 4, the abbreviations' offset, the length of an address.
    let mut info = (7 + entries.len() as u32).to_le_bytes().to_vec();
    info.extend([4, 0, 0, 0, 0, 0, 8]);
    info.extend(entries);
    [Section::new(".debug_info", info), Section::new(".debug_abbrev", ABBREVIATIONS.to_vec())]
}

fn string(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend(text.as_bytes());
    bytes.push(0);
}

fn uleb128(bytes: &mut Vec<u8>, mut value: u32) {
    while value > 0x7f {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}
