//! What goroutines do: calls of `runtime.casgstatus`, through which all changes of a goroutine's state go that are recorded
//! here.
use aya_ebpf::{bindings::BPF_RB_NO_WAKEUP, programs::ProbeContext};
use weft_abi::{GoProcessEntry, GoSched, Header, KIND_GO_SCHED, LossReason, go_sched};

use crate::{
    goroutine::Goroutine,
    kernel::Task,
    loss,
    maps::{GO_PROCESSES, RECORDS},
    probe::{count_hit, register},
    runnable, vantage,
};

/// States (runtime/runtime2.go).
const RUNNABLE: u32 = 1;
const RUNNING: u32 = 2;
const SYSCALL: u32 = 3;
const WAITING: u32 = 4;
const DEAD: u32 = 6;
/// `_Gscan`: the garbage collector looks at the stack, whatever the state.
const SCAN: u32 = 0x1000;

/// A change of state.
struct Change<'a> {
    process: &'a GoProcessEntry,
    /// `go_sched::*`.
    detail: u8,
    /// The `g` whose state it is.
    gp: u64,
    /// The `g` that calls.
    g: u64,
    pid: u32,
    tid: u32,
    now: u64,
}

#[inline(always)]
pub fn record(ctx: &ProbeContext) {
    count_hit(ctx);
    let _ = try_record(ctx);
}

/// `func casgstatus(gp *g, oldval, newval uint32)`.
#[inline(always)]
fn try_record(ctx: &ProbeContext) -> Option<()> {
    let detail = detail(register!(ctx, rbx) as u32 & !SCAN, register!(ctx, rcx) as u32 & !SCAN)?;
    let task = Task::current();
    let (pid, tid) = (task.tgid(), task.pid());
    // SAFETY: entries are replaced, never changed.
    let process = unsafe { GO_PROCESSES.get(pid)? };
    if task.netns()?.cookie() != process.netns {
        return None;
    }
    let word = vantage::word()?;
    if !word.alive {
        loss::count(LossReason::NoAgentGo);
        return None;
    }
    let (gp, g) = (register!(ctx, rax), register!(ctx, r14));
    let change = Change { process, detail, gp, g, pid, tid, now: word.now };
    change.record(vantage::sockets_header(KIND_GO_SCHED, detail, process.netns, &word));
    Some(())
}

#[inline(always)]
fn detail(from: u32, to: u32) -> Option<u8> {
    match (from, to) {
        (DEAD, RUNNABLE) => Some(go_sched::CREATED),
        (RUNNING, WAITING) => Some(go_sched::PARKED),
        (WAITING | RUNNING | SYSCALL, RUNNABLE) => Some(go_sched::READY),
        (RUNNABLE, RUNNING) => Some(go_sched::RUNS),
        (RUNNING, DEAD) => Some(go_sched::DEAD),
        _ => None,
    }
}

impl Change<'_> {
    #[inline(always)]
    fn record(&self, header: Header) {
        match self.detail {
            // Before Go 1.22 it has no id yet: its record is written when it runs first.
            go_sched::CREATED => runnable::begin(self.pid, self.gp, self.now, true),
            go_sched::READY => {
                runnable::begin(self.pid, self.gp, self.now, false);
                self.submit(header, self.by(), 0);
            }
            go_sched::RUNS => self.runs(header),
            _ => self.submit(header, 0, 0),
        }
    }

    #[inline(always)]
    fn runs(&self, header: Header) {
        let Some(runnable) = runnable::end(self.pid, self.gp) else { return self.submit(header, 0, 0) };
        if runnable.created != 0 {
            let creator = Goroutine::of(self.gp, self.process).parent;
            let created = Header { detail: go_sched::CREATED, time: runnable.since, ..header };
            self.submit(created, creator, 0);
        }
        self.submit(header, 0, self.now.saturating_sub(runnable.since));
    }

    /// Whom the thread runs.
    #[inline(always)]
    fn by(&self) -> u64 {
        Goroutine::of(self.g, self.process).id
    }

    #[inline(always)]
    fn submit(&self, header: Header, by: u64, wait: u64) {
        let goid = Goroutine::of(self.gp, self.process).id;
        let record = GoSched { header, goid, by, wait, pid: self.pid, tid: self.tid };
        if RECORDS.output::<GoSched>(&record, u64::from(BPF_RB_NO_WAKEUP)).is_err() {
            loss::count(LossReason::RingFullGo);
        }
    }
}
