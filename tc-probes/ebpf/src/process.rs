//! Processes that execute another program, and that end.
use aya_ebpf::{bindings::BPF_RB_NO_WAKEUP, helpers::bpf_get_current_pid_tgid};
use weft_abi::{KIND_PROCESS, LossReason, Process, process};

use crate::{
    kernel::Task,
    loss,
    maps::{GO_PROCESSES, RECORDS},
    vantage,
};

/// `sched_process_exec` fires in the thread that executes, the only one that its process still has.
#[inline(always)]
pub fn executes() {
    let pid = forget();
    let _ = record(pid, process::EXEC);
}

/// `sched_process_exit` fires in each thread that ends; a process ends with its last one. Two that end at once may both be it.
#[inline(always)]
pub fn exits() {
    if Task::current().is_last() {
        let pid = forget();
        let _ = record(pid, process::EXIT);
    }
}

/// What was said of the process's memory is no longer so, and its number may soon be another's.
#[inline(always)]
fn forget() -> u32 {
    let pid = (bpf_get_current_pid_tgid() >> 32) as u32;
    // Most processes are not in it.
    let _ = GO_PROCESSES.remove(pid);
    pid
}

#[inline(always)]
fn record(pid: u32, detail: u8) -> Option<()> {
    let netns = Task::current().netns()?.cookie();
    vantage::of_sockets(netns)?;
    let word = vantage::word()?;
    // Who drains the ring later looks at all processes first.
    if !word.alive {
        return None;
    }
    let header = vantage::sockets_header(KIND_PROCESS, detail, netns, &word);
    let record = Process { header, pid, pad: 0 };
    if RECORDS.output::<Process>(&record, u64::from(BPF_RB_NO_WAKEUP)).is_err() {
        loss::count(LossReason::RingFullProcess);
    }
    Some(())
}
