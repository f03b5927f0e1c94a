//! Versions, build ids, and where the functions are.
use weft_abi::G_IN_R14;
use weft_gobin::{GoFunction, ProbePoint};

use super::{Program, VERSIONS, Variant, oracle};

/// `push %rbp`.
const PUSH_RBP: u8 = 0x55;
/// `call REL32`.
const CALL: u8 = 0xe8;

#[test]
#[ignore = "needs Go and gcc: cargo xtask test"]
fn functions_begin_where_gos_disassembler_says() {
    for version in &VERSIONS {
        Variant::WITH_SYMBOLS.iter().for_each(|variant| check_places(version, *variant));
    }
}

fn check_places(version: &(&str, &str), variant: Variant) {
    let program = Program::built(version, variant);
    let binary = program.read();
    let symbols = oracle::symbols(version.0, &program.path);
    let functions = oracle::functions(&symbols);
    let pushes = oracle::pushes(version.0, &program.path, &functions);
    let segments = oracle::segments(&program.path);
    let context = format!("{} {variant:?}", version.0);
    let (created, points): (Vec<&ProbePoint>, Vec<&ProbePoint>) =
        binary.points.iter().partition(|point| point.function == GoFunction::Create);
    let mut found: Vec<&str> = points.iter().map(|point| point.symbol.as_str()).collect();
    found.sort_by_key(|name| functions.iter().position(|function| function == name));
    assert_eq!(found, functions, "{context}: {:?}", binary.missing);
    for point in points {
        assert!(point.emulated, "{context}: {}", point.symbol);
        let push = oracle::offset(&segments, pushes[&point.symbol]);
        assert_eq!(point.file_offset, push, "{context}: {}", point.symbol);
        assert_eq!(program.bytes[push as usize], PUSH_RBP);
    }
    let [created] = created.as_slice() else { panic!("{context}: {created:?}") };
    let runqput = oracle::offset(&segments, symbols["runtime.runqput"]);
    assert_eq!(called(&program.bytes, created.file_offset as usize), runqput, "{context}");
    assert_eq!(binary.missing, [""; 0], "{context}");
}

/// Where in the file the function is that is called there: both are in one segment.
fn called(bytes: &[u8], place: usize) -> u64 {
    assert_eq!(bytes[place], CALL);
    let distance = i32::from_le_bytes(bytes[place + 1..place + 5].try_into().expect("four bytes"));
    (place as u64 + 5).wrapping_add_signed(distance.into())
}

#[test]
#[ignore = "needs Go and gcc: cargo xtask test"]
fn what_was_stripped_makes_no_difference() {
    for version in &VERSIONS {
        for (with, without) in Variant::STRIPPED {
            let (whole, stripped) =
                (Program::built(version, with).read(), Program::built(version, without).read());
            let context = format!("{} {without:?}: {:?}", version.0, stripped.missing);
            assert_eq!(stripped.process, whole.process, "{context}");
            let sorted = |binary: &weft_gobin::GoBinary| {
                let mut points = binary.points.clone();
                points.sort_by(|a, b| a.symbol.cmp(&b.symbol));
                points
            };
            assert_eq!(sorted(&stripped), sorted(&whole), "{context}");
        }
    }
}

#[test]
#[ignore = "needs Go and gcc: cargo xtask test"]
fn versions_and_build_ids_are_what_go_says() {
    for version in &VERSIONS {
        for (variant, _) in Variant::STRIPPED {
            let program = Program::built(version, variant);
            let binary = program.read();
            assert_eq!(binary.version.to_string(), oracle::version(version.0, &program.path));
            assert_eq!(binary.build_id, Some(oracle::build_id(version.0, &program.path)));
        }
    }
}

#[test]
#[ignore = "needs Go and gcc: cargo xtask test"]
fn g_is_where_the_code_reads_it() {
    for version in &VERSIONS {
        for variant in Variant::WITH_SYMBOLS {
            let program = Program::built(version, variant);
            let offset = oracle::g_offset(&program.path);
            let cgo = matches!(variant, Variant::Cgo | Variant::CgoPie | Variant::CgoStatic);
            // Where there is no C it is in a register, too.
            let expected = if cgo { offset } else { G_IN_R14 };
            assert_eq!(program.read().process.g_tls, expected, "{} {variant:?}", version.0);
            // C's variables lie behind it.
            assert_eq!(offset < -8, cgo, "{} {variant:?}", version.0);
        }
    }
}
