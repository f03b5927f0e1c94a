//! Where the code begins that the function table counts from: `runtime.text`. Its header had it until Go 1.25, for the loader to
//! move in a position-independent program; since then only `runtime.firstmoduledata` has it.
use crate::{elf::Elf, pclntab::Table, relocations::Pointers};

/// Offsets in `runtime.moduledata` (runtime/symtab.go, Go 1.18 to 1.27): a pointer to the function table's header, the slice of
/// its names, five more slices and a pointer, and then these.
const NAMES: u64 = 8;
const MIN_PC: u64 = 160;
const TEXT: u64 = 176;
/// Pointers to the function table that are looked at; there is one.
const MOST_CANDIDATES: usize = 16;

/// The virtual address that the functions' places are told from.
pub fn text(elf: &Elf<'_>, table: &Table<'_>) -> Option<u64> {
    let told = Some(table.text).filter(|text| elf.is_code(*text));
    told.or_else(|| from_moduledata(elf, table))
}

fn from_moduledata(elf: &Elf<'_>, table: &Table<'_>) -> Option<u64> {
    let pointers = Pointers::of(elf);
    let candidates = pointers.to(table.address, MOST_CANDIDATES);
    candidates.into_iter().find_map(|module| {
        let word = |offset| pointers.at(module.checked_add(offset)?);
        let text = word(TEXT).filter(|text| elf.is_code(*text))?;
        let names = table.address.checked_add(table.names_offset)?;
        let first = text.checked_add(table.first_function.into())?;
        (word(NAMES) == Some(names) && word(MIN_PC) == Some(first)).then_some(text)
    })
}
