//! An executable of any bytes, or one whose parts are any bytes: the answer says nothing that is not in the file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use synthetic::{LOADED, Section, TEXT, build_info, debugging, elf, function_table, symbols, text};
use weft_abi::{GO_PATH_STEPS, MAX_CONTEXTS};
use weft_gobin::{GoBinary, read};

#[path = "../../gobin/tests/binaries/synthetic/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use the rest")]
mod synthetic;

/// Behind all other parts.
const DATA: u64 = 0x70_0000;
const FUNCTIONS: [(&str, u32); 3] = [
    ("net/http.(*persistConn).roundTrip", 0),
    ("google.golang.org/grpc.(*Server).handleStream", 16),
    ("runtime.morestack", 32),
];

fuzz_target!(|bytes: &[u8]| {
    let (kind, bytes) = bytes.split_first().unwrap_or((&0, &[]));
    let file = executable(*kind, bytes).unwrap_or_else(|| bytes.to_vec());
    if let Ok(Some(binary)) = read(&file) {
        check(&binary, file.len() as u64);
    }
});

/// One whose parts are these bytes; None: they are all of it.
fn executable(kind: u8, bytes: &[u8]) -> Option<Vec<u8>> {
    let build = build_info("go1.26.8", "dep\tgoogle.golang.org/grpc\tv1.64.0\th1:x\n");
    let functions = FUNCTIONS.map(|(name, entry)| (name, TEXT + u64::from(entry)));
    let named = |name, bytes: &[u8]| Section::new(name, bytes.to_vec());
    // The first byte says where the second part begins.
    let (first, second) = bytes.split_at(usize::from(*bytes.first().unwrap_or(&0)).min(bytes.len()));
    let mut sections = vec![build, text(4)];
    match kind {
        1 => {
            sections.extend(symbols(&functions, 3));
            sections.extend([
                named(".debug_info", second),
                named(".debug_abbrev", first.get(1..).unwrap_or(&[])),
            ]);
        }
        2 => sections.push(Section { bytes: bytes.to_vec(), ..function_table(&FUNCTIONS) }),
        3 => {
            let [table, names] = symbols(&functions, 3);
            let parts = [(table, second), (names, first)];
            sections.extend(parts.map(|(section, bytes)| Section { bytes: bytes.to_vec(), ..section }));
        }
        4 => {
            sections =
                vec![Section { bytes: bytes.to_vec(), ..build_info("", "") }, function_table(&FUNCTIONS)]
        }
        5 => {
            let [info, abbreviations] = debugging(&[("runtime.g", &[("goid", 8, false)])]);
            let code = Section { bytes: bytes.to_vec(), ..text(1) };
            let data = Section { flags: LOADED, address: DATA, ..named(".data", bytes) };
            sections =
                vec![build_info("go1.26.8", ""), code, function_table(&FUNCTIONS), data, info, abbreviations];
        }
        _ => return None,
    }
    Some(elf(&sections))
}

fn check(binary: &GoBinary, length: u64) {
    assert!(binary.missing.len() < 16, "{:?}", binary.missing);
    for point in &binary.points {
        assert!(point.file_offset < length, "{point:?}");
        assert!(usize::from(point.layout.contexts) <= MAX_CONTEXTS, "{point:?}");
        for path in [point.layout.conn, point.layout.stream, point.layout.context] {
            assert!(usize::from(path.steps) <= GO_PATH_STEPS, "{point:?}");
        }
    }
}
