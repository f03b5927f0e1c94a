//! Calls of Go functions. One program for all of them: what to read where is data.
use aya_ebpf::{bindings::BPF_RB_NO_WAKEUP, programs::ProbeContext};
use core::{mem::MaybeUninit, ptr::addr_of_mut};
use weft_abi::{GO_PATH_STEPS, GoCall, GoCallLayout, GoPath, KIND_GO_CALL, LossReason, MAX_CONTEXTS};

use crate::{
    goroutine::{Goroutine, offset, pair, word},
    kernel::{NetNs, Task},
    loss,
    maps::{GO_CALLS, GO_PROCESSES, RECORDS},
    probe::{REGISTERS, arguments, count_hit, register},
    vantage,
};

/// `poll.FD.Sysfd` in Go's `net.netFD`: behind a mutex of 16 bytes (internal/poll/fd_unix.go).
const SYSFD: u32 = 16;
/// No descriptor is as large.
const MAX_FD: u64 = 1 << 20;
/// How many connections may be wrapped around a socket's: TLS, and what hides that.
const WRAPPERS: u32 = 3;

/// The record with the most contexts that follow it.
#[repr(C)]
struct Call {
    call: GoCall,
    contexts: [u64; MAX_CONTEXTS],
}

#[inline(always)]
pub fn record(ctx: &ProbeContext) {
    let _ = try_record(ctx);
}

#[inline(always)]
fn try_record(ctx: &ProbeContext) -> Option<()> {
    let attachment = count_hit(ctx);
    let task = Task::current();
    let pid = task.tgid();
    // SAFETY: entries are replaced, never changed.
    let process = unsafe { GO_PROCESSES.get(pid)? };
    let layout = GO_CALLS.get(attachment).filter(|layout| layout.function != 0)?;
    let netns = task.netns()?;
    if netns.cookie() != process.netns {
        return None;
    }
    let word = vantage::word()?;
    if !word.alive {
        loss::count(LossReason::NoAgentGo);
        return None;
    }
    let arguments = arguments(ctx);
    // In ABIInternal it is the `g` of who calls.
    let goroutine = Goroutine::of(register!(ctx, r14), process);
    let connection = follow(&layout.conn, &arguments);
    let call = GoCall {
        header: vantage::sockets_header(KIND_GO_CALL, layout.function, process.netns, &word),
        cookie: connection.and_then(|conn| socket_cookie(task, conn, netns)).unwrap_or(0),
        goid: goroutine.id,
        parent_goid: goroutine.parent,
        pid,
        tid: task.pid(),
        stream_id: follow(&layout.stream, &arguments).unwrap_or(0) as u32,
        contexts: 0,
    };
    let mut record = MaybeUninit::uninit();
    let record = empty(&mut record, call);
    let context =
        if layout.no_context == 0 { follow(&layout.context, &arguments) } else { None }.unwrap_or(0);
    record.call.contexts = contexts(context, layout, &mut record.contexts);
    submit(record);
    Some(())
}

/// The record without its contexts. Those are zero, because what a program hands over must be written; word by word, because of
/// so much memory the compiler makes a call of its own `memset`, which goes byte by byte: a fifth of a run.
#[inline(always)]
fn empty(place: &mut MaybeUninit<Call>, call: GoCall) -> &mut Call {
    let record = place.as_mut_ptr();
    // SAFETY: all of it is written.
    unsafe {
        addr_of_mut!((*record).call).write(call);
        let words = addr_of_mut!((*record).contexts).cast::<u64>();
        for index in 0..MAX_CONTEXTS {
            words.add(index).write_volatile(0);
        }
        &mut *record
    }
}

/// Where a path leads; None where there is none, or it ends at a null pointer.
#[inline(always)]
fn follow(path: &GoPath, arguments: &[u64; REGISTERS]) -> Option<u64> {
    if path.steps == 0 {
        return None;
    }
    let mut value = *arguments.get(usize::from(path.register))?;
    for step in 0..GO_PATH_STEPS {
        if step >= usize::from(path.steps) {
            break;
        }
        value = word(offset(value, u32::from(path.offsets[step])))?;
    }
    if value == 0 { None } else { Some(value) }
}

/// The cookie of the socket behind the data word of a `net.Conn`: of one of net's own, whose first member is its `netFD`, or
/// of a structure that embeds another `net.Conn` first. A `TCPConn` has eight bytes: what lies behind the last one of its span may
/// be a page that nobody wrote to.
#[inline(always)]
fn socket_cookie(task: Task, mut conn: u64, netns: NetNs) -> Option<u64> {
    for _ in 0..=WRAPPERS {
        let [first, second] = pair(conn).or_else(|| Some([word(conn)?, 0]))?;
        let fd = word(offset(first, SYSFD)).unwrap_or(MAX_FD);
        if fd < MAX_FD
            && let Some(cookie) = task.socket_cookie(fd as u32, netns)
        {
            return Some(cookie);
        }
        conn = second;
    }
    None
}

/// The chain of contexts that begins at a data word; gives how many there are. One without a parent is no request's, and not
/// among them: all roots have the same data word. Where the layout has room for none, the word is a number by itself.
#[inline(always)]
fn contexts(mut context: u64, layout: &GoCallLayout, chain: &mut [u64; MAX_CONTEXTS]) -> u32 {
    if layout.contexts == 0 && context != 0 {
        chain[0] = context;
        return 1;
    }
    let mut found = 0;
    for (index, place) in chain.iter_mut().enumerate() {
        if index >= usize::from(layout.contexts) || context == 0 {
            break;
        }
        let Some([itab, parent]) = pair(context) else { break };
        if itab == 0 {
            break;
        }
        *place = context;
        context = parent;
        found += 1;
    }
    found
}

#[inline(always)]
fn submit(record: &Call) {
    let contexts = record.call.contexts as usize;
    if contexts > MAX_CONTEXTS {
        return;
    }
    let size = size_of::<GoCall>() + contexts * size_of::<u64>();
    // SAFETY: within the record, whose two members lie one behind the other.
    let bytes = unsafe { core::slice::from_raw_parts(core::ptr::from_ref(record).cast::<u8>(), size) };
    if RECORDS.output::<[u8]>(bytes, u64::from(BPF_RB_NO_WAKEUP)).is_err() {
        loss::count(LossReason::RingFullGo);
    }
}
