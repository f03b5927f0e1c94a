//! Header blocks of any bytes. Where the decoder that saw all of them finds no error, the encoder broke no rule: then one
//! that joined later must find none either and know nothing else, and a decoder of others must read the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weft_core::fuzzing::{Hpack, HpackField};
use weft_fuzz::Script;

/// The largest table of which our decoder keeps all.
const LIMIT: u32 = 65_536;

fuzz_target!(|bytes: &[u8]| {
    let mut script = Script::new(bytes);
    let (join, lost) = (script.byte() % 8, script.byte());
    let (mut all, mut later) = (Hpack::new(true), Hpack::new(false));
    let mut other = httlib_hpack::Decoder::with_dynamic_size(4096);
    all.set_limit(LIMIT);
    other.set_max_dynamic_size(LIMIT);
    let mut index = 0;
    while !script.is_done() {
        let len = usize::from(script.byte());
        let block = script.bytes(len);
        let decoded = all.decode(block);
        assert!(all.heap_bytes() <= 3 * LIMIT as usize);
        let Ok((truth, unknown)) = decoded else { return };
        assert_eq!(unknown, 0);
        if !same_as_others(&mut other, block, &truth) {
            return;
        }
        match index {
            index if index < join => {}
            index if index < 8 && lost & 1 << index != 0 => later.lost_block(),
            _ => nothing_wrong(&mut later, block, &truth),
        }
        index = index.saturating_add(1);
    }
});

fn nothing_wrong(later: &mut Hpack, block: &[u8], truth: &[HpackField]) {
    let (fields, unknown) = later.decode(block).expect("no error for whoever saw all");
    assert_eq!(fields.len(), truth.len());
    let is_unknown = |field: &&HpackField| field.name.is_none() || field.value.is_none();
    assert_eq!(fields.iter().filter(is_unknown).count(), unknown as usize);
    for (field, truth) in fields.iter().zip(truth) {
        assert!(field.name.is_none() || field.name == truth.name, "{field:?} is {truth:?}");
        assert!(field.value.is_none() || field.value == truth.value, "{field:?} is {truth:?}");
        assert_eq!(field.never_indexed, truth.never_indexed);
    }
}

/// Whether it goes on: how many octets an integer may have is everybody's own limit (RFC 7541, 5.1), and ours is the higher one.
fn same_as_others(other: &mut httlib_hpack::Decoder<'_>, block: &[u8], truth: &[HpackField]) -> bool {
    let mut fields = Vec::new();
    match other.decode(&mut block.to_vec(), &mut fields) {
        Err(httlib_hpack::DecoderError::IntegerOverflow) => return false,
        decoded => drop(decoded.expect("no error for us")),
    }
    assert_eq!(fields.len(), truth.len());
    for ((name, value, _), truth) in fields.iter().zip(truth) {
        assert_eq!((Some(name), Some(value)), (truth.name.as_ref(), truth.value.as_ref()));
    }
    true
}
