//! Where a thread's `g` is, from its FS base.
use object::{LittleEndian as LE, elf};

use crate::elf::Elf;

/// Where Go's own linker puts it, and where it is in a thread without other variables.
const USUAL: i64 = -8;
/// Length of the pointer.
const POINTER: u64 = 8;

/// What is known of it besides the segments.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hints {
    /// The value of the symbol `runtime.tlsg`, which is there where a C linker has laid out the threads' variables: C may have
    /// some of its own.
    pub tlsg: Option<u64>,
    /// Where `runtime.morestack` is: it begins with reading `g`.
    pub morestack: Option<u64>,
}

/// The offset of `g` from the FS base, in bytes. None: a C linker has put it somewhere, and nothing says where.
pub fn g_offset(elf: &Elf<'_>, hints: &Hints) -> Option<i64> {
    let block = elf.segments().iter().find(|segment| segment.p_type.get(LE) == elf::PT_TLS);
    let Some(block) = block else { return Some(USUAL) };
    let (length, address, align) = (block.p_memsz.get(LE), block.p_vaddr.get(LE), block.p_align.get(LE));
    let by_symbol = hints.tlsg.map(|tlsg| in_block(tlsg, address, length, align));
    let by_code = || from_code(elf.bytes_at(hints.morestack?)?);
    by_symbol.or_else(by_code).or((length == POINTER).then_some(USUAL))
}

/// On x86-64 the FS base is the end of the executable's TLS block, and that is padded so that the block's beginning is aligned
/// (`TP` in the ELF Handling for Thread-Local Storage, variant II; Delve computes it so, too).
fn in_block(tlsg: u64, address: u64, length: u64, align: u64) -> i64 {
    let padding = address.wrapping_add(length).wrapping_neg() & align.max(1).wrapping_sub(1);
    tlsg.wrapping_sub(length.wrapping_add(padding)).cast_signed()
}

/// The offset in `mov %fs:OFFSET,%REG`, or in `mov $OFFSET,%REG; mov %fs:(%REG),%ANY`, which linkers make of it in
/// a position-independent program.
fn from_code(code: &[u8]) -> Option<i64> {
    const FS_MOV: &[u8] = &[0x64, 0x48, 0x8b];
    const MOV: &[u8] = &[0x48, 0xc7];
    /// ModRM: neither memory operand nor register yet.
    const ANY_REGISTER: u8 = 0x38;
    if let Some([mode, 0x25, offset @ ..]) = code.strip_prefix(FS_MOV) {
        return (mode & !ANY_REGISTER == 0x04).then(|| immediate(offset))?;
    }
    let [mode, rest @ ..] = code.strip_prefix(MOV)? else { return None };
    let register = mode.checked_sub(0xc0).filter(|register| *register < 8)?;
    let [used, ..] = rest.get(4..)?.strip_prefix(FS_MOV)? else { return None };
    (used & !ANY_REGISTER == register).then(|| immediate(rest))?
}

fn immediate(bytes: &[u8]) -> Option<i64> {
    bytes.first_chunk().map(|bytes| i32::from_le_bytes(*bytes).into())
}

#[cfg(test)]
mod tests {
    use super::{from_code, in_block};

    #[test]
    fn a_block_of_c_and_go_variables() {
        // ld's layout of 4 bytes of C, Go's pointer, 100 bytes of C.
        assert_eq!(in_block(0x10, 0x00df_5dd0, 0x84, 0x10), -0x80);
        assert_eq!(in_block(0, 0, 8, 8), -8);
    }

    #[test]
    fn the_instruction_that_reads_g() {
        let absolute = [0x64, 0x48, 0x8b, 0x1c, 0x25, 0x80, 0xff, 0xff, 0xff, 0x48];
        assert_eq!(from_code(&absolute), Some(-0x80));
        let by_register = [0x48, 0xc7, 0xc1, 0x40, 0xff, 0xff, 0xff, 0x64, 0x48, 0x8b, 0x19];
        assert_eq!(from_code(&by_register), Some(-0xc0));
        let other_register = [0x48, 0xc7, 0xc1, 0x40, 0xff, 0xff, 0xff, 0x64, 0x48, 0x8b, 0x1a];
        assert_eq!(from_code(&other_register), None);
        for length in 0..absolute.len() - 1 {
            assert_eq!(from_code(&absolute[..length]), None);
        }
    }
}
