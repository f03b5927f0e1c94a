//! Functions that somebody names.
use object::elf;
use serde::{Deserialize, Serialize};

use crate::{Error, build_info, elf::Elf, pclntab, prologue, read::executable, symbols};

/// Where each of its calls comes by exactly once, with its argument registers as the caller has set them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NamedFunction {
    /// Offset in the file of its first `push %rbp`, behind the check of the stack: a function whose stack has to grow begins
    /// anew. The kernel emulates the instruction.
    At(u64),
    /// The binary has none of this name: it is not linked in, or the compiler put its body in the place of all its calls.
    Absent,
    /// Several have this name, as one in assembly and what Go calls it through do.
    Several,
    /// It has no such instruction: it has no frame, and what is its first instruction may be a loop's, too.
    Frameless,
}

/// Where these functions are; the answers are in the order of the names, which are as the binary's symbols. None: it is no Go
/// program.
///
/// # Errors
/// As for [`read`](crate::read), or when the binary says of no function where it is.
pub fn find_named(bytes: &[u8], names: &[&str]) -> Result<Option<Vec<NamedFunction>>, Error> {
    let Some(elf) = executable(bytes)? else { return Ok(None) };
    if build_info::find(&elf)?.is_none() {
        return Ok(None);
    }
    let mut search = Search { names, found: vec![Addresses::None; names.len()], functions: 0 };
    symbols::each(&elf, |kind, name, value| {
        if kind == elf::STT_FUNC {
            search.offer(name, value);
        }
    });
    // One of a program that is stripped has what C brought along, at most.
    if search.found.iter().all(|found| *found == Addresses::None) {
        let table = pclntab::each(&elf, |name, value| search.offer(name, value));
        if table.is_none_or(|read| read.is_err()) && search.functions == 0 {
            return Err(Error::Functions);
        }
    }
    Ok(Some(search.found.into_iter().map(|found| found.place(&elf)).collect()))
}

struct Search<'n> {
    names: &'n [&'n str],
    found: Vec<Addresses>,
    /// That were looked at.
    functions: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Addresses {
    None,
    One(u64),
    Several,
}

impl Search<'_> {
    fn offer(&mut self, name: &[u8], address: u64) {
        self.functions += 1;
        for (wanted, found) in self.names.iter().zip(&mut self.found) {
            if wanted.as_bytes() == name {
                *found = match *found {
                    Addresses::None => Addresses::One(address),
                    Addresses::One(before) if before == address => Addresses::One(address),
                    Addresses::One(_) | Addresses::Several => Addresses::Several,
                };
            }
        }
    }
}

impl Addresses {
    fn place(self, elf: &Elf<'_>) -> NamedFunction {
        let address = match self {
            Self::None => return NamedFunction::Absent,
            Self::Several => return NamedFunction::Several,
            Self::One(address) => address,
        };
        let place = || {
            let code = elf.bytes_at(address)?;
            let push = prologue::first_push(code)?;
            elf.offset_of(address)?.checked_add(push as u64)
        };
        place().map_or(NamedFunction::Frameless, NamedFunction::At)
    }
}
