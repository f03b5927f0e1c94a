use proptest::{collection::vec, prelude::*};

use super::*;

#[test]
fn a_block_that_ends_anywhere_is_no_panic() {
    let mut block = inserting("name", "value");
    block.extend([0x82, 0x11, 0x8c, 0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff]);
    for cut in 1..block.len() {
        let whole = cut == 12 || cut == 13;
        let decoded = decode(&mut Decoder::new(true), &block[..cut]);
        assert_eq!(decoded.map(|_| ()), if whole { Ok(()) } else { Err(HpackError::Truncated) }, "at {cut}");
    }
}

#[test]
fn errors_name_their_cause() {
    for (block, error) in [
        (&[0x80][..], HpackError::Index),
        (&[0xbe], HpackError::Index),
        (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff], HpackError::Integer),
        (&[0x7f, 0x00, 0x00], HpackError::Index),
        (&[0x3f, 0xe2, 0x1f], HpackError::SizeUpdate),
        (&[0x82, 0x20], HpackError::LateSizeUpdate),
        (&[0x00, 0x05, b'a'], HpackError::Truncated),
        // Padding: a zero bit, a whole octet, and EOS itself.
        (&[0x04, 0x81, 0x1e], HpackError::Huffman),
        (&[0x04, 0x82, 0x1f, 0xff], HpackError::Huffman),
        (&[0x04, 0x84, 0xff, 0xff, 0xff, 0xff], HpackError::Huffman),
        (&[0x04, 0x81, 0xff], HpackError::Huffman),
    ] {
        assert_eq!(decode(&mut Decoder::new(true), block), Err(error), "{block:02x?}");
    }
    assert_eq!(decode(&mut Decoder::new(true), &[0x04, 0x81, 0x1f]).unwrap().0, [known(":path", "a")]);
}

/// After an error the next blocks are read as by one who joins there.
#[test]
fn after_an_error_older_entries_are_unknown() {
    let mut decoder = Decoder::new(true);
    decode(&mut decoder, &inserting("a", "b")).unwrap();
    decode(&mut decoder, &[0x80]).unwrap_err();
    assert_eq!(decode(&mut decoder, &[dynamic(0)]).unwrap().0, [(None, None)]);
    decode(&mut decoder, &inserting("c", "d")).unwrap();
    let (fields, summary) = decode(&mut decoder, &[dynamic(0), dynamic(1)]).unwrap();
    assert_eq!(fields, [known("c", "d"), (None, None)]);
    assert_eq!(summary, Summary { fields: 2, unknown: 1, oversized: 0 });
}

/// 4,000 bytes in the table, named 16,000 times by a block of 16,000 bytes: 64 MB.
#[test]
fn a_bomb_is_counted_and_not_built() {
    let mut decoder = Decoder::new(true);
    let mut entry = vec![0x40, 1, b'a', 0x7f, 0xa1, 0x1e];
    entry.resize(6 + 0xfa0, b'x');
    decode(&mut decoder, &entry).unwrap();
    let (mut bytes, mut scratch) = (0, Vec::new());
    let summary = decoder
        .decode(&[dynamic(0); 16_000], &mut scratch, |field| bytes += field.value.known().unwrap().len())
        .unwrap();
    assert_eq!(summary, Summary { fields: 16_000, unknown: 0, oversized: 16_000 - 16 });
    assert_eq!((bytes, scratch.capacity()), (64_000, 0));
}

/// Whoever announces a table of 4 GiB makes nobody keep one.
#[test]
fn memory_is_bounded_whatever_was_announced() {
    for seen_from_start in [true, false] {
        let mut decoder = Decoder::new(seen_from_start);
        decoder.set_limit(u32::MAX);
        decode(&mut decoder, &[0x3f, 0xe0, 0xff, 0xff, 0xff, 0x0f]).unwrap();
        let mut block = Vec::new();
        for index in 0_u32..200_000 {
            block.clear();
            block.extend(inserting(&format!("{index}"), &"v".repeat(index as usize % 100)));
            decode(&mut decoder, &block).unwrap();
        }
        assert!(decoder.heap_bytes() <= 2 * 64 * 1024 + 2048 * 8, "{}", decoder.heap_bytes());
        let (entries, _) = decoder.table().contents();
        let (newest, oldest) = (entries.first().unwrap().0, entries.len() as u32 - 1);
        assert_eq!(newest, Text::Known(b"199999"));
        // What was inserted before those is in the encoder's table, but not in ours.
        assert!(decoder.table().get(oldest).unwrap().0.known().is_some());
        assert_eq!(decoder.table().get(oldest + 1), Ok((Text::Unknown, Text::Unknown)));
    }
}

#[test]
fn an_idle_decoder_has_nothing_on_the_heap() {
    let mut decoder = Decoder::new(true);
    decode(&mut decoder, &[0x82, 0x86, 0x84]).unwrap();
    assert_eq!(decoder.heap_bytes(), 0);
    assert!(size_of::<Decoder>() <= 96, "{}", size_of::<Decoder>());
    decode(&mut decoder, &inserting("a", "b")).unwrap();
    assert!(decoder.heap_bytes() > 0);
    decode(&mut decoder, &[0x20]).unwrap();
    assert_eq!(decoder.heap_bytes(), 0);
}

proptest! {
    #[test]
    fn any_bytes_are_total_and_bounded(blocks in vec(vec(any::<u8>(), 0..300), 1..8), from_start: bool) {
        let mut decoder = Decoder::new(from_start);
        for block in blocks {
            let (mut scratch, mut handed_on) = (Vec::new(), 0);
            let text = |text: Text<'_>| text.known().map_or(0, <[u8]>::len);
            let decoded = decoder.decode(&block, &mut scratch, |field| handed_on += text(field.name) + text(field.value));
            prop_assert!(scratch.len() <= block.len() * 8 / 5 + 4096);
            prop_assert!(handed_on <= 64 * 1024);
            if let Ok(summary) = decoded {
                prop_assert!(summary.fields as usize <= block.len());
                prop_assert!(summary.unknown <= summary.fields && summary.oversized <= summary.fields);
            }
        }
    }
}
