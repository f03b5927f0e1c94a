//! Executables that are made here: one thing each.
use weft_abi::G_IN_R14;
use weft_gobin::{Error, GoBinary, GoFunction, GoVersion, read};

use crate::synthetic::{
    FUNCTION, PUSH, Section, Structure, TEXT, build_info, debugging, elf, function_table, symbols, text,
};

const SERVE: &str = "net/http.serverHandler.ServeHTTP";
const REQUEST: Structure<'_> = ("net/http.Request", &[("Method", 0, false), ("ctx", 300, false)]);
const G: Structure<'_> = ("runtime.g", &[("goid", 200, false), ("parentGoid", 208, false), ("m", 16, true)]);
const M: Structure<'_> = ("runtime.m", &[("curg", 100, true)]);

fn go(sections: &[Section]) -> GoBinary {
    read(&elf(sections)).expect("a Go program").expect("a Go program")
}

#[test]
fn symbols_and_debugging_information() {
    let [table, names] = symbols(&[("main.main", TEXT), (SERVE, TEXT + FUNCTION.len() as u64)], 3);
    let [info, abbreviations] = debugging(&[REQUEST, G, M]);
    let binary = go(&[build_info("go1.99.1", ""), text(2), table, names, info, abbreviations]);
    assert_eq!(binary.version, GoVersion { major: 1, minor: 99, patch: 1 });
    assert_eq!((binary.process.goid, binary.process.parent_goid), (200, 208));
    assert_eq!((binary.process.m, binary.process.curg, binary.process.g_tls), (16, 100, -8));
    let [point] = binary.points.as_slice() else { panic!("{:?}", binary.points) };
    assert_eq!((point.function, point.emulated), (GoFunction::HttpServe, true));
    assert_eq!(point.layout.context.offsets, [308, 0, 0, 0, 0, 0]);
    assert_eq!(binary.missing, [""; 0]);
}

#[test]
fn without_c_the_goroutine_is_in_a_register() {
    let [info, abbreviations] = debugging(&[G, M]);
    let g_of = |settings| {
        let sections = [build_info("go1.26.1", settings), text(1), info.clone(), abbreviations.clone()];
        go(&sections).process.g_tls
    };
    assert_eq!(g_of("path\tx\nbuild\tCGO_ENABLED=0\nbuild\tGOARCH=amd64\n"), G_IN_R14);
    assert_eq!(g_of("path\tx\nbuild\tCGO_ENABLED=1\n"), -8);
    // Of other builds nothing is known.
    assert_eq!(g_of("dep\tbuild\tCGO_ENABLED=0\nbuild\tCGO_ENABLED=00\n"), -8);
}

#[test]
fn a_stripped_program_has_its_function_table() {
    let table = function_table(&[("main.main", 0), (SERVE, 16)]);
    let [info, abbreviations] = debugging(&[REQUEST, G]);
    let sections = [build_info("go1.26.1", ""), text(2), table, info, abbreviations];
    let binary = go(&sections);
    let bytes = elf(&sections);
    let [point] = binary.points.as_slice() else { panic!("{:?}", binary.points) };
    let code = bytes.windows(FUNCTION.len()).position(|window| window == FUNCTION).expect("the code") as u64;
    assert_eq!(point.file_offset, code + 16 + PUSH);
}

#[test]
fn a_function_table_without_a_section_is_found() {
    let table = Section { name: ".rodata", ..function_table(&[("main.main", 0), (SERVE, 16)]) };
    let [info, abbreviations] = debugging(&[REQUEST]);
    let binary = go(&[build_info("go1.26.1", ""), text(2), table, info, abbreviations]);
    assert_eq!(binary.points.len(), 1);
}

#[test]
fn a_copy_in_a_vendor_folder_has_structures_of_its_own() {
    let [table, names] = symbols(
        &[
            ("example.org/a/vendor/golang.org/x/net/http2.(*serverConn).runHandler", TEXT),
            ("example.org/golang.org/x/net/http2.(*serverConn).runHandler", TEXT),
        ],
        3,
    );
    let [info, abbreviations] = debugging(&[
        REQUEST,
        ("example.org/a/vendor/golang.org/x/net/http2.serverConn", &[("conn", 24, false)]),
        ("example.org/a/vendor/golang.org/x/net/http2.responseWriter", &[("rws", 8, true)]),
        ("example.org/a/vendor/golang.org/x/net/http2.responseWriterState", &[("stream", 16, true)]),
        ("example.org/a/vendor/golang.org/x/net/http2.stream", &[("id", 32, false)]),
        ("golang.org/x/net/http2.serverConn", &[("conn", 99, false)]),
    ]);
    let binary = go(&[build_info("go1.26.1", ""), text(1), table, names, info, abbreviations]);
    let [point] = binary.points.as_slice() else { panic!("{:?}", binary.points) };
    assert_eq!(
        (point.layout.conn.offsets[0], point.layout.stream.offsets[..3].to_vec()),
        (32, vec![8, 16, 32])
    );
}

#[test]
fn versions() {
    let version = |text| go(&[build_info(text, "")]).version.to_string();
    assert_eq!(version("go1.26.8"), "1.26.8");
    assert_eq!(version("go1.27rc1"), "1.27.0");
    assert_eq!(version("go1.24.3 X:nocoverageredesign"), "1.24.3");
    assert_eq!(version("devel go1.28-5a56d8848b Thu Nov 26 10:00:00 2026 +0000"), "1.28.0");
    assert_eq!(version("go1.25.4-custom+patch"), "1.25.4");
    let damaged = |text| read(&elf(&[build_info(text, "")])).map(drop);
    for text in ["", "go", "gone", "go1", "1.26", "go99999.1", "go1.x"] {
        assert_eq!(damaged(text), Err(Error::BuildInfo { what: "its version" }), "{text}");
    }
}

#[test]
fn the_build_information_of_go_1_17() {
    // Two pointers to strings, each a pointer and a length.
    let mut blob = b"\xff Go buildinf:\x08\0".to_vec();
    blob.extend(0x60_0020_u64.to_le_bytes());
    blob.extend(0_u64.to_le_bytes());
    blob.extend(0x60_0030_u64.to_le_bytes());
    blob.extend(8_u64.to_le_bytes());
    blob.extend(b"go1.17.9");
    let section = Section { bytes: blob, ..build_info("", "") };
    assert_eq!(go(&[section]).version.to_string(), "1.17.9");
}

#[test]
fn what_is_missing_is_said() {
    let stripped = |version, modules| {
        let table = function_table(&[(SERVE, 0), ("google.golang.org/grpc.(*Server).handleStream", 16)]);
        go(&[build_info(version, modules), text(2), table])
    };
    let binary = stripped("go1.99.1", "path\tmain\n");
    assert_eq!((binary.points.len(), binary.process.goid), (0, 0));
    let text = binary.missing.join("\n");
    assert!(text.contains("Go 1.99: the newest that is known is"), "{text}");
    assert!(text.contains("does not say which google.golang.org/grpc it has"), "{text}");
    let text = stripped("go1.26.1", "dep\tgoogle.golang.org/grpc\tv1.2.3\th1:x\n").missing.join("\n");
    assert!(text.contains("google.golang.org/grpc 1.2: the oldest that is known is"), "{text}");
    let text = stripped("go1.26.1 X:staticlockranking", "").missing.join("\n");
    assert!(text.contains("GOEXPERIMENT staticlockranking"), "{text}");
}

#[test]
fn the_table_knows_stripped_programs() {
    let names = [(SERVE, 0), ("google.golang.org/grpc.(*Server).handleStream", 16)];
    let modules =
        "path\tmain\nmod\tmain\t(devel)\t\ndep\tgoogle.golang.org/grpc\tv1.64.0\n=>\tfork\tv1.72.1\th1:x\n";
    let binary = go(&[build_info("go1.24.3", modules), text(2), function_table(&names)]);
    assert_eq!((binary.process.goid, binary.process.parent_goid), (160, 280));
    // The release that replaced it points to the common stream.
    let serve = binary.points.iter().find(|point| point.function == GoFunction::GrpcServe).expect("grpc");
    assert_eq!(serve.layout.stream.steps, 2);
    let local = modules.replace("\tv1.72.1\th1:x", "");
    let binary = go(&[build_info("go1.24.3", &local), text(2), function_table(&names)]);
    assert_eq!(binary.points.len(), 1, "nobody knows what is in a folder");
}

#[test]
fn what_debugging_information_leaves_out_is_said() {
    let [table, names] = symbols(&[(SERVE, TEXT)], 3);
    let [info, abbreviations] = debugging(&[("net/http.Request", &[("context", 8, false)]), G]);
    let binary = go(&[build_info("go1.99.1", ""), text(1), table, names, info, abbreviations]);
    assert_eq!((binary.points.len(), binary.process.goid), (0, 0));
    let text = binary.missing.join("\n");
    assert!(text.contains(SERVE) && text.contains("where its goroutines have their ids"), "{text}");
}

#[test]
fn build_ids() {
    let note = |owner: &[u8], kind: u8, id: &[u8]| {
        let lengths = [[owner.len() as u8, 0, 0, 0], [id.len() as u8, 0, 0, 0], [kind, 0, 0, 0]].concat();
        let padding = vec![0; id.len().next_multiple_of(4) - id.len()];
        [&lengths, owner, id, &padding].concat()
    };
    let id = |go: &[u8]| {
        let notes = [
            (".note.go.buildid", note(b"Go\0\0", 4, go)),
            (".note.gnu.build-id", note(b"GNU\0", 3, b"\x01\xab")),
        ];
        let sections = notes.map(|(name, bytes)| Section::new(name, bytes));
        read(&elf(&[&[build_info("go1.26.1", "")][..], &sections].concat()))
            .expect("Go")
            .expect("Go")
            .build_id
    };
    assert_eq!(id(b"aB_/c-d"), Some("aB_/c-d".to_owned()));
    assert_eq!(id(b""), Some("01ab".to_owned()));
    assert_eq!(id(b"redacted"), Some("01ab".to_owned()), "the same in many binaries");
}

#[test]
fn no_go_programs() {
    assert_eq!(read(b""), Ok(None));
    assert_eq!(read(b"#!/bin/sh\necho '\xff Go buildinf:\x08\x02 go1.26.8'\n"), Ok(None));
    assert_eq!(read(&elf(&[text(1)])), Ok(None));
    let c = Section { bytes: b"a string: \xff Go buildinf:\x08\x02".to_vec(), ..text(1) };
    assert_eq!(read(&elf(&[c])), Ok(None));
}

#[test]
fn programs_for_other_processors() {
    let mut bytes = elf(&[build_info("go1.26.8", "")]);
    bytes[18] = 183;
    assert_eq!(read(&bytes), Err(Error::Machine));
    let mut bytes = elf(&[text(1)]);
    bytes[4] = 1;
    assert_eq!(read(&bytes), Ok(None), "some program of 32 bits");
}
