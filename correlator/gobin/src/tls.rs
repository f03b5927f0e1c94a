//! Where a thread's `g` is, from its FS base.
use object::{LittleEndian as LE, elf};

use crate::elf::Elf;

/// Where Go's own linker puts it.
const USUAL: i64 = -8;

/// The offset of `g` from the FS base, in bytes; `tlsg` is the value of the symbol `runtime.tlsg`, which is there where a C
/// linker has laid out the thread's variables: C may have some of its own.
///
/// On x86-64 the FS base is the end of the executable's TLS block, and that is padded so that the block's beginning is aligned
/// (lld's and GNU ld's `tpoff`; Delve computes it so, too).
pub fn g_offset(elf: &Elf<'_>, tlsg: Option<u64>) -> i64 {
    let block = elf.segments().iter().find(|segment| segment.p_type.get(LE) == elf::PT_TLS);
    let (Some(block), Some(tlsg)) = (block, tlsg) else { return USUAL };
    let (length, address) = (block.p_memsz.get(LE), block.p_vaddr.get(LE));
    let mask = block.p_align.get(LE).max(1).wrapping_sub(1);
    let padding = address.wrapping_add(length).wrapping_neg() & mask;
    tlsg.wrapping_sub(length.wrapping_add(padding)).cast_signed()
}
