//! What the runtime counts, in a process that runs: read from its memory, against what it says itself.
use std::{
    collections::HashMap,
    fs::{self, File},
    io::{BufRead as _, BufReader},
    os::unix::fs::FileExt as _,
    process::{Child, Command, Stdio},
};

use weft_gobin::{GoBinary, RuntimeAddresses};

use super::{Program, VERSIONS, Variant};

#[test]
#[ignore = "needs Go and gcc: cargo xtask test"]
fn what_the_runtime_counts_is_read() {
    for version in &VERSIONS {
        for variant in [Variant::Plain, Variant::PieTrimmed, Variant::Cgo, Variant::CgoPie] {
            check(&Program::built(version, variant), &format!("{} {variant:?}", version.0));
        }
    }
}

fn check(program: &Program, context: &str) {
    let binary = program.read();
    let (running, runtime) = (Running::start(program, &binary), &binary.runtime);
    let u32_at = |address: Option<u64>| u64::from(u32::from_le_bytes(running.bytes(address)));
    let u64_at = |address: Option<u64>| u64::from_le_bytes(running.bytes(address));
    let said = |name: &str| running.said[name];
    assert_eq!(u32_at(runtime.gomaxprocs), said("gomaxprocs"), "{context}");
    assert_eq!(u32_at(runtime.gc_cycles), said("gc_cycles"), "{context}");
    assert_eq!(u64_at(runtime.gc_pause_total), said("gc_pause_total"), "{context}");
    assert_eq!(u64_at(runtime.heap_goal), said("heap_goal"), "{context}");
    let live = u64_at(runtime.heap_live);
    assert!(live > 0 && live <= said("heap_goal"), "{context}: {live}");
    // The free ones that a P keeps for itself are in neither.
    let free = u32_at(runtime.free_goroutines)
        + runtime.free_goroutines_without_stack.map_or(0, |address| u32_at(Some(address)));
    let system = u32_at(runtime.system_goroutines);
    let alive = u64_at(runtime.all_goroutines) - free - system;
    assert!((said("goroutines")..=said("goroutines") + 32).contains(&alive), "{context}: {alive}");
    check_histograms(&running, runtime, context);
}

/// Goroutines waited to run, and the world was stopped for three collections, twice each.
fn check_histograms(running: &Running, runtime: &RuntimeAddresses, context: &str) {
    let shape = runtime.histogram;
    let buckets = (shape.max_bucket_bits - shape.min_bucket_bits + 1) << shape.sub_bucket_bits;
    let total = |address: u64| {
        let count = |index: u64| u64::from_le_bytes(running.bytes(Some(address + 8 * index)));
        (0..u64::from(buckets)).map(count).sum::<u64>()
    };
    assert!(total(runtime.time_to_run.expect("it")) > 0, "{context}");
    if let Some(stopped) = runtime.stw_gc {
        assert_eq!(total(stopped), 2 * running.said["gc_cycles"], "{context}");
    }
}

/// A process that has said what it counted, and waits.
struct Running {
    child: Child,
    said: HashMap<String, u64>,
    memory: File,
    base: u64,
}

impl Running {
    fn start(program: &Program, binary: &GoBinary) -> Self {
        let mut command = Command::new(&program.path);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its output");
        BufReader::new(stdout).read_line(&mut line).expect("what it counted");
        let said = serde_json::from_str(&line).expect("what it counted");
        let memory = File::open(format!("/proc/{}/mem", child.id())).expect("its memory");
        let base = base(binary, program, child.id());
        Self { child, said, memory, base }
    }

    fn bytes<const N: usize>(&self, address: Option<u64>) -> [u8; N] {
        let mut bytes = [0; N];
        let address = self.base + address.expect("an address");
        self.memory.read_exact_at(&mut bytes, address).expect("its memory");
        bytes
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().expect("its end");
    }
}

/// How far the program was moved: its first map is of the file's beginning.
fn base(binary: &GoBinary, program: &Program, pid: u32) -> u64 {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("its maps");
    let path = program.path.to_str().expect("a path");
    let first = maps.lines().find(|line| line.ends_with(path)).expect("its first map");
    let start = u64::from_str_radix(first.split('-').next().expect("an address"), 16).expect("an address");
    start - binary.linked_at.expect("an address")
}
