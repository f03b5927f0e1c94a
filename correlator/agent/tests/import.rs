//! `weft import-pcap` as its users meet it: a capture that was made elsewhere, and files that are not what they should be.
#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A folder of a test's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("weft-import-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A request and its response over loopback, by tcpdump, with nanoseconds: five connections of curl to Python's server.
fn capture() -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures/curl.pcap")).unwrap()
}

fn weft(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_weft")).args(arguments).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn import(capture: &Path, recording: &Path, more: &[&str]) -> (Option<i32>, String) {
    let files = ["import-pcap", capture.to_str().unwrap(), "-o", recording.to_str().unwrap()];
    let (code, stdout, stderr) = weft(&[&files, more].concat());
    assert_eq!(stdout, "");
    (code, stderr)
}

fn replay(recording: &Path) -> Vec<serde_json::Value> {
    let (code, stdout, stderr) = weft(&["replay", recording.to_str().unwrap(), "--json"]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_capture_becomes_a_recording() {
    let folder = Folder::new("whole");
    let (capture, recording) = (folder.file("a.pcap", &capture()), folder.0.join("a.weftrec"));
    let (code, said) = import(&capture, &recording, &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("60 packets, 60 TCP segments") && said.contains("mode 0600"), "{said}");
    assert_eq!(fs::metadata(&recording).unwrap().permissions().mode() & 0o777, 0o600);
    let exchanges = replay(&recording);
    assert_eq!(exchanges.len(), 5);
    for exchange in &exchanges {
        assert_eq!((&exchange["status"], &exchange["path"]), (&200.into(), &"/".into()));
        assert_eq!((&exchange["side"], &exchange["complete"]), (&"server".into(), &true.into()));
    }
    // tshark -r curl.pcap -Y http.request -T fields -e frame.time_epoch
    assert_eq!(exchanges[0]["request"]["first_byte"], 1_795_339_378_246_442_731_u64);
}

#[test]
fn the_configuration_goes_into_the_recording() {
    let folder = Folder::new("config");
    let (capture, recording) = (folder.file("a.pcap", &capture()), folder.0.join("a.weftrec"));
    let config = folder.file("weft.yaml", b"redact: { query: false }");
    let (code, said) = import(&capture, &recording, &["--config", config.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(replay(&recording)[2]["path"], "/?x=3");
    let wrong = folder.file("wrong.yaml", b"redct: {}");
    let (code, said) = import(&capture, &folder.0.join("b"), &["--config", wrong.to_str().unwrap()]);
    assert_eq!(code, Some(2), "{said}");
}

#[test]
fn what_can_be_read_of_a_capture_is_kept() {
    let folder = Folder::new("cut");
    let whole = capture();
    let (capture, recording) =
        (folder.file("a.pcap", &whole[..whole.len() - 10]), folder.0.join("a.weftrec"));
    let (code, said) = import(&capture, &recording, &[]);
    assert_eq!(code, Some(1));
    let place = format!("the capture ends within a packet, at byte {}", whole.len() - 10);
    assert!(said.contains(&place) && said.contains("59 packets"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert_eq!(replay(&recording).len(), 5);
}

/// Two interfaces of a pcapng file, of which one has a link type that nobody knows: one sentence about what is missing and
/// what is kept.
#[test]
fn packets_of_an_unknown_link_type_are_said_in_the_same_sentence() {
    let folder = Folder::new("links");
    let (capture, recording) =
        (folder.file("a.pcapng", &two_interfaces(147, &capture())), folder.0.join("a.weftrec"));
    let (code, said) = import(&capture, &recording, &[]);
    assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
    assert!(
        said.contains("link type 147 is not known") && said.contains("1 (link type not known)"),
        "{said}"
    );
    assert_eq!(replay(&recording).len(), 5);
}

/// The packets of a pcap file (little-endian, nanoseconds) as pcapng, and one of another interface before them.
fn two_interfaces(link_type: u16, pcap: &[u8]) -> Vec<u8> {
    let word = |at: usize| u32::from_le_bytes(pcap[at..at + 4].try_into().unwrap());
    let mut file =
        block(0x0a0d_0d0a, &[&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat());
    let nanoseconds = [9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0];
    for link in [word(20) as u16, link_type] {
        let fields = [&link.to_le_bytes()[..], &[0; 6], &nanoseconds].concat();
        file.extend(block(1, &fields));
    }
    file.extend(packet(1, 0, b"what nobody knows"));
    let mut at = 24;
    while at < pcap.len() {
        let len = word(at + 8) as usize;
        let time = u64::from(word(at)) * 1_000_000_000 + u64::from(word(at + 4));
        file.extend(packet(0, time, &pcap[at + 16..at + 16 + len]));
        at += 16 + len;
    }
    file
}

/// An enhanced packet block.
fn packet(interface: u32, time: u64, bytes: &[u8]) -> Vec<u8> {
    let len = bytes.len() as u32;
    let fields = [interface, (time >> 32) as u32, time as u32, len, len].map(u32::to_le_bytes).concat();
    block(6, &[&fields, bytes].concat())
}

fn block(kind: u32, fields: &[u8]) -> Vec<u8> {
    let padded = fields.len().next_multiple_of(4);
    let len = (padded as u32 + 12).to_le_bytes();
    [&kind.to_le_bytes()[..], &len, fields, &vec![0; padded - fields.len()], &len].concat()
}

/// One sentence, exit code 1, and nothing is left behind.
fn assert_refused(name: &str, bytes: &[u8], sentence: &str) {
    let folder = Folder::new(name);
    let (capture, recording) = (folder.file("a.pcap", bytes), folder.0.join("a.weftrec"));
    let (code, said) = import(&capture, &recording, &[]);
    assert_eq!(code, Some(1));
    assert!(said.starts_with("weft: ") && said.contains(sentence) && said.contains("a.pcap"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(!recording.exists());
}

#[test]
fn what_is_no_capture_is_refused() {
    assert_refused("none", b"not a capture", "this is no capture");
    assert_refused("empty", b"", "the file is empty");
    assert_refused("gzip", b"\x1f\x8b\x08\0\0\0\0\0", "unpack a compressed one first");
    let mut unknown = capture();
    unknown[20] = 147;
    assert_refused("link", &unknown, "link type 147 is not known");
    let mut newer = capture();
    newer[4] = 9;
    assert_refused("version", &newer, "version 9.4 of pcap");
}

#[test]
fn an_existing_file_is_not_overwritten() {
    let folder = Folder::new("exists");
    let (capture, recording) = (folder.file("a.pcap", &capture()), folder.file("a.weftrec", b"precious"));
    let (code, said) = import(&capture, &recording, &[]);
    assert_eq!(code, Some(1));
    assert!(said.contains("a.weftrec: cannot create; an existing file is not overwritten"), "{said}");
    assert_eq!(fs::read(&recording).unwrap(), b"precious");
}

#[test]
fn a_folder_that_is_not_there_is_no_existing_file() {
    let folder = Folder::new("nowhere");
    let capture = folder.file("a.pcap", &capture());
    let (code, said) = import(&capture, &folder.0.join("none/a.weftrec"), &[]);
    assert_eq!(code, Some(1));
    assert!(said.contains("cannot create: No such file") && !said.contains("overwritten"), "{said}");
}
