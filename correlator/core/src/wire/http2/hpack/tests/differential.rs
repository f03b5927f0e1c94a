//! Against an encoder that we did not write: any fields, in any representation, through tables of any size.
use httlib_hpack::Encoder;
use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

/// The flags of that encoder.
const FLAGS: [u8; 5] = [
    Encoder::HUFFMAN_NAME,
    Encoder::HUFFMAN_VALUE,
    Encoder::WITH_INDEXING,
    Encoder::NEVER_INDEXED,
    Encoder::BEST_FORMAT,
];

#[derive(Clone, Debug)]
struct Block {
    size_update: Option<u32>,
    fields: Vec<(Vec<u8>, Vec<u8>, u8)>,
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    const COMMON: &[&str] =
        &[":method", ":path", ":status", "cookie", "grpc-status", "x", "via", "content-type"];
    prop_oneof![4 => select(COMMON).prop_map(Vec::from), 1 => vec(any::<u8>(), 0..40)]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    const COMMON: &[&str] = &["", "GET", "/", "200", "0", "a=b", "application/grpc"];
    prop_oneof![
        4 => select(COMMON).prop_map(Vec::from),
        2 => vec(any::<u8>(), 0..300),
        2 => "[ -~]{0,80}".prop_map(String::into_bytes),
    ]
}

fn block() -> impl Strategy<Value = Block> {
    let flags = vec(any::<bool>(), FLAGS.len())
        .prop_map(|on| on.iter().zip(FLAGS).map(|(on, flag)| if *on { flag } else { 0 }).sum());
    let size_update = prop_oneof![5 => Just(None), 1 => (0..8192_u32).prop_map(Some)];
    (size_update, vec((name(), value(), flags), 0..12))
        .prop_map(|(size_update, fields)| Block { size_update, fields })
}

fn encode(encoder: &mut Encoder<'_>, block: &Block) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(size) = block.size_update {
        encoder.update_max_dynamic_size(size, &mut bytes).unwrap();
    }
    for (name, value, flags) in &block.fields {
        encoder.encode((name.clone(), value.clone(), *flags), &mut bytes).unwrap();
    }
    bytes
}

proptest! {
    #[test]
    fn any_fields_are_read_as_they_were_written(blocks in vec(block(), 1..12)) {
        let (mut encoder, mut decoder) = (Encoder::with_dynamic_size(4096), Decoder::new(true));
        decoder.set_limit(8192);
        for block in &blocks {
            let bytes = encode(&mut encoder, block);
            let expected: Vec<Owned> =
                block.fields.iter().map(|(name, value, _)| (Some(name.clone()), Some(value.clone()))).collect();
            prop_assert_eq!(decode(&mut decoder, &bytes).unwrap().0, expected);
        }
    }

    /// Whoever comes later reads all blocks, and knows nothing wrong.
    #[test]
    fn what_is_known_after_a_join_is_true(blocks in vec(block(), 1..12), join in 0..12_usize) {
        let (mut encoder, mut decoder) = (Encoder::with_dynamic_size(4096), Decoder::new(false));
        for (index, block) in blocks.iter().enumerate() {
            let bytes = encode(&mut encoder, block);
            if index < join {
                continue;
            }
            let (fields, _) = decode(&mut decoder, &bytes).unwrap();
            prop_assert_eq!(fields.len(), block.fields.len());
            for ((name, value), (true_name, true_value, _)) in fields.iter().zip(&block.fields) {
                prop_assert!(name.as_ref().is_none_or(|name| name == true_name));
                prop_assert!(value.as_ref().is_none_or(|value| value == true_value));
            }
        }
    }

    #[test]
    fn huffman_reads_what_was_written(text in vec(any::<u8>(), 0..400), cut in any::<prop::sample::Index>()) {
        let (mut coded, mut decoded) = (Vec::new(), Vec::new());
        httlib_huffman::encode(&text, &mut coded).unwrap();
        huffman::decode(&coded, &mut decoded).unwrap();
        prop_assert_eq!(&decoded, &text);
        // The beginning of a coded string says the beginning of the text, or is none.
        decoded.clear();
        let _ = huffman::decode(&coded[..cut.index(coded.len() + 1)], &mut decoded);
        prop_assert!(text.starts_with(&decoded));
    }
}

/// Each symbol alone, and each behind each.
#[test]
fn huffman_reads_every_symbol() {
    for (first, second) in (0..=255).flat_map(|first| (0..=255).map(move |second| (first, second))) {
        let (mut coded, mut decoded) = (Vec::new(), Vec::new());
        httlib_huffman::encode(&[first, second], &mut coded).unwrap();
        huffman::decode(&coded, &mut decoded).unwrap();
        assert_eq!(decoded, [first, second]);
    }
}
