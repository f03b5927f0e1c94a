//! How much memory is taken for an executable that wants to have it all: a test for itself, in a process for itself.
use std::fs;

use miniz_oxide::deflate::compress_to_vec_zlib;

#[path = "binaries/synthetic/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the other tests use the rest")]
mod synthetic;

use synthetic::{Section, TEXT, build_info, elf, symbols};

const MIB: u64 = 1 << 20;
/// What the sections hold; they announce more.
const BOMBS: [(&str, usize); 2] = [(".debug_info", 80 << 20), (".debug_abbrev", 20 << 20)];

#[test]
fn sections_that_would_fill_the_memory() {
    let name = "golang.org/x/net/http2.(*serverConn).runHandler";
    let names: Vec<String> = (0..20_000).map(|copy| format!("{copy}/vendor/{name}")).collect();
    let functions: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), TEXT)).collect();
    let [table, strings] = symbols(&functions, 2);
    let bombs = BOMBS.map(|(name, length)| bomb(name, length));
    let bytes =
        elf(&[build_info("go1.26.8", ""), table, strings].into_iter().chain(bombs).collect::<Vec<_>>());
    fs::write("/proc/self/clear_refs", "5").expect("the peak forgotten");
    let before = status("VmRSS:");
    let binary = weft_gobin::read(&bytes).expect("a Go program").expect("a Go program");
    let taken = status("VmHWM:") - before;
    assert!(taken < 64 * MIB, "{} MiB", taken / MIB);
    assert!(binary.missing.len() < 8, "{:?}", binary.missing);
}

/// A compressed section that is mostly zeros.
fn bomb(name: &'static str, length: usize) -> Section {
    const COMPRESSED: u64 = 0x800;
    let mut bytes = 1_u64.to_le_bytes().to_vec();
    bytes.extend((1_u64 << 40).to_le_bytes());
    bytes.extend(1_u64.to_le_bytes());
    bytes.extend(compress_to_vec_zlib(&vec![0; length], 1));
    Section { flags: COMPRESSED, ..Section::new(name, bytes) }
}

/// A line of /proc/self/status, in bytes.
fn status(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("the status");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the line");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}
