//! Who runs on a thread of a Go process: read from the process's own memory, and never written there.
use aya_ebpf::helpers::bpf_probe_read_user;
use weft_abi::{G_IN_R14, GoProcessEntry, LossReason};

use crate::{kernel::Task, loss, parents};

/// A goroutine.
#[derive(Clone, Copy, Default)]
pub struct Goroutine {
    /// 0: unknown.
    pub id: u64,
    /// The one that created it; 0: unknown.
    pub parent: u64,
}

impl Goroutine {
    /// The one that made the system call that a thread, the running one, is in.
    #[inline(always)]
    pub fn in_system_call(task: Task, entry: &GoProcessEntry) -> Self {
        let g = match entry.process.g_tls {
            G_IN_R14 => Some(task.r14_in_user_space()),
            from_fs_base => word(task.fs_base().wrapping_add(from_fs_base as u64)),
        };
        // Without one the thread is none of Go's: a cgo program has such.
        match g {
            Some(0) => Self::default(),
            Some(g) => Self::of(g, entry),
            None => Self::unreadable(),
        }
    }

    /// The one that a `g` stands for, or, where that is a thread's system stack, the one that this works for.
    #[inline(always)]
    pub fn of(g: u64, entry: &GoProcessEntry) -> Self {
        match word(offset(g, entry.process.goid)) {
            Some(0) => Self::behind_system_stack(g, entry).unwrap_or_default(),
            Some(id) => Self { id, parent: parents::of(id, g, entry) },
            None => Self::unreadable(),
        }
    }

    #[inline(always)]
    fn behind_system_stack(g: u64, entry: &GoProcessEntry) -> Option<Self> {
        let m = word(offset(g, entry.process.m))?;
        let curg = word(offset(m, entry.process.curg))?;
        if curg == 0 {
            return None;
        }
        let id = word(offset(curg, entry.process.goid))?;
        Some(Self { id, parent: parents::of(id, curg, entry) })
    }

    #[inline(always)]
    fn unreadable() -> Self {
        loss::count(LossReason::GoUnreadable);
        Self::default()
    }
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
