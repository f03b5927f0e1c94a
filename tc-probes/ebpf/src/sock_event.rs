use aya_ebpf::{
    EbpfContext as _,
    bindings::{
        BPF_RB_NO_WAKEUP, BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB, BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB,
        BPF_SOCK_OPS_RETRANS_CB, BPF_SOCK_OPS_RETRANS_CB_FLAG, BPF_SOCK_OPS_STATE_CB,
        BPF_SOCK_OPS_STATE_CB_FLAG, BPF_SOCK_OPS_TCP_CONNECT_CB, BPF_TCP_CLOSE, bpf_sock_ops,
    },
    helpers::generated::{bpf_get_netns_cookie, bpf_get_socket_cookie},
    programs::SockOpsContext,
};
use weft_abi::{KIND_SOCK_EVENT, LossReason, SockEvent, Tuple, sock_event};

use crate::{
    loss,
    maps::RECORDS,
    packet::{address, v4_mapped},
    vantage::{self, SOCKETS},
};

const AF_INET: u32 = 2;

/// Reads a member of the context by one load at a constant offset. In assembly, because the verifier takes no
/// other form: the compiler would merge neighbours into one load, or compute an address first.
macro_rules! read {
    ($ctx:expr, $member:ident) => {
        read!($ctx, $member, 0, u32, "u32")
    };
    ($ctx:expr, $member:ident, u64) => {
        read!($ctx, $member, 0, u64, "u64")
    };
    ($ctx:expr, $member:ident[$index:literal]) => {
        read!($ctx, $member, $index * 4, u32, "u32")
    };
    ($ctx:expr, $member:ident, $more:expr, $type:ty, $width:literal) => {{
        let value: u64;
        // SAFETY: the context is valid while the program runs.
        unsafe {
            core::arch::asm!(
                concat!("{0} = *(", $width, " *)({1} + {2})"),
                out(reg) value,
                in(reg) $ctx.ops,
                const core::mem::offset_of!(bpf_sock_ops, $member) + $more,
                options(nostack, readonly),
            );
        }
        value as $type
    }};
}

#[inline(always)]
pub fn record(ctx: &SockOpsContext) {
    let _ = try_record(ctx);
}

#[inline(always)]
fn try_record(ctx: &SockOpsContext) -> Option<()> {
    let event = event(ctx)?;
    // SAFETY: the helper takes the context.
    let netns = unsafe { bpf_get_netns_cookie(ctx.as_ptr()) };
    let vantage = vantage::of_sockets(netns)?;
    if event == sock_event::ESTABLISHED_ACTIVE || event == sock_event::ESTABLISHED_PASSIVE {
        follow(ctx);
    }
    let word = vantage::word()?;
    if !word.alive {
        loss::count(LossReason::NoAgentSockEvent);
        return None;
    }
    let record = SockEvent {
        header: vantage::header(KIND_SOCK_EVENT, event, vantage, SOCKETS, &word),
        tuple: tuple(ctx),
        snd_una: read!(ctx, snd_una),
        // SAFETY: the helper takes the context.
        cookie: unsafe { bpf_get_socket_cookie(ctx.as_ptr()) },
        rcv_nxt: read!(ctx, rcv_nxt),
        srtt_us: read!(ctx, srtt_us) >> 3,
        total_retrans: read!(ctx, total_retrans),
        retransmitted: if event == sock_event::RETRANSMIT { argument_1(ctx) } else { 0 },
        bytes_acked: read!(ctx, bytes_acked, u64),
        bytes_received: read!(ctx, bytes_received, u64),
    };
    if RECORDS.output::<SockEvent>(&record, u64::from(BPF_RB_NO_WAKEUP)).is_err() {
        loss::count(LossReason::RingFullSockEvent);
    }
    Some(())
}

/// Which record a callback gives, if any.
#[inline(always)]
fn event(ctx: &SockOpsContext) -> Option<u8> {
    match read!(ctx, op) {
        BPF_SOCK_OPS_TCP_CONNECT_CB => Some(sock_event::CONNECT),
        BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB => Some(sock_event::ESTABLISHED_ACTIVE),
        BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB => Some(sock_event::ESTABLISHED_PASSIVE),
        BPF_SOCK_OPS_RETRANS_CB => Some(sock_event::RETRANSMIT),
        // The arguments are the old state and the new one.
        BPF_SOCK_OPS_STATE_CB if argument_1(ctx) == BPF_TCP_CLOSE => Some(sock_event::CLOSED),
        _ => None,
    }
}

/// Asks for the callbacks of this connection that are off by default, and keeps those that others asked for.
/// The one for each RTT sample stays off: it costs a run an acknowledgement, and every event carries the RTT.
#[inline(always)]
fn follow(ctx: &SockOpsContext) {
    let flags = read!(ctx, bpf_sock_ops_cb_flags) | BPF_SOCK_OPS_STATE_CB_FLAG | BPF_SOCK_OPS_RETRANS_CB_FLAG;
    // Fails only for a request socket, of which there is nothing to follow.
    let _ = ctx.set_cb_flags(flags as i32);
}

/// The second of the callback's arguments.
#[inline(always)]
fn argument_1(ctx: &SockOpsContext) -> u32 {
    read!(ctx, __bindgen_anon_1[1])
}

/// The socket's addresses: its own as the source. The context has the addresses in network byte order, the local
/// port in the host's, and the remote port in network byte order in the upper half.
#[inline(always)]
fn tuple(ctx: &SockOpsContext) -> Tuple {
    let v4 = read!(ctx, family) == AF_INET;
    Tuple {
        source: if v4 { v4_mapped(read!(ctx, local_ip4)) } else { local_ip6(ctx) },
        destination: if v4 { v4_mapped(read!(ctx, remote_ip4)) } else { remote_ip6(ctx) },
        source_port: read!(ctx, local_port) as u16,
        destination_port: u32::from_be(read!(ctx, remote_port)) as u16,
    }
}

#[inline(always)]
fn local_ip6(ctx: &SockOpsContext) -> [u8; 16] {
    address([
        read!(ctx, local_ip6[0]),
        read!(ctx, local_ip6[1]),
        read!(ctx, local_ip6[2]),
        read!(ctx, local_ip6[3]),
    ])
}

#[inline(always)]
fn remote_ip6(ctx: &SockOpsContext) -> [u8; 16] {
    address([
        read!(ctx, remote_ip6[0]),
        read!(ctx, remote_ip6[1]),
        read!(ctx, remote_ip6[2]),
        read!(ctx, remote_ip6[3]),
    ])
}
