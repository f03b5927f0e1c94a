//! Recordings: what goes in comes out, and what was damaged is said, never guessed.
#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::sync::Arc;

use proptest::{collection::vec, prelude::*};
use weft_core::{
    ClockOffset, ClusterUpdate, Config, DirectionCount, Identity, Input, KernelCounters, Ktime, Peer, Pod,
    VantageCounters, Workload, WorkloadUpdate,
    recording::{self, Decoded, EncodeError, End, Reader, RecordingError},
};

fn counters() -> KernelCounters {
    let count = DirectionCount { segments: 3, bytes_seen: u64::MAX, bytes_unrecorded: 7 };
    let vantage =
        VantageCounters { netns: u64::MAX - 1, ifindex: 2, directions: [count, DirectionCount::default()] };
    KernelCounters {
        bank: 1,
        vantages: vec![vantage],
        losses: std::array::from_fn(|reason| reason as u64 + 1),
    }
}

fn pod() -> Pod {
    Pod {
        netns: 4711,
        netns_inode: 4_026_532_200,
        namespace: "shop".into(),
        name: "orders \"1\"\n".into(),
        uid: "0123".into(),
        addresses: vec!["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()],
    }
}

/// One of each kind.
fn inputs() -> Vec<Input<'static>> {
    let networks = vec![("10.0.0.0/8".parse().unwrap(), "inside".into())];
    vec![
        Input::Config(Arc::new(Config { networks, ..Config::default() })),
        Input::Clock(ClockOffset(-5)),
        Input::Workload(WorkloadUpdate::Pod(pod())),
        Input::Probe(b"\x01not checked here\xff\0"),
        Input::Probe(b""),
        Input::KernelCounters(counters()),
        Input::Tick(Ktime(u64::MAX)),
        Input::Workload(WorkloadUpdate::Gone { netns: 4711 }),
        Input::Workload(WorkloadUpdate::Cluster(ClusterUpdate::Pod {
            namespace: "shop".into(),
            name: "orders".into(),
            identity: Some(Identity {
                workload: Some(Workload { kind: "Deployment".into(), name: "orders".into() }),
                labels: [("tier".to_owned(), "\"front\"".to_owned())].into(),
                ..Identity::default()
            }),
        })),
        Input::Workload(WorkloadUpdate::Cluster(ClusterUpdate::Address {
            address: "fd00::2".parse().unwrap(),
            peer: Some(Peer::Service { namespace: "shop".into(), name: "stock".into() }),
        })),
    ]
}

fn recorded(inputs: &[Input<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    recording::encode_header(&mut bytes);
    inputs.iter().for_each(|input| recording::encode(input, &mut bytes).unwrap());
    bytes
}

/// Everything that can be read, how it ended, and the error if there was one.
fn read(bytes: &[u8]) -> (Vec<String>, Option<End>, Option<RecordingError>) {
    let mut reader = match Reader::new(bytes) {
        Ok(reader) => reader,
        Err(error) => return (Vec::new(), None, Some(error)),
    };
    let (mut inputs, mut error) = (Vec::new(), None);
    for input in reader.by_ref() {
        match input {
            Ok(input) => inputs.push(format!("{input:?}")),
            Err(failed) => error = Some(failed),
        }
    }
    (inputs, reader.end(), error)
}

fn shown(inputs: &[Input<'_>]) -> Vec<String> {
    inputs.iter().map(|input| format!("{input:?}")).collect()
}

#[test]
fn what_goes_in_comes_out() {
    let (read, end, error) = read(&recorded(&inputs()));
    assert_eq!(read, shown(&inputs()));
    assert_eq!(end, Some(End::Whole));
    assert!(error.is_none());
}

#[test]
fn it_says_that_it_holds_secrets() {
    let bytes = recorded(&[]);
    let text = String::from_utf8_lossy(&bytes);
    assert!(
        text.starts_with("weftrec\n") && text.contains("raw network traffic") && text.contains("passwords")
    );
}

#[test]
fn cut_off_at_every_byte() {
    let all = inputs();
    let whole = recorded(&all);
    let ends: Vec<usize> = (0..=all.len()).map(|count| recorded(&all[..count]).len()).collect();
    for length in 0..whole.len() {
        let (inputs, end, error) = read(&whole[..length]);
        assert!(error.is_none(), "cut at {length}: {error:?}");
        let complete = ends.iter().filter(|end| **end <= length).count().saturating_sub(1);
        assert_eq!(inputs, shown(&all[..complete]), "cut at {length}");
        let expected = match ends.contains(&length) {
            true => End::Whole,
            false => End::Truncated { offset: if length < ends[0] { 0 } else { ends[complete] as u64 } },
        };
        assert_eq!(end, Some(expected), "cut at {length}");
    }
}

#[test]
fn read_in_small_pieces() {
    let whole = recorded(&inputs());
    let Ok(Decoded::Whole((), mut at)) = recording::decode_header(&whole) else { panic!("no header") };
    let mut read = Vec::new();
    while at < whole.len() {
        let mut have = 0;
        loop {
            match recording::decode(&whole[at..at + have], at as u64).unwrap() {
                Decoded::Partial(needed) => {
                    assert!(needed > have, "asked for {needed} with {have} at hand");
                    have = needed;
                }
                Decoded::Whole(input, length) => {
                    read.push(format!("{input:?}"));
                    at += length;
                    break;
                }
            }
        }
    }
    assert_eq!(read, shown(&inputs()));
}

#[test]
fn other_versions_are_refused_with_their_number() {
    for (byte, expected) in [(8, "format version 201"), (12, "ABI version 201")] {
        let mut bytes = recorded(&inputs());
        bytes[byte] = 201;
        let (inputs, _, error) = read(&bytes);
        assert!(inputs.is_empty());
        assert!(error.unwrap().to_string().contains(expected));
    }
}

#[test]
fn other_files_are_refused() {
    for bytes in [&b"\xd4\xc3\xb2\xa1\x02\0\x04\0"[..], b"weftred\n", b"x"] {
        assert!(matches!(Reader::new(bytes), Err(RecordingError::NotARecording)));
    }
}

/// What comes before damage is kept, and the message says where the damage is.
fn assert_damage(damage: impl Fn(&mut Vec<u8>, usize), expected: &str) {
    let before = &inputs()[..3];
    let mut bytes = recorded(before);
    let offset = bytes.len();
    recording::encode(&Input::KernelCounters(counters()), &mut bytes).unwrap();
    recording::encode(&Input::Tick(Ktime(1)), &mut bytes).unwrap();
    damage(&mut bytes, offset);
    let (read, end, error) = read(&bytes);
    assert_eq!(read, shown(before));
    assert_eq!(end, Some(End::Corrupted));
    let message = error.unwrap().to_string();
    assert!(message.contains(expected) && message.contains(&format!("at byte {offset}")), "{message}");
}

#[test]
fn unknown_kind() {
    assert_damage(|bytes, offset| bytes[offset + 4] = 99, "unknown kind 99");
    assert_damage(|bytes, offset| bytes[offset + 4] = 0, "unknown kind 0");
}

#[test]
fn impossible_length() {
    assert_damage(|bytes, offset| bytes[offset + 3] = 0xff, "at most 16777216 are possible");
    let probe =
        |bytes: &mut Vec<u8>, offset: usize| bytes[offset..offset + 5].copy_from_slice(&[0, 0, 1, 0, 1]);
    assert_damage(probe, "announces 65536 bytes, at most 16480");
}

#[test]
fn body_of_another_kind() {
    assert_damage(|bytes, offset| bytes[offset + 5] = b'[', "no kernel's counters");
    assert_damage(|bytes, offset| bytes[offset + 4] = 6, "no time");
    assert_damage(|bytes, offset| bytes[offset + 4] = 2, "no workload");
}

#[test]
fn a_record_that_no_reader_would_take_is_not_written() {
    let mut bytes = vec![1, 2, 3];
    let error = recording::encode(&Input::Probe(&[0; 20_000]), &mut bytes).unwrap_err();
    assert!(matches!(error, EncodeError::TooLarge { length: 20_000, limit: 16_480 }));
    assert_eq!(bytes, [1, 2, 3]);
}

proptest! {
    #[test]
    fn any_bytes_are_read_to_an_end(bytes in vec(any::<u8>(), 0..400)) {
        let mut frames = recorded(&[]);
        frames.extend_from_slice(&bytes);
        let (_, end, error) = read(&frames);
        prop_assert!(end.is_some());
        prop_assert_eq!(end == Some(End::Corrupted), error.is_some());
    }

    #[test]
    fn one_flipped_bit_never_panics(position in 0..2000_usize, bit in 0..8_u32) {
        let mut bytes = recorded(&inputs());
        let position = position % bytes.len();
        bytes[position] ^= 1_u8 << bit;
        let (inputs, end, error) = read(&bytes);
        prop_assert!(end.is_some() || error.is_some());
        prop_assert!(inputs.len() <= bytes.len() / 5);
    }
}
