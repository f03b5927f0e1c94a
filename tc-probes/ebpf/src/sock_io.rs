use aya_ebpf::{
    bindings::BPF_RB_NO_WAKEUP,
    helpers::generated::{bpf_get_socket_cookie, bpf_skc_to_tcp_sock},
    programs::BtfTracePointContext,
};
use weft_abi::{KIND_SOCK_IO, LossReason, SockIo, io};

use crate::{
    goroutine::Goroutine,
    kernel::{self, Task},
    loss,
    maps::{GO_PROCESSES, RECORDS},
    vantage::{self, SOCKETS},
};

/// A receive with one of these moves no byte of the stream to the application (include/linux/socket.h): MSG_PEEK,
/// MSG_TRUNC, MSG_ERRQUEUE.
const NOT_A_READ: i32 = 0x02 | 0x20 | 0x2000;
const IPPROTO_MPTCP: u16 = 262;

#[inline(always)]
pub fn record(ctx: &BtfTracePointContext, kind: u8) {
    let _ = try_record(ctx, kind);
}

/// `sock_{send,recv}_length(struct sock *sk, int ret, int flags)`, include/trace/events/sock.h: called for every
/// socket of every family when its call returns.
#[inline(always)]
fn try_record(ctx: &BtfTracePointContext, kind: u8) -> Option<()> {
    let sk: *const u8 = ctx.arg(0);
    let len: i32 = ctx.arg(1);
    // Every second receive of a Go program finds nothing.
    if len <= 0 || (kind == io::RECV && ctx.arg::<i32>(2) & NOT_A_READ != 0) {
        return None;
    }
    // SAFETY: the tracepoint's argument.
    let vantage = vantage::find(unsafe { kernel::socket_netns(sk) }, SOCKETS)?;
    let seq_end = seq_end(sk, kind)?;
    let word = vantage::word()?;
    if !word.alive {
        loss::count(LossReason::NoAgentSockIo);
        return None;
    }
    let task = Task::current();
    let pid = task.tgid();
    let goroutine = goroutine(task, pid);
    let record = SockIo {
        header: vantage::header(KIND_SOCK_IO, kind, vantage, SOCKETS, &word),
        cookie: cookie(sk),
        seq_end,
        len: len as u32,
        pid,
        tid: task.pid(),
        goid: goroutine.id,
        parent_goid: goroutine.parent,
        p_id: u32::MAX,
        sched_tick: 0,
    };
    if RECORDS.output::<SockIo>(&record, u64::from(BPF_RB_NO_WAKEUP)).is_err() {
        loss::count(LossReason::RingFullSockIo);
    }
    Some(())
}

#[inline(always)]
fn goroutine(task: Task, pid: u32) -> Goroutine {
    // SAFETY: entries are replaced, never changed.
    match unsafe { GO_PROCESSES.get(pid) } {
        Some(entry) => Goroutine::in_system_call(task, entry),
        None => Goroutine::default(),
    }
}

/// The socket's cookie, which it gets when somebody asks for it.
#[inline(always)]
fn cookie(sk: *const u8) -> u64 {
    // SAFETY: the tracepoint's argument is a full socket.
    unsafe {
        match kernel::cookie(sk) {
            0 => bpf_get_socket_cookie(sk.cast_mut().cast()),
            cookie => cookie,
        }
    }
}

/// The sequence number behind what the call moved; nothing for sockets that are not TCP.
#[inline(always)]
fn seq_end(sk: *const u8, kind: u8) -> Option<u32> {
    // SAFETY: the tracepoint's argument, and what the helper makes of it after a check.
    unsafe {
        if kernel::protocol(sk) == IPPROTO_MPTCP {
            loss::count(LossReason::Mptcp);
            return None;
        }
        let tcp_sock: *const u8 = bpf_skc_to_tcp_sock(sk.cast_mut().cast()).cast();
        if tcp_sock.is_null() {
            return None;
        }
        Some(if kind == io::SEND { kernel::write_seq(tcp_sock) } else { kernel::copied_seq(tcp_sock) })
    }
}
