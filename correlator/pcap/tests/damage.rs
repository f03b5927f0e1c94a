//! Files that end early, are none, or come from somebody who means harm.
mod capture;

use capture::*;
use proptest::{collection::vec, prelude::*};
use weft_pcap::{ImportError, Skipped};

fn whole() -> Vec<u8> {
    pcap(false, true, 1, timed(talk_v4().iter().map(|packet| ethernet(packet))))
}

#[test]
fn cut_off_at_every_byte() {
    let whole = whole();
    let mut packets = 0;
    for length in 0..whole.len() {
        let imported = import(&whole[..length]);
        assert_eq!(imported.error, None, "cut at {length}");
        assert!(imported.summary.packets >= packets);
        packets = imported.summary.packets;
        imported.snapshot.loss.vantages.iter().for_each(|vantage| assert_eq!(vantage.ifindex, 1));
    }
    assert_eq!(packets, talk().len() as u64 - 1);
}

#[test]
fn what_is_no_capture_is_said() {
    for bytes in [&b"weftrec\n1234567890123456"[..], b"\x1f\x8b\x08\x00", &[0; 100]] {
        assert_eq!(import(bytes).error, Some(ImportError::NotACapture));
    }
}

#[test]
fn a_link_type_that_nobody_knows_is_named() {
    let file = pcap(false, true, 147, timed(talk_v4()));
    let error = import(&file).error.expect("an error");
    assert_eq!(error, ImportError::LinkType { link_type: 147 });
    assert!(error.to_string().contains("link type 147 is not known"), "{error}");
}

#[test]
fn a_packet_that_nobody_sends_is_damage() {
    let mut file = whole();
    let offset = file.len() as u64;
    file.extend([1_u32, 2, 0x7fff_ffff, 60].map(u32::to_le_bytes).concat());
    let imported = import(&file);
    let expected = ImportError::Damaged { what: "packet", offset, length: 0x7fff_ffff };
    assert_eq!(imported.error, Some(expected));
    assert_eq!(imported.exchanges.len(), 1);
}

/// Found by fuzzing: its bytes were counted as seen, and the pipeline took no such record.
#[test]
fn a_segment_that_nobody_sends_is_malformed() {
    let mut packets = timed(talk_v4());
    packets[4].1 = 0x2f3c_0000;
    // Without a length of its own, the packet is as long as the capture says.
    packets[4].2[2..4].fill(0);
    let imported = import(&pcap(false, true, 101, packets));
    assert_eq!(imported.summary.skipped(Skipped::Malformed), 1);
    assert_eq!((imported.snapshot.loss.total.seen, imported.summary.payload_bytes), (41, 41));
}

#[test]
fn time_that_goes_back_is_counted() {
    let mut packets = timed(talk_v4());
    packets[5].0 -= 2_000_000_000;
    assert_eq!(import(&pcap(false, true, 101, packets)).summary.back_in_time, 1);
}

proptest! {
    #[test]
    fn any_bytes_are_read_to_an_end(magic in 0..5_usize, bytes in vec(any::<u8>(), 0..300)) {
        let magics: [&[u8]; 5] = [
            b"", b"\xa1\xb2\xc3\xd4\0\x02\0\x04", b"\x4d\x3c\xb2\xa1\x02\0\x04\0", b"\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a\x01\0\0\0",
            b"\x0a\x0d\x0d\x0a\0\0\0\x1c\x1a\x2b\x3c\x4d\0\x01\0\0",
        ];
        import(&[magics[magic], &bytes].concat());
    }

    #[test]
    fn flipped_bytes_never_break_the_account(flips in vec((24..2000_usize, any::<u8>()), 1..20)) {
        let mut file = whole();
        let length = file.len();
        flips.iter().for_each(|(at, byte)| file[24 + at % (length - 24)] = *byte);
        let imported = import(&file);
        let total = &imported.snapshot.loss.total;
        // What the capture lacks is nowhere in it: it can only be missed.
        prop_assert_eq!(total.seen, imported.summary.payload_bytes);
        prop_assert_eq!(total.unexplained, -(total.gap as i64));
    }
}
