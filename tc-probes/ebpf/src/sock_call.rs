//! Sends and receives on kernels before 6.3, which have no tracepoints for them: at the end of `tcp_sendmsg` and `tcp_recvmsg`.
//! Where the kernel lets programs see a function's arguments when it returns (fexit), all is as with the tracepoints. Where it does
//! not (kretprobes), the arguments are remembered from the call's beginning on, and only Go's processes are listened to.
use aya_ebpf::{
    EbpfContext as _,
    bindings::pt_regs,
    programs::{FExitContext, ProbeContext, RetProbeContext},
};
use core::ptr::read_volatile;
use weft_abi::{LossReason, io};

use crate::{
    kernel::{self, Task},
    loss,
    maps::{GO_PROCESSES, SOCK_CALLS},
    sock_io::{Call, Moved, alive},
};

const IPPROTO_TCP: u16 = 6;

/// How many arguments `tcp_recvmsg` has: 5; 6 with `nonblock`, which was before 5.19; 4 without `addr_len`, which newer kernels
/// do not have. What it returns comes behind them.
#[unsafe(no_mangle)]
static RECVMSG_ARGUMENTS: u32 = 0;

#[inline(always)]
fn recvmsg_arguments() -> u32 {
    // SAFETY: a read-only global.
    unsafe { read_volatile(&RECVMSG_ARGUMENTS) }
}

/// Reads a register or an argument from the context by one load at a constant offset, as the verifier wants it.
macro_rules! word {
    ($ctx:expr, $offset:expr) => {{
        let value: u64;
        // SAFETY: the context is valid while the program runs.
        unsafe {
            core::arch::asm!(
                "{0} = *(u64 *)({1} + {2})",
                out(reg) value,
                in(reg) $ctx.as_ptr(),
                const $offset,
                options(nostack, readonly),
            );
        }
        value
    }};
}

/// `int tcp_sendmsg(struct sock *sk, struct msghdr *msg, size_t size)` has returned.
#[inline(always)]
pub fn sent(ctx: &FExitContext) {
    Call { sk: word!(ctx, 0) as *const u8, kind: io::SEND, result: word!(ctx, 3 * 8) as i32, flags: 0 }
        .record();
}

/// `int tcp_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, [int nonblock,] int flags[, int *addr_len])` has.
#[inline(always)]
pub fn received(ctx: &FExitContext) {
    let (flags, result) = match recvmsg_arguments() {
        6 => (word!(ctx, 4 * 8), word!(ctx, 6 * 8)),
        5 => (word!(ctx, 3 * 8), word!(ctx, 5 * 8)),
        _ => (word!(ctx, 3 * 8), word!(ctx, 4 * 8)),
    };
    let (result, flags) = (result as i32, flags as i32);
    Call { sk: word!(ctx, 0) as *const u8, kind: io::RECV, result, flags }.record();
}

/// Elements of the table of calls, a power of two.
pub const PLACES: u32 = 1 << 11;

/// A call that has begun: of a thread, at the place that its id has in a table. Who finds his place taken takes it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Begun {
    sk: u64,
    tid: u32,
    flags: i32,
}

#[inline(always)]
pub fn begins(ctx: &ProbeContext, kind: u8) {
    let task = Task::current();
    if GO_PROCESSES.get_ptr(task.tgid()).is_none() {
        return;
    }
    let flags = match recvmsg_arguments() {
        6 => word!(ctx, core::mem::offset_of!(pt_regs, r8)),
        _ => word!(ctx, core::mem::offset_of!(pt_regs, rcx)),
    };
    let flags = if kind == io::RECV { flags as i32 } else { 0 };
    let begun = Begun { sk: word!(ctx, core::mem::offset_of!(pt_regs, rdi)), tid: task.pid(), flags };
    if let Some(place) = SOCK_CALLS.get_ptr_mut(begun.tid % PLACES) {
        // SAFETY: the map's lookup gave a valid pointer.
        unsafe { place.write_volatile(begun) }
    }
}

#[inline(always)]
pub fn ends(ctx: &RetProbeContext, kind: u8) {
    let _ = try_end(ctx, kind);
}

#[inline(always)]
fn try_end(ctx: &RetProbeContext, kind: u8) -> Option<()> {
    let task = Task::current();
    // SAFETY: entries are replaced, never changed.
    let entry = unsafe { GO_PROCESSES.get(task.tgid())? };
    let place = SOCK_CALLS.get_ptr_mut(task.pid() % PLACES)?;
    // SAFETY: the map's lookup gave a valid pointer.
    let Begun { sk, tid, flags } = unsafe { place.read_volatile() };
    let sk = sk as *const u8;
    let call = Call { sk, kind, result: word!(ctx, core::mem::offset_of!(pt_regs, rax)) as i32, flags };
    if !call.moved_bytes() {
        return None;
    }
    if tid != task.pid() {
        loss::count(LossReason::SockIoForgotten);
        return None;
    }
    // SAFETY: `probed` takes any address.
    let socket = unsafe { kernel::probed_socket(sk, kind == io::SEND)? };
    if socket.netns != entry.netns || socket.protocol != IPPROTO_TCP {
        return None;
    }
    let word = alive()?;
    let kernel::ProbedSocket { netns, cookie, seq_end, .. } = socket;
    Moved { netns, cookie, seq_end, kind, len: call.result as u32 }.submit(task, Some(entry), &word);
    Some(())
}
