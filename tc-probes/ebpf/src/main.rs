//! The programs that run in the kernel. Each entry point does the same: try, count the reason when it cannot
//! go on, and let the packet or the call proceed whatever happened. Nothing is ever written to a packet.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod chunks;
mod flow;
mod frames;
mod framing;
mod go_call;
mod go_count;
mod go_sched;
mod goroutine;
mod kernel;
mod loss;
mod maps;
mod packet;
mod parents;
mod probe;
mod process;
mod reading;
mod ring;
mod run;
mod runnable;
mod segment;
mod sock_call;
mod sock_event;
mod sock_io;
mod updates;
mod vantage;

use aya_ebpf::{
    macros::{btf_tracepoint, classifier, fexit, kprobe, kretprobe, sock_ops, uprobe},
    programs::{
        BtfTracePointContext, FExitContext, ProbeContext, RetProbeContext, SockOpsContext, TcContext,
    },
};
use weft_abi::{DIRECTION_EGRESS, DIRECTION_INGRESS, io};

/// `TCX_NEXT` and `TC_ACT_UNSPEC` (include/uapi/linux/bpf.h, pkt_cls.h): the next program decides.
const NEXT: i32 = -1;

#[classifier]
pub fn tc_ingress(ctx: TcContext) -> i32 {
    segment::record(&ctx, DIRECTION_INGRESS);
    NEXT
}

#[classifier]
pub fn tc_egress(ctx: TcContext) -> i32 {
    segment::record(&ctx, DIRECTION_EGRESS);
    NEXT
}

// A function of the name of its ELF section does not link, and `sockops` is a section's name.
#[sock_ops]
pub fn weft_sockops(ctx: SockOpsContext) -> u32 {
    sock_event::record(&ctx);
    1
}

#[btf_tracepoint(function = "sock_send_length")]
pub fn sock_send(ctx: BtfTracePointContext) -> i32 {
    sock_io::Call::of_tracepoint(&ctx, io::SEND).record();
    0
}

#[btf_tracepoint(function = "sock_recv_length")]
pub fn sock_recv(ctx: BtfTracePointContext) -> i32 {
    sock_io::Call::of_tracepoint(&ctx, io::RECV).record();
    0
}

#[fexit(function = "tcp_sendmsg")]
pub fn tcp_sent(ctx: FExitContext) -> i32 {
    sock_call::sent(&ctx);
    0
}

#[fexit(function = "tcp_recvmsg")]
pub fn tcp_received(ctx: FExitContext) -> i32 {
    sock_call::received(&ctx);
    0
}

#[kprobe]
pub fn tcp_send_begins(ctx: ProbeContext) -> u32 {
    sock_call::begins(&ctx, io::SEND);
    0
}

#[kretprobe]
pub fn tcp_send_ends(ctx: RetProbeContext) -> u32 {
    sock_call::ends(&ctx, io::SEND);
    0
}

#[kprobe]
pub fn tcp_recv_begins(ctx: ProbeContext) -> u32 {
    sock_call::begins(&ctx, io::RECV);
    0
}

#[kretprobe]
pub fn tcp_recv_ends(ctx: RetProbeContext) -> u32 {
    sock_call::ends(&ctx, io::RECV);
    0
}

#[btf_tracepoint(function = "sched_process_exec")]
pub fn process_exec(_: BtfTracePointContext) -> i32 {
    process::executes();
    0
}

#[btf_tracepoint(function = "sched_process_exit")]
pub fn process_exit(_: BtfTracePointContext) -> i32 {
    process::exits();
    0
}

#[uprobe]
pub fn go_call(ctx: ProbeContext) -> u32 {
    go_call::record(&ctx);
    0
}

#[uprobe]
pub fn go_count(ctx: ProbeContext) -> u32 {
    go_count::record(&ctx);
    0
}

#[uprobe]
pub fn go_status(ctx: ProbeContext) -> u32 {
    go_sched::record(&ctx);
    0
}

/// The programs are Apache-2.0 OR GPL-2.0-only. The kernel gives the helpers that read its memory to GPL-compatible
/// programs only, and its list (include/linux/license.h) has no word for this pair: it is told the half it knows.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
