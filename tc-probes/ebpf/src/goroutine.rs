//! Who runs on a thread of a Go process: read from the process's own memory, and never written there.
use aya_ebpf::helpers::bpf_probe_read_user;
use weft_abi::{GoProcess, LossReason};

use crate::{kernel::Task, loss};

/// A goroutine.
#[derive(Clone, Copy, Default)]
pub struct Goroutine {
    /// 0: unknown.
    pub id: u64,
    /// The one that created it; 0: unknown.
    pub parent: u64,
}

impl Goroutine {
    /// The one that made the system call that the running thread is in.
    #[inline(always)]
    pub fn in_system_call(process: &GoProcess) -> Self {
        let pointer = Task::current().fs_base().wrapping_add(process.g_tls as u64);
        // Without one the thread is none of Go's: a cgo program has such.
        match word(pointer) {
            Some(0) => Self::default(),
            Some(g) => Self::of(g, process),
            None => Self::unreadable(),
        }
    }

    /// The one that a `g` stands for, or, where that is a thread's system stack, the one that this works for.
    #[inline(always)]
    pub fn of(g: u64, process: &GoProcess) -> Self {
        match word(offset(g, process.goid)) {
            Some(0) => Self::behind_system_stack(g, process).unwrap_or_default(),
            Some(id) => Self { id, parent: parent(g, process) },
            None => Self::unreadable(),
        }
    }

    #[inline(always)]
    fn behind_system_stack(g: u64, process: &GoProcess) -> Option<Self> {
        let m = word(offset(g, process.m))?;
        let curg = word(offset(m, process.curg))?;
        if curg == 0 {
            return None;
        }
        Some(Self { id: word(offset(curg, process.goid))?, parent: parent(curg, process) })
    }

    #[inline(always)]
    fn unreadable() -> Self {
        loss::count(LossReason::GoUnreadable);
        Self::default()
    }
}

#[inline(always)]
fn parent(g: u64, process: &GoProcess) -> u64 {
    if process.parent_goid == 0 { 0 } else { word(offset(g, process.parent_goid)).unwrap_or(0) }
}

#[inline(always)]
pub fn offset(pointer: u64, offset: u32) -> u64 {
    pointer.wrapping_add(u64::from(offset))
}

/// Eight bytes of the process's memory.
#[inline(always)]
pub fn word(address: u64) -> Option<u64> {
    // SAFETY: the helper takes any address.
    unsafe { bpf_probe_read_user(address as *const u64).ok() }
}

/// Sixteen.
#[inline(always)]
pub fn pair(address: u64) -> Option<[u64; 2]> {
    // SAFETY: the helper takes any address.
    unsafe { bpf_probe_read_user(address as *const [u64; 2]).ok() }
}
