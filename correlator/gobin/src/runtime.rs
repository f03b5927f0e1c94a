//! Where the runtime keeps what it counts: its variables, and the members in them.
use crate::{RuntimeAddresses, TimeHistogram, members::Members, symbols::Variables};

/// What can be told of them.
pub fn addresses(variables: &Variables, members: &Members) -> RuntimeAddresses {
    let of = |variable: Option<u64>, structure: &str, member: &str| {
        variable?.checked_add(members.offset(structure, member)?.into())
    };
    let sched = |member| of(variables.sched, "runtime.schedt", member);
    let memstats = |member| of(variables.memstats, "runtime.mstats", member);
    let controller = |member| of(variables.gc_controller, "runtime.gcControllerState", member);
    RuntimeAddresses {
        time_to_run: sched("timeToRun"),
        stw_gc: sched("stwTotalTimeGC"),
        gc_cycles: memstats("numgc"),
        gc_pause_total: memstats("pause_total_ns"),
        heap_live: controller("heapLive"),
        heap_goal: controller("gcPercentHeapGoal"),
        all_goroutines: variables.allglen,
        free_goroutines: sched("gFree.n").or_else(|| sched("gFree.stack.size")),
        free_goroutines_without_stack: sched("gFree.noStack.size"),
        system_goroutines: sched("ngsys"),
        gomaxprocs: variables.gomaxprocs,
        processors: variables.allp,
        free_goroutines_of_processor: members
            .offset("runtime.p", "gFree.n")
            .or_else(|| members.offset("runtime.p", "gFree.size")),
        histogram: HISTOGRAM,
    }
}

/// `timeHistMinBucketBits` and the others (runtime/histogram.go), the same from Go 1.20 to 1.27.
const HISTOGRAM: TimeHistogram =
    TimeHistogram { min_bucket_bits: 9, max_bucket_bits: 48, sub_bucket_bits: 2 };
