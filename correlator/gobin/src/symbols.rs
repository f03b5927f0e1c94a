//! The symbol table of a binary that was not stripped: functions, and the runtime's variables.
use object::{
    LittleEndian as LE,
    elf::{self, Sym64, SymbolType},
};

use crate::{
    elf::{Elf, array, string_at},
    functions::{Functions, MOST_NAME},
};

/// What the symbol table says.
#[derive(Debug, Default)]
pub struct Symbols {
    /// There is one.
    pub present: bool,
    /// The functions that are looked for.
    pub functions: Functions,
    /// The addresses of the runtime's variables.
    pub variables: Variables,
}

/// Addresses of the runtime's variables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Variables {
    /// `runtime.sched`.
    pub sched: Option<u64>,
    /// `runtime.memstats`.
    pub memstats: Option<u64>,
    /// `runtime.gcController`.
    pub gc_controller: Option<u64>,
    /// `runtime.allglen`.
    pub allglen: Option<u64>,
    /// `runtime.gomaxprocs`.
    pub gomaxprocs: Option<u64>,
    /// `runtime.allp`.
    pub allp: Option<u64>,
    /// `runtime.tlsg`: no address, but where in the TLS block.
    pub tlsg: Option<u64>,
}

/// Reads the symbol table, name by name.
pub fn read(elf: &Elf<'_>) -> Symbols {
    let mut symbols = Symbols::default();
    each(elf, |kind, name, value| {
        symbols.present = true;
        match kind {
            elf::STT_FUNC => symbols.functions.offer(name, value),
            elf::STT_OBJECT | elf::STT_TLS => symbols.variables.offer(name, value),
            _ => {}
        }
    });
    symbols
}

/// Gives each symbol's type, name and value.
pub fn each(elf: &Elf<'_>, mut take: impl FnMut(SymbolType, &[u8], u64)) {
    let Some(table) = elf.section_of_type(elf::SHT_SYMTAB) else { return };
    let Some(names) = elf.section_at(table.link) else { return };
    for symbol in array::<Sym64<LE>>(table.bytes) {
        let (value, name) = (symbol.st_value.get(LE), symbol.st_name.get(LE) as usize);
        if let Some(name) = string_at(names.bytes, name, MOST_NAME) {
            take(symbol.st_info.st_type(), name, value);
        }
    }
}

impl Variables {
    fn offer(&mut self, name: &[u8], value: u64) {
        let Some(name) = name.strip_prefix(b"runtime.") else { return };
        let place = match name {
            b"sched" => &mut self.sched,
            b"memstats" => &mut self.memstats,
            b"gcController" => &mut self.gc_controller,
            b"allglen" => &mut self.allglen,
            b"gomaxprocs" => &mut self.gomaxprocs,
            b"allp" => &mut self.allp,
            b"tlsg" => &mut self.tlsg,
            _ => return,
        };
        *place = Some(value);
    }
}
