//! What tools that are not ours say of a program.
use std::{
    collections::HashMap,
    ops::Range,
    path::Path,
    process::{Command, Stdio},
};

use super::build::go;

/// Functions that weft looks for, as a regular expression of what `go tool nm` prints.
const FUNCTIONS: [&str; 17] = [
    "net/http.serverHandler.ServeHTTP",
    "net/http.(*persistConn).roundTrip",
    "net/http.(*http2serverConn).runHandler",
    "net/http/internal/http2.(*serverConn).runHandler",
    "golang.org/x/net/http2.(*serverConn).runHandler",
    "net/http.(*http2clientStream).encodeAndWriteHeaders",
    "net/http/internal/http2.(*clientStream).encodeAndWriteHeaders",
    "golang.org/x/net/http2.(*clientStream).encodeAndWriteHeaders",
    "google.golang.org/grpc.(*Server).handleStream",
    "google.golang.org/grpc/internal/transport.(*http2Client).Write",
    "google.golang.org/grpc/internal/transport.(*http2Client).write",
    "runtime.stopTheWorldWithSema",
    "runtime.startTheWorldWithSema",
    "runtime.gcStart",
    "runtime.gcMarkTermination",
    "runtime.gcAssistAlloc",
    "runtime.casgstatus",
];

pub fn run(command: &mut Command) -> String {
    let output = command.stderr(Stdio::inherit()).output().expect("the tool");
    assert!(output.status.success(), "{command:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// `go version`: the version alone.
pub fn version(go_version: &str, program: &Path) -> String {
    let printed = run(go(go_version).arg("version").arg(program));
    printed.trim().rsplit(' ').next().expect("a version").trim_start_matches("go").to_owned()
}

/// `go tool buildid`.
pub fn build_id(go_version: &str, program: &Path) -> String {
    run(go(go_version).args(["tool", "buildid"]).arg(program)).trim().to_owned()
}

/// Addresses of all symbols, as `go tool nm` prints them.
pub fn symbols(go_version: &str, program: &Path) -> HashMap<String, u64> {
    let printed = run(go(go_version).args(["tool", "nm"]).arg(program));
    let symbol = |line: &str| {
        let (address, rest) = line.trim().split_once(' ')?;
        let (_, name) = rest.trim().split_once(' ')?;
        Some((name.to_owned(), u64::from_str_radix(address, 16).ok()?))
    };
    printed.lines().filter_map(symbol).collect()
}

/// Of the functions that weft looks for, those that are in the program.
pub fn functions(symbols: &HashMap<String, u64>) -> Vec<&'static str> {
    FUNCTIONS.into_iter().filter(|name| symbols.contains_key(*name)).collect()
}

/// The address of each function's first `push %rbp`, as `go tool objdump` disassembles it.
pub fn pushes(go_version: &str, program: &Path, functions: &[&str]) -> HashMap<String, u64> {
    let escaped = functions.iter().map(|name| name.replace(['(', ')', '*', '.'], "."));
    let pattern = format!("^({})$", escaped.collect::<Vec<_>>().join("|"));
    let printed = run(go(go_version).args(["tool", "objdump", "-s", &pattern]).arg(program));
    let mut pushes = HashMap::new();
    let mut function = String::new();
    for line in printed.lines() {
        if let Some(header) = line.strip_prefix("TEXT ") {
            function = header.split("(SB)").next().expect("a name").to_owned();
        } else if line.contains("PUSHQ BP") {
            let address =
                line.split_whitespace().find_map(|word| word.strip_prefix("0x")).expect("an address");
            let address = u64::from_str_radix(address, 16).expect("an address");
            pushes.entry(function.clone()).or_insert(address);
        }
    }
    pushes
}

/// How far from the FS base `runtime.morestack` reads `g`.
pub fn g_offset(program: &Path) -> i64 {
    let printed = run(Command::new("objdump")
        .args(["--disassemble=runtime.morestack.abi0", "--no-show-raw-insn"])
        .arg(program));
    let first = printed.lines().skip_while(|line| !line.contains("morestack.abi0>:")).nth(1).expect("code");
    let number = first.split("0x").nth(1).expect("an offset").split(',').next().expect("an offset");
    u64::from_str_radix(number, 16).expect("an offset").cast_signed()
}

/// Loaded parts of the file: address, offset, length.
pub fn segments(program: &Path) -> Vec<[u64; 3]> {
    let printed = run(Command::new("readelf").args(["--segments", "--wide"]).arg(program));
    let number = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).expect("a number");
    let loads = printed.lines().filter_map(|line| line.trim().strip_prefix("LOAD "));
    loads
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            [number(words[1]), number(words[0]), number(words[3])]
        })
        .collect()
}

/// Where in the file an address is.
pub fn offset(segments: &[[u64; 3]], address: u64) -> u64 {
    let segment = segments.iter().find(|[start, _, length]| (*start..start + length).contains(&address));
    let [start, offset, _] = segment.expect("a segment");
    address - start + offset
}

/// Where in the file each section is.
pub fn sections(program: &Path) -> HashMap<String, Range<usize>> {
    let printed = run(Command::new("readelf").args(["--sections", "--wide"]).arg(program));
    let rows = printed.lines().filter_map(|line| line.split_once(']')).map(|(_, row)| row.split_whitespace());
    let section = |row: std::str::SplitWhitespace<'_>| {
        let words: Vec<&str> = row.collect();
        let number = |index: usize| usize::from_str_radix(words.get(index)?, 16).ok();
        Some((words.first()?.to_string(), number(3)?..number(3)? + number(4)?))
    };
    rows.filter_map(section).collect()
}

/// Members of structures as readelf prints the debugging information: offsets by `structure.member`.
pub fn members(program: &Path, structures: &[&str]) -> HashMap<String, u64> {
    let printed = run(Command::new("readelf").arg("--debug-dump=info").arg(program));
    let mut members = HashMap::new();
    let (mut tag, mut structure, mut member) = ("", None, "");
    for line in printed.lines() {
        if let Some((_, named)) = line.split_once("(DW_TAG_") {
            tag = named.trim_end_matches(')');
            structure = structure.filter(|_| tag == "member");
        } else if let Some((_, name)) = line.split_once("DW_AT_name        : ") {
            match tag {
                "structure_type" => structure = structures.iter().find(|known| **known == name),
                "member" => member = name,
                _ => {}
            }
        } else if let (Some((_, offset)), Some(structure)) =
            (line.split_once("DW_AT_data_member_location: "), structure)
        {
            members.insert(format!("{structure}.{member}"), offset.trim().parse().expect("an offset"));
        }
    }
    members
}
