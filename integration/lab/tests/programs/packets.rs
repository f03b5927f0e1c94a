//! Every shape of packet against what the TC programs make of it.

use crate::load::{Programs, Record};
use crate::packet::{
    ACK, FIN, IPV4, IPV6, Ipv4, QINQ, RST, SYN, TCP, Tcp, VLAN, ethernet, extension, fragment, ipv6,
};
use anyhow::{Context as _, Result, ensure};
use weft_abi::LossReason;

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Becomes {
    /// A record of a segment with so many bytes of payload, all of them captured.
    Segment(u32),
    /// It is counted, and says nothing.
    Counted,
    /// No segment: neither counted nor recorded.
    Nothing,
    /// The same, and that is counted as a loss.
    Lost(LossReason),
}

use Becomes::{Counted, Lost, Nothing, Segment};

const UDP: u8 = 17;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;

/// What IPv4 can do to a segment of 100 bytes.
fn of_ipv4() -> Vec<(&'static str, Vec<u8>, Becomes)> {
    let plain = Ipv4::default();
    let tcp = Tcp::new(1000, 100);
    let frame = |ip: Ipv4, tcp: Tcp| ethernet(IPV4, &[], &ip.around(&tcp.bytes()));
    let cut = |bytes: usize| tcp.frame()[..bytes].to_vec();
    vec![
        ("plain", frame(plain, tcp), Segment(100)),
        ("without options", frame(plain, Tcp { options: 0, ..tcp }), Segment(100)),
        ("with all TCP options", frame(plain, Tcp { options: 10, ..tcp }), Segment(100)),
        ("with all IP options", frame(Ipv4 { options: 10, ..plain }, tcp), Segment(100)),
        (
            "padded behind its end",
            [frame(plain, Tcp { payload: 3, ..tcp }), vec![0; 20]].concat(),
            Segment(3),
        ),
        ("a bare ACK", frame(plain, Tcp::new(1, 0)), Counted),
        ("a bare ACK, padded", [frame(plain, Tcp::new(1, 0)), vec![0; 6]].concat(), Counted),
        ("SYN", frame(plain, Tcp::new(1, 0).flags(SYN)), Segment(0)),
        ("SYN with payload", frame(plain, Tcp::new(1, 9).flags(SYN)), Segment(9)),
        ("FIN", frame(plain, Tcp::new(1, 0).flags(FIN | ACK)), Segment(0)),
        ("RST", frame(plain, Tcp::new(1, 0).flags(RST)), Segment(0)),
        ("BIG TCP: no length", frame(Ipv4 { total_len: Some(0), ..plain }, tcp), Segment(100)),
        ("cut behind its header", frame(Ipv4 { total_len: Some(900), ..plain }, tcp), Segment(100)),
        ("first fragment", frame(Ipv4 { fragment: 0x2000, ..plain }, tcp), Segment(100)),
        ("do not fragment", frame(Ipv4 { fragment: 0x4000, ..plain }, tcp), Segment(100)),
        ("later fragment", frame(Ipv4 { fragment: 0x2010, ..plain }, tcp), Lost(LossReason::Fragment)),
        ("UDP", frame(Ipv4 { protocol: UDP, ..plain }, tcp), Nothing),
        ("ARP", ethernet(0x0806, &[], &[0; 46]), Nothing),
        ("an IP header of 16 bytes", frame(Ipv4 { ihl: 4, ..plain }, tcp), Lost(LossReason::Malformed)),
        (
            "shorter than its headers",
            frame(Ipv4 { total_len: Some(30), ..plain }, tcp),
            Lost(LossReason::Malformed),
        ),
        (
            "a TCP header of 16 bytes",
            frame(plain, Tcp { data_offset: 4, ..tcp }),
            Lost(LossReason::Malformed),
        ),
        (
            "a TCP header beyond the end",
            frame(plain, Tcp { data_offset: 15, payload: 4, ..tcp }),
            Lost(LossReason::Malformed),
        ),
        (
            "cut in the IP options",
            frame(Ipv4 { options: 10, ..plain }, tcp)[..14 + 30].to_vec(),
            Lost(LossReason::Malformed),
        ),
        ("cut in the TCP header", cut(14 + 20 + 19), Lost(LossReason::Malformed)),
        ("VLAN", ethernet(IPV4, &[VLAN], &plain.around(&tcp.bytes())), Segment(100)),
        ("QinQ", ethernet(IPV4, &[QINQ, VLAN], &plain.around(&tcp.bytes())), Segment(100)),
        ("three tags", ethernet(IPV4, &[QINQ, VLAN, VLAN], &plain.around(&tcp.bytes())), Nothing),
        ("a tag and nothing else", ethernet(VLAN, &[], &[0, 5]), Lost(LossReason::Malformed)),
    ]
}

/// The same of IPv6.
fn of_ipv6() -> Vec<(&'static str, Vec<u8>, Becomes)> {
    let tcp = Tcp::new(1000, 100).bytes();
    let frame = |next, inner: &[u8]| ethernet(IPV6, &[], &ipv6(next, None, inner));
    let jumbo = extension(TCP, 0, &tcp);
    let three = extension(ROUTING, 0, &extension(DESTINATION, 2, &extension(TCP, 1, &tcp)));
    let mut seven = extension(TCP, 0, &tcp);
    for _ in 0..6 {
        seven = extension(DESTINATION, 0, &seven);
    }
    vec![
        ("plain", frame(TCP, &tcp), Segment(100)),
        ("padded", [frame(TCP, &tcp), vec![0; 9]].concat(), Segment(100)),
        ("hop-by-hop, routing, destination options", frame(HOP_BY_HOP, &three), Segment(100)),
        (
            "BIG TCP: no length, a jumbo option",
            ethernet(IPV6, &[], &ipv6(HOP_BY_HOP, Some(0), &jumbo)),
            Segment(100),
        ),
        ("BIG TCP: no length, no option", ethernet(IPV6, &[], &ipv6(TCP, Some(0), &tcp)), Segment(100)),
        ("a fragment that is all", frame(FRAGMENT, &fragment(TCP, 0, &tcp)), Segment(100)),
        ("the first fragment", frame(FRAGMENT, &fragment(TCP, 1, &tcp)), Segment(100)),
        ("a later fragment", frame(FRAGMENT, &fragment(TCP, 0x50, &tcp)), Lost(LossReason::Fragment)),
        ("seven extension headers", frame(DESTINATION, &seven), Lost(LossReason::Malformed)),
        ("an extension header that is cut off", frame(HOP_BY_HOP, &[TCP]), Lost(LossReason::Malformed)),
        ("UDP", frame(UDP, &tcp), Nothing),
        ("ICMPv6 behind hop-by-hop", frame(HOP_BY_HOP, &extension(58, 0, &[0; 8])), Nothing),
        ("VLAN", ethernet(IPV6, &[VLAN], &ipv6(TCP, None, &tcp)), Segment(100)),
        ("cut in the TCP header", frame(TCP, &tcp)[..14 + 40 + 19].to_vec(), Lost(LossReason::Malformed)),
    ]
}

fn check(programs: &mut Programs, name: &str, packet: &[u8], expected: Becomes) -> Result<()> {
    let before =
        (programs.counted(), programs.lost(LossReason::Fragment), programs.lost(LossReason::Malformed));
    programs.run("tc_ingress", packet, 1).context(name.to_owned())?;
    let counted = programs.counted()[0].0 - before.0[0].0;
    let bytes = programs.counted()[0].1 - before.0[0].1;
    let records = programs.records();
    let lost = [
        (LossReason::Fragment, programs.lost(LossReason::Fragment) - before.1),
        (LossReason::Malformed, programs.lost(LossReason::Malformed) - before.2),
    ];
    let became = match (&records[..], lost.into_iter().find(|(_, count)| *count > 0)) {
        ([Record::Segment(segment, payload)], None) => {
            let whole: Vec<u8> = (0..segment.payload_len).map(|place| place as u8).collect();
            ensure!(*payload == whole, "{name}: {payload:?}");
            ensure!((counted, bytes) == (1, u64::from(segment.payload_len)), "{name}: {counted} {bytes}");
            ensure!((segment.tuple.source_port, segment.tuple.destination_port) == (40_000, 8080), "{name}");
            Segment(segment.payload_len)
        }
        ([], None) if counted == 1 => Counted,
        ([], None) => Nothing,
        ([], Some((reason, 1))) if counted == 0 => Lost(reason),
        _ => anyhow::bail!("{name}: {} records, counted {counted}, {lost:?}", records.len()),
    };
    ensure!(became == expected, "{name}: {became:?}, expected {expected:?}");
    Ok(())
}

#[test]
fn every_shape_of_packet_is_read_or_counted() -> Result<()> {
    let mut programs = Programs::load("packets")?;
    for (name, packet, expected) in of_ipv4() {
        check(&mut programs, &format!("IPv4, {name}"), &packet, expected)?;
    }
    for (name, packet, expected) in of_ipv6() {
        check(&mut programs, &format!("IPv6, {name}"), &packet, expected)?;
    }
    Ok(())
}
