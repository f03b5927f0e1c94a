//! Functions that somebody names.
use weft_gobin::{NamedFunction, find_named};

use super::{Program, VERSIONS, Variant, oracle};

const NAMES: [&str; 4] =
    ["main.counted", "main.serve", "net/http.(*Server).Serve", "encoding/json.(*Encoder).Encode"];
const OTHERS: [&str; 3] = ["main.nothing", "runtime.memmove", "runtime.getcallersp"];

#[test]
#[ignore = "needs Go and gcc: cargo xtask test"]
fn they_are_where_gos_disassembler_says_stripped_or_not() {
    for version in &VERSIONS {
        for (with, without) in Variant::STRIPPED {
            let whole = Program::built(version, with);
            let pushes = oracle::pushes(version.0, &whole.path, &NAMES);
            let segments = oracle::segments(&whole.path);
            let place = |name: &&str| NamedFunction::At(oracle::offset(&segments, pushes[*name]));
            let expected: Vec<_> = NAMES.iter().map(place).collect();
            for program in [whole, Program::built(version, without)] {
                let context = program.path.display().to_string();
                assert_eq!(find_named(&program.bytes, &NAMES), Ok(Some(expected.clone())), "{context}");
                let others = find_named(&program.bytes, &OTHERS).expect("Go").expect("Go");
                assert_eq!(others[0], NamedFunction::Absent, "{context}");
                // Assembly without a frame, or what stands for it beside it.
                assert!(
                    matches!(others[1], NamedFunction::Frameless | NamedFunction::Several),
                    "{context}: {others:?}"
                );
                assert!(
                    matches!(others[2], NamedFunction::Frameless | NamedFunction::Absent),
                    "{context}: {others:?}"
                );
            }
        }
    }
}

#[test]
#[ignore = "needs Go and gcc: cargo xtask test"]
fn what_is_no_go_program_has_none() {
    let shell = std::fs::read("/bin/sh").expect("a program");
    assert_eq!(find_named(&shell, &NAMES), Ok(None));
}
