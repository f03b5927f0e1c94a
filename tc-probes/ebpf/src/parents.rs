//! Who created a goroutine: it never changes, and reading the process's memory costs some ten times as much as looking here. A
//! table in which each has one place, by a hash; who comes later takes it.
use core::ptr::{addr_of, addr_of_mut, read_volatile, write_volatile};

use crate::{
    goroutine::{offset, word},
    maps::PARENTS,
};
use weft_abi::GoProcessEntry;

/// Elements of the table, a power of two.
pub const PLACES: u32 = 1 << 13;
/// Odd numbers whose bits look random: from the golden ratio, and from xxHash.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
const SPREAD_PROCESS: u64 = 0xc2b2_ae3d_27d4_eb4f;
const SPREAD_PARENT: u64 = 0x1656_67b1_9e37_79f9;

/// Two CPUs may write a place at once: `proof` says of whom `parent` is the parent, so what is half of one and half of the other
/// is nobody's.
#[repr(C)]
pub struct Parent {
    parent: u64,
    proof: u64,
}

/// The parent of the goroutine `id`, whose `g` is at `g`; 0: unknown.
#[inline(always)]
pub fn of(id: u64, g: u64, entry: &GoProcessEntry) -> u64 {
    if entry.process.parent_goid == 0 {
        return 0;
    }
    let who = id.wrapping_mul(SPREAD) ^ entry.incarnation.wrapping_mul(SPREAD_PROCESS);
    let place = (who >> (64 - PLACES.trailing_zeros())) as u32;
    let Some(place) = PARENTS.get_ptr_mut(place) else { return 0 };
    // SAFETY: the map's lookup gave a valid pointer.
    let (parent, proof) =
        unsafe { (read_volatile(addr_of!((*place).parent)), read_volatile(addr_of!((*place).proof))) };
    if proof == prove(who, parent) {
        return parent;
    }
    let parent = word(offset(g, entry.process.parent_goid)).unwrap_or(0);
    // SAFETY: as above.
    unsafe {
        write_volatile(addr_of_mut!((*place).parent), parent);
        write_volatile(addr_of_mut!((*place).proof), prove(who, parent));
    }
    parent
}

#[inline(always)]
fn prove(who: u64, parent: u64) -> u64 {
    who ^ parent.wrapping_mul(SPREAD_PARENT)
}
