//! The function table that the runtime itself uses (runtime/symtab.go): it is in every Go binary, stripped or not, because
//! stack traces come from it.
use memchr::memmem;
use object::elf;

use crate::{
    elf::{Elf, string_at},
    functions::{Functions, MOST_NAME},
    moduledata,
};

/// Magic numbers (internal/abi/symtab.go) since Go 1.20, and of Go 1.18 and 1.19; then two zeros, the length of an instruction's unit
/// and of a pointer on amd64.
const MAGICS: [&[u8]; 2] = [&[0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8], &[0xf0, 0xff, 0xff, 0xff, 0, 0, 1, 8]];
/// What the section is called: a position-independent one of older linkers is relocated.
const SECTIONS: [&str; 2] = [".gopclntab", ".data.rel.ro.gopclntab"];
/// Where the magic number is only met by chance, that is not very often.
const MOST_CANDIDATES: usize = 64;
/// Words of the header behind the magic number.
const FUNCTIONS: usize = 0;
const TEXT: usize = 2;
const NAMES: usize = 3;
const FUNCTION_TABLE: usize = 7;

/// The table's parts.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    /// Its virtual address.
    pub address: u64,
    /// How far from its beginning the names are.
    pub names_offset: u64,
    /// What the header says of where the code begins: 0 where that is written elsewhere (Go 1.26) or by the loader.
    pub text: u64,
    /// Where the first function is, from where the code begins.
    pub first_function: u32,
    names: &'a [u8],
    /// The descriptions, and before them where each is.
    functions: &'a [u8],
    count: usize,
}

/// What the table says of the functions that are looked for; None: there is none.
pub fn functions(elf: &Elf<'_>) -> Option<Result<Functions, &'static str>> {
    let mut functions = Functions::default();
    let read = each(elf, |name, address| functions.offer(name, address))?;
    Some(read.map(|()| functions))
}

/// Gives each function's name and address; None: there is no table.
pub fn each(elf: &Elf<'_>, mut take: impl FnMut(&[u8], u64)) -> Option<Result<(), &'static str>> {
    let table = find(elf)?;
    let Some(text) = moduledata::text(elf, &table) else {
        return Some(Err("it does not say where the code begins"));
    };
    for (entry, name) in (0..table.count).filter_map(|index| table.function(index)) {
        take(name, text.wrapping_add(entry.into()));
    }
    Some(Ok(()))
}

fn find<'a>(elf: &Elf<'a>) -> Option<Table<'a>> {
    let mut named = SECTIONS.iter().filter_map(|name| elf.section(name));
    let named = named.find_map(|section| Table::parse(section.bytes, section.address));
    named.or_else(|| elf.loaded(elf::PF_R).find_map(|(address, bytes)| search(bytes, address)))
}

fn search(bytes: &[u8], address: u64) -> Option<Table<'_>> {
    MAGICS.iter().find_map(|magic| {
        let candidates = memmem::find_iter(bytes, magic).take(MOST_CANDIDATES);
        candidates.filter_map(|at| Table::parse(bytes.get(at..)?, address.checked_add(at as u64)?)).next()
    })
}

impl<'a> Table<'a> {
    fn parse(bytes: &'a [u8], address: u64) -> Option<Self> {
        MAGICS.iter().find(|magic| bytes.starts_with(magic))?;
        let word = |index: usize| {
            let word = bytes.get(8 + 8 * index..)?.first_chunk()?;
            Some(u64::from_le_bytes(*word))
        };
        let part = |index| bytes.get(usize::try_from(word(index)?).ok()?..);
        let count = usize::try_from(word(FUNCTIONS)?).ok()?;
        let functions = part(FUNCTION_TABLE)?;
        // The last entry is where the code ends.
        let fits = count.checked_mul(8)?.checked_add(4)? <= functions.len();
        (count > 0 && fits).then_some(Self {
            address,
            names_offset: word(NAMES)?,
            text: word(TEXT)?,
            first_function: number(functions, 0)?,
            names: part(NAMES)?,
            functions,
            count,
        })
    }

    /// Where a function is, from where the code begins, and its name.
    fn function(&self, index: usize) -> Option<(u32, &'a [u8])> {
        let entry = number(self.functions, index * 8)?;
        let description = number(self.functions, index * 8 + 4)? as usize;
        let name = number(self.functions, description.checked_add(4)?)? as usize;
        Some((entry, string_at(self.names, name, MOST_NAME)?))
    }
}

fn number(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().map(|number| u32::from_le_bytes(*number))
}
