use super::*;
use crate::Ktime;

/// A frame with a payload of this byte.
fn frame(length: u32, kind: u8, flags: u8, stream: u32, fill: u8) -> Vec<u8> {
    let header = [&length.to_be_bytes()[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [header, vec![fill; length as usize]].concat()
}

fn chunk(offset: u64, data: &[u8]) -> Chunk<'_> {
    Chunk {
        offset,
        len: data.len() as u64,
        hole: 0,
        data,
        stretch: None,
        time: Ktime(0),
        first_time: Ktime(0),
        ack: None,
        reverse_end: 0,
        segment_start: true,
        odd: Default::default(),
    }
}

/// Where headers are believed in these bytes, which come in chunks of this size. Stream 1 is open.
fn search(bytes: &[u8], size: usize) -> (Option<Vec<u64>>, Search) {
    let mut search = Search::default();
    let fit = |frame: FrameHeader| if frame.stream_id == 1 { Fit::Open } else { Fit::Likely };
    for (index, part) in bytes.chunks(size).enumerate() {
        let at = 1000 + (index * size) as u64;
        if let Some(found) = search.take(&chunk(at, part), 16_384, fit) {
            return (Some(found.into_iter().map(|(at, _)| at - 1000).collect()), search);
        }
    }
    (None, search)
}

/// Bytes without pattern.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 7_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(&mut next).take(len).collect()
}

#[test]
fn a_chain_is_found_whatever_the_borders() {
    let frames: Vec<u8> = (0..9).flat_map(|_| frame(5000, 0, 0, 1, 0xaa)).collect();
    let bytes = [noise(777), frames].concat();
    for size in 64..200 {
        let (found, _) = search(&bytes, size);
        let found = found.unwrap_or_else(|| panic!("in chunks of {size}"));
        if 777 % size == 0 {
            assert_eq!(found, [777], "a segment begins with it");
            continue;
        }
        // Where a header lies across two chunks, the next one is where it goes on.
        let across = |at: &usize| at / size != (at + 8) / size;
        let expected = (1..9).map(|frame| 777 + frame * 5009).find(|at| !across(at)).unwrap();
        assert_eq!((found[0], found[found.len() - 1]), (777, expected as u64), "in chunks of {size}");
    }
    // Of a header in more than one chunk nothing can go on.
    assert_eq!(search(&bytes, 8).0, None);
    for size in [1000, 1448, 4096, 16_384] {
        assert_eq!(search(&bytes, size).0.unwrap()[..2], [777, 5786], "in chunks of {size}");
    }
}

#[test]
fn a_frame_of_an_open_stream_that_ends_with_the_segment_is_found() {
    assert_eq!(search(&[noise(500), frame(100, 0, 1, 1, 0xaa)].concat(), 700).0, Some(vec![500]));
    assert_eq!(search(&[noise(500), frame(100, 0, 1, 3, 0xaa)].concat(), 700).0, None);
    let two = [noise(500), frame(100, 0, 1, 3, 0xaa), frame(4, 8, 0, 0, 0)].concat();
    assert_eq!(search(&two, 700).0, Some(vec![500, 609]));
}

#[test]
fn what_is_missing_within_a_payload_does_not_matter() {
    let frames: Vec<u8> = (0..3).flat_map(|_| frame(5000, 0, 0, 1, 0xaa)).collect();
    let frames = [&[0xaa][..], &frames].concat();
    let (mut search, fit) = (Search::default(), |_: FrameHeader| Fit::Open);
    assert_eq!(search.take(&chunk(0, &frames[..1000]), 16_384, fit), None);
    search.gap(3000);
    let found = search.take(&chunk(3000, &frames[3000..6000]), 16_384, fit);
    assert_eq!(found.unwrap().iter().map(|(at, _)| *at).collect::<Vec<_>>(), [1, 5010]);
    let mut search = Search::default();
    assert_eq!(search.take(&chunk(0, &frames[..1000]), 16_384, fit), None);
    search.gap(5500);
    assert_eq!(
        search.take(&chunk(5500, &frames[5500..7000]), 16_384, fit),
        None,
        "its header is missing, too"
    );
}

#[test]
fn small_numbers_are_no_frames() {
    let random = noise(400_000);
    let few = |most: u8| -> Vec<u8> { random.iter().map(|byte| byte % most).collect() };
    let wide = |size: usize, most: u8| -> Vec<u8> {
        random
            .iter()
            .flat_map(|byte| [&vec![0; size - 1][..], &[byte % most]].concat())
            .take(400_000)
            .collect()
    };
    for (name, bytes) in [
        ("bytes of 0 and 1", few(2)),
        ("bytes below 4", few(4)),
        ("16 bits", wide(2, 2)),
        ("16 bits", wide(2, 200)),
        ("32 bits", wide(4, 2)),
        ("32 bits", wide(4, 64)),
        ("64 bits", wide(8, 64)),
        ("zeros", vec![0; 400_000]),
        ("noise", random.clone()),
    ] {
        for size in [1448, 16_384] {
            assert_eq!(search(&bytes, size).0, None, "{name}");
        }
    }
}

#[test]
fn nothing_makes_it_look_often_or_keep_much() {
    let short: Vec<u8> = (0..20_000).flat_map(|_| frame(1, 0, 0, 3, 0)).collect();
    let half: Vec<u8> = (0..40_000_u32).flat_map(|index| frame(index % 3, 0, 0, 1, 0)).collect();
    for bytes in [vec![0; 400_000], short, half, [0, 0, 9, 0, 0, 0, 0, 0, 1].repeat(40_000)] {
        for size in [7, 1448, 16_384] {
            let mut search = Search::default();
            for (index, part) in bytes.chunks(size).enumerate() {
                let fit = |_: FrameHeader| Fit::Weightless;
                let found = search.take(&chunk((index * size) as u64, part), 16_384, fit);
                assert_eq!(found, None);
                assert!(search.chains.len() <= MOST_CHAINS);
                assert!(search.chains.iter().all(|chain| chain.headers.len() <= LONGEST));
            }
            let places = bytes.len() + bytes.len() / size * (HEADER - 1);
            assert!(search.looked <= places as u64, "{} of {places}", search.looked);
        }
    }
}
