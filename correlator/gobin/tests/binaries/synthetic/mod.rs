//! Executables of a few hundred bytes that look like Go's: for tests and fuzzing without a Go toolchain. What is in them that
//! matters, Go's own linker writes likewise (the tests with real binaries say so); the rest is left out.

mod debugging;
mod elf;

pub use debugging::{Structure, debugging};
pub use elf::{EXECUTABLE, LOADED, Section, WRITABLE, elf};

/// Where the code is.
pub const TEXT: u64 = 0x40_1000;
/// Where the function table is.
pub const TABLE: u64 = 0x50_0000;
/// A function that begins as most do: `cmp 0x10(%r14),%rsp; jbe; push %rbp`.
pub const FUNCTION: [u8; 16] =
    [0x49, 0x3b, 0x66, 0x10, 0x76, 0x08, 0x55, 0x48, 0x89, 0xe5, 0xc3, 0, 0, 0, 0, 0];
/// How far behind a function's entry its `push %rbp` is.
pub const PUSH: u64 = 6;

/// The section `.go.buildinfo`.
pub fn build_info(version: &str, modules: &str) -> Section {
    const MARKER: [u8; 16] = [0x30; 16];
    let mut blob = b"\xff Go buildinf:\x08\x02".to_vec();
    blob.resize(32, 0);
    blob.extend(with_length(version.as_bytes()));
    blob.extend(with_length(&[&MARKER, modules.as_bytes(), &MARKER].concat()));
    Section { flags: LOADED | WRITABLE, address: 0x60_0000, ..Section::new(".go.buildinfo", blob) }
}

fn with_length(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut length = text.len();
    while length > 0x7f {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend(text);
    bytes
}

/// As many functions, one behind the other.
pub fn text(functions: usize) -> Section {
    Section { flags: LOADED | EXECUTABLE, address: TEXT, ..Section::new(".text", FUNCTION.repeat(functions)) }
}

/// The function table of functions that are so far behind the beginning of the code.
pub fn function_table(functions: &[(&str, u32)]) -> Section {
    let names: Vec<u8> = functions.iter().flat_map(|(name, _)| [name.as_bytes(), &[0]].concat()).collect();
    let table_at = HEADER + names.len();
    let mut bytes = [0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8].to_vec();
    for word in [functions.len(), 0, TEXT as usize, HEADER, HEADER, HEADER, HEADER, table_at] {
        bytes.extend((word as u64).to_le_bytes());
    }
    bytes.extend(&names);
    bytes.extend(entries(functions));
    Section { flags: LOADED, address: TABLE, ..Section::new(".gopclntab", bytes) }
}

const HEADER: usize = 8 + 8 * 8;

fn entries(functions: &[(&str, u32)]) -> Vec<u8> {
    let descriptions_at = 8 * functions.len() as u32 + 4;
    let mut entries = Vec::new();
    let mut descriptions = Vec::new();
    let mut name_at = 0;
    for (name, entry) in functions {
        entries.extend(entry.to_le_bytes());
        entries.extend((descriptions_at + descriptions.len() as u32).to_le_bytes());
        descriptions.extend(entry.to_le_bytes());
        descriptions.extend((name_at as u32).to_le_bytes());
        name_at += name.len() + 1;
    }
    entries.extend((FUNCTION.len() as u32 * functions.len() as u32).to_le_bytes());
    [entries, descriptions].concat()
}

/// The symbol table of functions, and its names: the sections that belong at `index` and behind it.
pub fn symbols(functions: &[(&str, u64)], index: usize) -> [Section; 2] {
    let mut names = vec![0];
    let mut table = vec![0; 24];
    for (name, address) in functions {
        table.extend((names.len() as u32).to_le_bytes());
        // A function, in some section.
        table.extend([0x12, 0, 1, 0]);
        table.extend(address.to_le_bytes());
        table.extend(0_u64.to_le_bytes());
        names.extend(name.as_bytes());
        names.push(0);
    }
    let link = index as u32 + 1;
    [
        Section { kind: elf::SYMTAB, link, ..Section::new(".symtab", table) },
        Section { kind: elf::STRTAB, ..Section::new(".strtab", names) },
    ]
}
