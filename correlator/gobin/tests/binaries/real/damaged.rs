//! A small real program, cut off and changed.
use std::ops::Range;

use proptest::{collection::vec, prelude::*, sample::Index, test_runner::TestRunner};
use weft_gobin::{find_named, read};

use super::{Program, VERSIONS, oracle};

#[test]
#[ignore = "needs Go and gcc: cargo xtask test"]
fn cut_off_at_each_sections_border() {
    for flags in ["", "-s -w"] {
        let program = Program::small(&VERSIONS[2], flags);
        let borders = oracle::sections(&program.path);
        assert!(borders.len() > 10, "{borders:?}");
        for border in borders.values().flat_map(|range| [range.start, range.end]) {
            for length in [border.saturating_sub(1), border, border + 1] {
                ask(program.bytes.get(..length).unwrap_or(&program.bytes));
            }
        }
    }
}

#[test]
#[ignore = "needs Go and gcc: cargo xtask test"]
fn bits_changed_in_each_part() {
    const PLAIN: [&str; 6] =
        [".debug_info", ".debug_abbrev", ".symtab", ".strtab", ".gopclntab", ".go.buildinfo"];
    const STRIPPED: [&str; 3] = [".gopclntab", ".go.module", ".go.buildinfo"];
    for (flags, parts) in [("-compressdwarf=false", PLAIN.as_slice()), ("", &PLAIN), ("-s -w", &STRIPPED)] {
        let mut program = Program::small(&VERSIONS[2], flags);
        let sections = oracle::sections(&program.path);
        let headers = [0..1024, program.bytes.len() - 4096..program.bytes.len()];
        for range in parts.iter().map(|part| sections[*part].clone()).chain(headers) {
            change(&mut program.bytes, &range);
        }
    }
}

/// Changes bits of a part, several at a time, and puts them right again.
fn change(bytes: &mut Vec<u8>, range: &Range<usize>) {
    let flips = vec((any::<Index>(), 0..8_u32), 1..12);
    let mut runner = TestRunner::new(ProptestConfig { cases: 12, ..ProptestConfig::default() });
    let bytes = std::cell::RefCell::new(bytes);
    let result = runner.run(&flips, |flips| {
        let mut bytes = bytes.borrow_mut();
        let flip = |bytes: &mut Vec<u8>| {
            for (place, bit) in &flips {
                bytes[range.start + place.index(range.len())] ^= 1 << bit;
            }
        };
        flip(&mut bytes);
        ask(&bytes);
        flip(&mut bytes);
        Ok(())
    });
    result.expect("an answer, whatever was changed");
}

/// Whatever the answers are.
fn ask(bytes: &[u8]) {
    let _ = (read(bytes), find_named(bytes, &["main.main"]));
}
