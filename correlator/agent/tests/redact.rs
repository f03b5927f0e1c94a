//! `--redact`: the recordings of real traffic give the same exchanges without their secrets.
#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use weft_core::{
    Input,
    recording::{self, Reader},
    redact::Survey,
};

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn temporary(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("weft-redact-{name}-{}", std::process::id()))
}

fn weft(arguments: &[&str]) -> (String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_weft")).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{stderr}");
    (stdout, stderr)
}

/// What a replay prints of this recording.
fn replayed(bytes: &[u8], name: &str) -> String {
    let file = temporary(name);
    fs::write(&file, bytes).unwrap();
    let (lines, _) = weft(&["replay", file.to_str().unwrap(), "--json"]);
    fs::remove_file(&file).unwrap();
    lines
}

fn redacted(bytes: &[u8]) -> Vec<u8> {
    let inputs = || Reader::new(bytes).unwrap().map(Result::unwrap);
    let mut survey = Survey::new();
    inputs().for_each(|input| survey.input(input));
    let mut redactor = survey.finish();
    let mut redacted = Vec::new();
    recording::encode_redacted_header(&mut redacted);
    let mut give = |input: Input<'_>| recording::encode(&input, &mut redacted).unwrap();
    inputs().for_each(|input| redactor.input(input, &mut give));
    redacted
}

fn shows(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn recordings_give_the_same_exchanges_without_their_bodies() {
    let mut looked_at = 0;
    for entry in fs::read_dir(tests().join("recordings")).unwrap().flatten() {
        let path = entry.path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        if path.extension().is_some_and(|extension| extension == "weftrec") {
            let redacted = redacted(&fs::read(&path).unwrap());
            let expected = fs::read_to_string(path.with_extension("jsonl")).unwrap();
            let found = replayed(&redacted, name);
            assert_eq!(found.lines().count(), expected.lines().count(), "{name}");
            found.lines().zip(expected.lines()).for_each(|(found, expected)| assert_eq!(found, expected));
            looked_at += 1;
        }
    }
    assert!(looked_at >= 3, "the recordings are not where they should be");
}

#[test]
fn a_capture_is_redacted_as_it_is_imported() {
    let capture = tests().join("captures/curl.pcap");
    let import = |name: &str, more: &[&str]| {
        let file = temporary(name);
        let arguments = ["import-pcap", capture.to_str().unwrap(), "-o", file.to_str().unwrap()];
        let (_, said) = weft(&[&arguments, more].concat());
        let bytes = fs::read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        (bytes, said)
    };
    let ((raw, _), (redacted, said)) = (import("raw", &[]), import("masked", &["--redact"]));
    assert!(said.contains("redacted: paths, hosts"), "{said}");
    assert!(shows(&redacted, "A weft recording, redacted"));
    // Python's listing of its folder is a body.
    for secret in ["secret1", "Bearer", "x=5", "Directory listing"] {
        assert!(shows(&raw, secret) && !shows(&redacted, secret), "{secret}");
    }
    assert!(shows(&redacted, "Authorization: **************") && shows(&redacted, "GET /?*** HTTP/1.1"));
    assert_eq!(replayed(&redacted, "a"), replayed(&raw, "b"));
    assert_eq!(redacted.len() + recording::WARNING.len(), raw.len() + recording::REDACTED.len());
}

#[test]
fn the_list_is_the_configurations() {
    let (config, file) = (temporary("yaml"), temporary("listed"));
    fs::write(&config, "redact: { headers: [user-agent], query: false }").unwrap();
    let capture = tests().join("captures/curl.pcap");
    let [capture, output, config_path] = [&capture, &file, &config].map(|path| path.to_str().unwrap());
    weft(&["import-pcap", capture, "-o", output, "--redact", "--config", config_path]);
    let redacted = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    fs::remove_file(&config).unwrap();
    assert!(shows(&redacted, "secret1") && shows(&redacted, "x=5") && !shows(&redacted, "curl/"));
    assert!(replayed(&redacted, "c").contains("\"path\":\"/?x=5\""));
}
