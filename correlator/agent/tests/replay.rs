//! Recordings of real traffic give the exchanges that were looked at when they were made (`cargo xtask recordings`), byte for
//! byte, without privileges.
#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn recordings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings")
}

fn replay(file: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_weft"))
        .arg("replay")
        .arg(file)
        .args(arguments)
        .output()
        .expect("weft starts")
}

#[test]
fn every_recording_gives_its_exchanges() {
    let mut replayed = 0;
    for entry in fs::read_dir(recordings()).unwrap().flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "weftrec") {
            continue;
        }
        let output = replay(&path, &["--json"]);
        assert!(output.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&output.stderr));
        let expected = fs::read_to_string(path.with_extension("jsonl")).unwrap();
        let found = String::from_utf8(output.stdout).unwrap();
        assert_eq!(found.lines().count(), expected.lines().count(), "{}", path.display());
        for (found, expected) in found.lines().zip(expected.lines()) {
            assert_eq!(found, expected, "{}", path.display());
        }
        replayed += 1;
    }
    assert!(replayed >= 6, "the recordings are not where they should be");
}

#[test]
fn the_table_counts_what_the_lines_say() {
    let output = replay(&recordings().join("three_hops.weftrec"), &[]);
    let table = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    for (pod, side) in [("shop/client", "client"), ("shop/gateway", "server"), ("shop/inventory", "server")] {
        let row = rows.iter().find(|fields| fields.starts_with(&[pod, side]));
        assert_eq!(row.and_then(|fields| fields.get(2)), Some(&"20"), "{pod} {side}\n{table}");
    }
}

#[test]
fn what_is_no_recording_is_named() {
    let file = std::env::temp_dir().join(format!("weft-no-recording-{}", std::process::id()));
    fs::write(&file, "not a recording").unwrap();
    let output = replay(&file, &[]);
    fs::remove_file(&file).unwrap();
    let says = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(says.starts_with("weft: ") && says.contains(file.to_str().unwrap()), "{says}");
    let output = replay(&file, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot read"));
}

/// Exit code 1, what came before is printed, and one sentence says where it ends.
fn assert_replayed_up_to(name: &str, bytes: &[u8], lines: std::ops::RangeInclusive<usize>, sentence: &str) {
    let file = std::env::temp_dir().join(format!("weft-{name}-{}", std::process::id()));
    fs::write(&file, bytes).unwrap();
    let output = replay(&file, &["--json"]);
    fs::remove_file(&file).unwrap();
    let says = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{says}");
    assert!(says.contains(file.to_str().unwrap()) && says.contains(sentence), "{says}");
    assert_eq!(says.lines().count(), 1, "{says}");
    let expected = fs::read_to_string(recordings().join("three_hops.jsonl")).unwrap();
    let found = String::from_utf8(output.stdout).unwrap();
    assert!(lines.contains(&found.lines().count()), "{} lines", found.lines().count());
    // What was under way at the cut is the rest of the lines: incomplete, or without what came later.
    let whole = found.lines().zip(expected.lines()).take_while(|(found, expected)| found == expected).count();
    assert!(whole + 10 >= *lines.start(), "{whole} of {} lines are as they should be", lines.start());
}

#[test]
fn what_can_be_read_of_a_recording_is_replayed() {
    let whole = fs::read(recordings().join("three_hops.weftrec")).unwrap();
    let half = whole.len() / 2;
    let sentence = format!("ends within an input, at byte {half}");
    assert_replayed_up_to("cut", &whole[..half], 20..=110, &sentence);
    assert_replayed_up_to("cut-header", &whole[..50], 0..=0, "ends within its header");
    assert_replayed_up_to("empty", b"", 0..=0, "ends within its header");
    let unknown = [whole.as_slice(), &[1, 0, 0, 0, 99, 0]].concat();
    let sentence = format!("the frame at byte {} has the unknown kind 99", whole.len());
    assert_replayed_up_to("unknown-kind", &unknown, 120..=120, &sentence);
}

#[test]
fn newer_recordings_name_their_version() {
    let mut newer = fs::read(recordings().join("three_hops.weftrec")).unwrap();
    newer[8] = 200;
    assert_replayed_up_to("newer", &newer, 0..=0, "format version 200");
    (newer[8], newer[12]) = (1, 200);
    assert_replayed_up_to("newer-abi", &newer, 0..=0, "ABI version 200");
}
