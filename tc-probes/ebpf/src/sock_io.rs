use aya_ebpf::{
    bindings::BPF_RB_NO_WAKEUP,
    helpers::generated::{bpf_get_socket_cookie, bpf_skc_to_tcp_sock},
    programs::BtfTracePointContext,
};
use weft_abi::{GoProcessEntry, KIND_SOCK_IO, LossReason, SockIo, io};

use crate::{
    goroutine::Goroutine,
    kernel::{self, Task},
    loss,
    maps::{GO_PROCESSES, RECORDS},
    vantage::{self, Word},
};

/// A receive with one of these moves no byte of the stream to the application (include/linux/socket.h): MSG_PEEK,
/// MSG_TRUNC, MSG_ERRQUEUE.
const NOT_A_READ: i32 = 0x02 | 0x20 | 0x2000;
const IPPROTO_MPTCP: u16 = 262;

/// A send or receive that is about to return.
pub struct Call {
    /// Its socket: a pointer whose type the verifier knows.
    pub sk: *const u8,
    /// `io::*`.
    pub kind: u8,
    /// What it returns.
    pub result: i32,
    /// What a receive was asked for.
    pub flags: i32,
}

impl Call {
    /// `sock_{send,recv}_length(struct sock *sk, int ret, int flags)`, include/trace/events/sock.h: called for every
    /// socket of every family when its call returns.
    #[inline(always)]
    pub fn of_tracepoint(ctx: &BtfTracePointContext, kind: u8) -> Self {
        Self { sk: ctx.arg(0), kind, result: ctx.arg(1), flags: ctx.arg(2) }
    }

    /// Whether it moved bytes of the stream. Every second receive of a Go program finds none.
    #[inline(always)]
    pub fn moved_bytes(&self) -> bool {
        self.result > 0 && !(self.kind == io::RECV && self.flags & NOT_A_READ != 0)
    }

    #[inline(always)]
    pub fn record(&self) {
        if self.moved_bytes() {
            let _ = self.try_record();
        }
    }

    #[inline(always)]
    fn try_record(&self) -> Option<()> {
        // SAFETY: typed.
        let netns = unsafe { kernel::socket_netns(self.sk) };
        if vantage::is_hosts(netns) {
            return None;
        }
        let task = Task::current();
        // SAFETY: entries are replaced, never changed.
        let entry = unsafe { GO_PROCESSES.get(task.tgid()) };
        // Who knows the process knows its pod.
        if !entry.is_some_and(|entry| entry.netns == netns) {
            vantage::of_sockets(netns)?;
        }
        let seq_end = self.seq_end()?;
        let word = alive()?;
        let moved = Moved { netns, cookie: self.cookie(), seq_end, kind: self.kind, len: self.result as u32 };
        moved.submit(task, entry, &word);
        Some(())
    }

    /// The socket's cookie, which it gets when somebody asks for it.
    #[inline(always)]
    fn cookie(&self) -> u64 {
        // SAFETY: typed, and a full socket.
        unsafe {
            match kernel::cookie(self.sk) {
                0 => bpf_get_socket_cookie(self.sk.cast_mut().cast()),
                cookie => cookie,
            }
        }
    }

    /// The sequence number behind what the call moved; nothing for sockets that are not TCP.
    #[inline(always)]
    fn seq_end(&self) -> Option<u32> {
        // SAFETY: typed, as is what the helper makes of it after a check.
        unsafe {
            if kernel::protocol(self.sk) == IPPROTO_MPTCP {
                loss::count(LossReason::Mptcp);
                return None;
            }
            let tcp_sock: *const u8 = bpf_skc_to_tcp_sock(self.sk.cast_mut().cast()).cast();
            if tcp_sock.is_null() {
                return None;
            }
            Some(if self.kind == io::SEND {
                kernel::write_seq(tcp_sock)
            } else {
                kernel::copied_seq(tcp_sock)
            })
        }
    }
}

/// What the agent said, where there is one.
#[inline(always)]
pub fn alive() -> Option<Word> {
    let word = vantage::word()?;
    if !word.alive {
        loss::count(LossReason::NoAgentSockIo);
        return None;
    }
    Some(word)
}

/// Bytes of a pod's TCP socket that went from or to the running thread.
pub struct Moved {
    pub netns: u64,
    pub cookie: u64,
    /// The sequence number behind them.
    pub seq_end: u32,
    /// `io::*`.
    pub kind: u8,
    pub len: u32,
}

impl Moved {
    /// `entry`: of the thread's process, where that is known to be Go's.
    #[inline(always)]
    pub fn submit(&self, task: Task, entry: Option<&GoProcessEntry>, word: &Word) {
        let goroutine = match entry {
            Some(entry) => Goroutine::in_system_call(task, entry),
            None => Goroutine::default(),
        };
        let record = SockIo {
            header: vantage::sockets_header(KIND_SOCK_IO, self.kind, self.netns, word),
            cookie: self.cookie,
            seq_end: self.seq_end,
            len: self.len,
            pid: task.tgid(),
            tid: task.pid(),
            goid: goroutine.id,
            parent_goid: goroutine.parent,
            p_id: u32::MAX,
            sched_tick: 0,
        };
        let Some(mut place) = RECORDS.reserve::<SockIo>(0) else {
            loss::count(LossReason::RingFullSockIo);
            return;
        };
        place.write(record);
        place.submit(u64::from(BPF_RB_NO_WAKEUP));
    }
}
