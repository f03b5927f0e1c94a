//! pcapng: sections of either byte order, interfaces with clocks of their own, blocks that concern nobody.
mod capture;

use capture::*;
use weft_pcap::{ImportError, Skipped};

/// An interface's options, and the ticks that stand for a time.
type Clock = (Vec<Vec<u8>>, fn(u64) -> u64);

/// A file in the course of being made.
struct Pcapng {
    big: bool,
    bytes: Vec<u8>,
}

impl Pcapng {
    fn new(big: bool) -> Self {
        let mut file = Self { big, bytes: Vec::new() };
        file.section();
        file
    }

    fn section(&mut self) {
        let body = [&self.word(0x1a2b_3c4d)[..], &self.half(1), &self.half(0), &[0xff; 8]].concat();
        self.block(0x0a0d_0d0a, &body);
    }

    fn word(&self, value: u32) -> [u8; 4] {
        if self.big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn half(&self, value: u16) -> [u8; 2] {
        if self.big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn block(&mut self, kind: u32, body: &[u8]) {
        let padding = body.len().next_multiple_of(4) - body.len();
        let length = self.word((12 + body.len() + padding) as u32);
        self.bytes.extend(self.word(kind));
        self.bytes.extend([&length, body, &vec![0; padding], &length].concat());
    }

    fn option(&self, kind: u16, value: &[u8]) -> Vec<u8> {
        let padding = vec![0; value.len().next_multiple_of(4) - value.len()];
        [&self.half(kind)[..], &self.half(value.len() as u16), value, &padding].concat()
    }

    fn interface(&mut self, link_type: u16, options: &[Vec<u8>]) {
        let head = [&self.half(link_type)[..], &[0, 0], &self.word(262_144)].concat();
        self.block(1, &[head, options.concat()].concat());
    }

    fn packet(&mut self, interface: u32, ticks: u64, packet: &[u8]) {
        let words = [interface, (ticks >> 32) as u32, ticks as u32, packet.len() as u32, packet.len() as u32];
        let head = words.map(|word| self.word(word)).concat();
        let comment = self.option(1, b"a comment");
        let padding = vec![0; packet.len().next_multiple_of(4) - packet.len()];
        self.block(6, &[&head, packet, &padding, &comment].concat());
    }

    fn old_packet(&mut self, interface: u16, ticks: u64, packet: &[u8]) {
        let words = [(ticks >> 32) as u32, ticks as u32, packet.len() as u32, packet.len() as u32];
        let words = words.map(|word| self.word(word)).concat();
        self.block(2, &[&self.half(interface)[..], &self.half(0), &words, packet].concat());
    }
}

fn time(number: u64) -> u64 {
    BEGIN + number * STEP
}

#[test]
fn every_clock_gives_the_same_times() {
    for big in [false, true] {
        let file = Pcapng::new(big);
        let hour_less = if big { (-3600_i64).to_be_bytes() } else { (-3600_i64).to_le_bytes() };
        let clocks: [Clock; 4] = [
            (vec![], |time| time / 1000),
            (vec![file.option(9, &[9])], |time| time),
            (vec![file.option(2, b"eth0"), file.option(9, &[6]), file.option(14, &hour_less)], |time| {
                (time + 3_600_000_000_000) / 1000
            }),
            (vec![file.option(9, &[0x80 | 30])], |time| {
                (u128::from(time) * (1 << 30) / 1_000_000_000 + 1) as u64
            }),
        ];
        for (index, (options, ticks)) in clocks.into_iter().enumerate() {
            let mut file = Pcapng::new(big);
            file.interface(1, &options);
            for (number, packet) in (0..).zip(talk_v4()) {
                file.packet(0, ticks(time(number)), &ethernet(&packet));
            }
            let imported = import(&file.bytes);
            if index == 3 {
                let found = imported.exchanges[0]["request"]["first_byte"].as_u64();
                assert!(found.is_some_and(|found| found.abs_diff(time(3)) <= 1), "{imported:?}");
            } else {
                imported.assert_talk();
            }
        }
    }
}

#[test]
fn impossible_clocks_are_no_end() {
    for resolution in [0xff, 0x7f, 0, 20] {
        for ticks in [0, 1, u64::MAX] {
            let mut file = Pcapng::new(false);
            let options = [file.option(9, &[resolution]), file.option(14, &i64::MIN.to_le_bytes())];
            file.interface(1, &options);
            file.packet(0, ticks, &ethernet(&talk_v4()[3]));
            let imported = import(&file.bytes);
            assert_eq!((imported.error, imported.summary.segments), (None, 1));
        }
    }
}

#[test]
fn interfaces_are_vantages_and_others_blocks_are_passed_by() {
    let mut file = Pcapng::new(false);
    file.interface(1, &[]);
    file.interface(101, &[]);
    file.interface(9999, &[]);
    file.block(5, &[0; 12]);
    file.block(0x0bad_cafe, b"custom");
    for (number, packet) in (0..).zip(talk_v4()) {
        file.packet(0, time(number) / 1000, &ethernet(&packet));
        file.old_packet(1, time(number) / 1000, &packet);
        file.packet(2, time(number) / 1000, &packet);
        file.packet(3, time(number) / 1000, &packet);
    }
    let imported = import(&file.bytes);
    assert_eq!(imported.exchanges.len(), 2);
    assert_eq!(imported.snapshot.loss.vantages.len(), 2);
    assert_eq!(imported.summary.skipped(Skipped::LinkType), 7);
    assert_eq!(imported.summary.skipped(Skipped::Stray), 7);
    assert_eq!(imported.summary.unknown_link_type, Some(9999));
    imported.assert_balance();
}

#[test]
fn sections_are_captures_of_their_own() {
    let mut file = Pcapng::new(false);
    file.interface(1, &[]);
    for (number, packet) in (0..).zip(talk_v4()) {
        file.packet(0, time(number) / 1000, &ethernet(&packet));
    }
    file.big = true;
    file.section();
    file.interface(101, &[]);
    for (number, packet) in (0..).zip(talk_v4()) {
        file.packet(0, time(number) / 1000, &packet);
    }
    let imported = import(&file.bytes);
    assert_eq!(imported.exchanges.len(), 2, "{imported:?}");
    assert_eq!(imported.snapshot.loss.vantages.len(), 2);
    imported.assert_balance();
}

#[test]
fn packets_without_a_time_are_left_out() {
    let mut file = Pcapng::new(false);
    file.interface(101, &[]);
    let packet = &talk_v4()[3];
    file.block(3, &[&(packet.len() as u32).to_le_bytes(), packet.as_slice()].concat());
    let imported = import(&file.bytes);
    assert_eq!(imported.summary.skipped(Skipped::NoTime), 1);
    assert!(imported.exchanges.is_empty());
}

#[test]
fn what_is_damaged_is_named_and_what_came_before_is_kept() {
    let mut whole = Pcapng::new(false);
    whole.interface(101, &[]);
    for (number, packet) in (0..).zip(talk_v4()) {
        whole.packet(0, time(number) / 1000, &packet);
    }
    let offset = whole.bytes.len() as u64;
    for (length, trailer) in [(7_u32, 7_u32), (0, 0), (16, 20), (u32::MAX - 3, 0)] {
        let damage = [6, length, 0, trailer].map(u32::to_le_bytes).concat();
        let imported = import(&[whole.bytes.clone(), damage].concat());
        let length = length.into();
        assert_eq!(imported.error, Some(ImportError::Damaged { what: "block", offset, length }));
        assert_eq!(imported.exchanges.len(), 1);
    }
    let mut newer = Pcapng::new(false).bytes;
    newer[12] = 2;
    let expected = ImportError::Version { format: "pcapng", major: 2, minor: 0 };
    assert_eq!(import(&newer).error, Some(expected));
}
