//! Damaged executables: whatever is in them, the answer is one, and comes.
use proptest::{collection::vec, prelude::*};
use weft_gobin::read;

use crate::synthetic::{Section, TEXT, build_info, debugging, elf, function_table, symbols, text};

/// All parts at once.
fn sections() -> Vec<Section> {
    let [table, names] = symbols(&[("net/http.(*persistConn).roundTrip", TEXT)], 4);
    let functions = function_table(&[("net/http.serverHandler.ServeHTTP", 0), ("runtime.gcStart", 16)]);
    let [info, abbreviations] = debugging(&[
        ("net/http.Request", &[("ctx", 16, false)]),
        ("net/http.persistConn", &[("conn", 16, false)]),
        ("net/http.transportRequest", &[("Request", 0, true)]),
        ("runtime.g", &[("goid", 1, false), ("m", 16, true)]),
        ("runtime.schedt", &[("gFree", 1, false)]),
    ]);
    let modules = "dep\tgoogle.golang.org/grpc\tv1.64.0\n";
    vec![build_info("go1.26.8", modules), text(2), functions, table, names, info, abbreviations]
}

#[test]
fn cut_off_anywhere() {
    let bytes = elf(&sections());
    assert!(read(&bytes).is_ok_and(|binary| binary.is_some_and(|binary| !binary.points.is_empty())));
    for length in 0..bytes.len() {
        let _ = read(&bytes[..length]);
    }
}

#[test]
fn any_byte_changed() {
    let bytes = elf(&sections());
    for place in 0..bytes.len() {
        for change in [0xff, 0x80, 0x01] {
            let mut changed = bytes.clone();
            changed[place] ^= change;
            let _ = read(&changed);
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_in_any_section(
        section in 0..7_usize,
        bytes in vec(any::<u8>(), 0..300),
        flips in vec((any::<prop::sample::Index>(), 0..8_u32), 0..8),
    ) {
        let mut sections = sections();
        if flips.is_empty() {
            sections[section].bytes = bytes;
        } else {
            for (place, bit) in flips {
                let place = place.index(sections[section].bytes.len());
                sections[section].bytes[place] ^= 1 << bit;
            }
        }
        let _ = read(&elf(&sections));
    }
}

/// What would take a time in proportion to the square of the file's length, if each step looked as far as it is told.
#[test]
fn every_symbol_has_the_same_endless_name() {
    let [mut table, mut names] = symbols(&[("a", TEXT)], 3);
    names.bytes = vec![b'a'; 4 << 20];
    table.bytes = table.bytes.repeat(100_000);
    let mut functions = function_table(&[("a", 0); 60_000]);
    let endless = functions.bytes.len();
    functions.bytes.resize(endless + (4 << 20), b'a');
    assert!(read(&elf(&[build_info("go1.26.8", ""), text(2), table, names, functions])).is_ok());
}

#[test]
fn every_unit_has_its_own_abbreviations() {
    let [mut info, mut abbreviations] = debugging(&[("runtime.g", &[("goid", 1, false)])]);
    let unit = info.bytes.clone();
    abbreviations.bytes = abbreviations.bytes.repeat(5000);
    info.bytes = (0..20_000_u32)
        .flat_map(|number| {
            let mut unit = unit.clone();
            unit[6..10].copy_from_slice(&(number % 5000 * 33).to_le_bytes());
            unit
        })
        .collect();
    assert!(read(&elf(&[build_info("go1.26.8", ""), info, abbreviations])).is_ok());
}

#[test]
fn each_segment_is_the_whole_file() {
    let mut bytes = elf(&[build_info("go1.26.8", ""), text(100_000)]);
    // The first segment's header, many times, at the end.
    let mut header = bytes[64..64 + 56].to_vec();
    let length = bytes.len() as u64;
    header[8..16].copy_from_slice(&0_u64.to_le_bytes());
    header[32..40].copy_from_slice(&length.to_le_bytes());
    bytes[32..40].copy_from_slice(&length.to_le_bytes());
    bytes[56..58].copy_from_slice(&60_000_u16.to_le_bytes());
    bytes.extend(header.repeat(60_000));
    let _ = read(&bytes);
}

/// Found by fuzzing: a function was placed in a segment that claims to be far behind the file's end.
#[test]
fn code_behind_the_end_is_no_code() {
    let mut bytes = elf(&sections());
    let offsets = [64 + 8, 64 + 56 + 8, 64 + 2 * 56 + 8].map(|at| at + 5);
    let points = |bytes: &[u8]| read(bytes).ok().flatten().map(|binary| binary.points.len());
    assert_eq!(points(&bytes), Some(1));
    for high_byte in offsets {
        bytes[high_byte] = 0x20;
    }
    assert_eq!(points(&bytes), Some(0));
}
