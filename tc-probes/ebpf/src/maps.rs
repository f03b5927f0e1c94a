//! Everything that outlives a program's run. All of it is pinned by the loader under the version of the ABI.
use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap, PerCpuArray, PerCpuHashMap, RingBuf},
};
use weft_abi::{Control, FlowKey, FlowWant, LOSS_REASONS, MAX_CAPTURE, PORTS, Segment, Vantage, VantageKey};

/// Entries are few and user space alone makes them: memory is taken when one is made.
const NO_PREALLOC: u32 = aya_ebpf::bindings::BPF_F_NO_PREALLOC;

/// Where records go. The loader sets its size.
#[map]
pub static RECORDS: RingBuf = RingBuf::with_byte_size(8 << 20, 0);

#[map]
pub static CONTROL: Array<Control> = Array::with_max_entries(1, 0);

/// Whose device or socket it is, and the counters of what passed it. No entry: not a pod's.
#[map]
pub static VANTAGES: PerCpuHashMap<VantageKey, Vantage> = PerCpuHashMap::with_max_entries(16384, NO_PREALLOC);

#[map]
pub static FLOW_WANTS: HashMap<FlowKey, FlowWant> = HashMap::with_max_entries(65536, NO_PREALLOC);

#[map]
pub static PORT_FILTER: Array<u8> = Array::with_max_entries(PORTS, 0);

#[map]
pub static LOSSES: PerCpuArray<u64> = PerCpuArray::with_max_entries(LOSS_REASONS.len() as u32, 0);

/// A segment's record while it is put together: larger than a program's stack.
#[repr(C)]
pub struct Scratch {
    pub segment: Segment,
    pub payload: [u8; MAX_CAPTURE],
}

/// One a CPU is enough: TC programs run with bottom halves off and do not nest.
#[map]
pub static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(1, 0);
