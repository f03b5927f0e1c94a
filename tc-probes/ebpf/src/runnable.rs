//! Since when a goroutine is able to run and does not: a table in which each has one place, by a hash. Who finds his place
//! taken takes it, and how long the other waited stays unknown: so nothing is left of processes that are gone.
use core::ptr::{addr_of, addr_of_mut, read_volatile, write_volatile};

use crate::maps::RUNNABLES;

/// Elements of the table, a power of two.
pub const PLACES: u32 = 1 << 14;
/// An odd number whose bits look random: 2^64 divided by the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Runnable {
    /// The `g`; 0: nobody.
    gp: u64,
    pub since: u64,
    pid: u32,
    /// 1: it was created then.
    pub created: u32,
}

#[inline(always)]
pub fn begin(pid: u32, gp: u64, since: u64, created: bool) {
    let Some(place) = RUNNABLES.get_ptr_mut(place(pid, gp)) else { return };
    let runnable = Runnable { gp, since, pid, created: u32::from(created) };
    // SAFETY: the map's lookup gave a valid pointer. Nobody's while it is written, for who reads it meanwhile.
    unsafe {
        write_volatile(addr_of_mut!((*place).gp), 0);
        write_volatile(addr_of_mut!((*place).since), runnable.since);
        write_volatile(addr_of_mut!((*place).pid), runnable.pid);
        write_volatile(addr_of_mut!((*place).created), runnable.created);
        write_volatile(addr_of_mut!((*place).gp), runnable.gp);
    }
}

/// What is known of a goroutine that runs now.
#[inline(always)]
pub fn end(pid: u32, gp: u64) -> Option<Runnable> {
    let place = RUNNABLES.get_ptr_mut(place(pid, gp))?;
    // SAFETY: as above. Whose it is is read last: what was read before is then his.
    unsafe {
        let since = read_volatile(addr_of!((*place).since));
        let created = read_volatile(addr_of!((*place).created));
        let owner = read_volatile(addr_of!((*place).pid));
        if owner != pid || read_volatile(addr_of!((*place).gp)) != gp {
            return None;
        }
        write_volatile(addr_of_mut!((*place).gp), 0);
        Some(Runnable { gp, since, pid, created })
    }
}

#[inline(always)]
fn place(pid: u32, gp: u64) -> u32 {
    let hash = (gp ^ u64::from(pid) << 44).wrapping_mul(SPREAD);
    (hash >> (64 - PLACES.trailing_zeros())) as u32
}
