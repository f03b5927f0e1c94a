//! Every link type, and what may be between a link's header and TCP.
mod capture;

use capture::*;
use weft_pcap::Skipped;

fn assert_link(link_type: u32, frame: impl Fn(&[u8]) -> Vec<u8>) {
    for nanoseconds in [false, true] {
        for big in [false, true] {
            let packets = timed(talk_v4().iter().map(|packet| frame(packet)));
            import(&pcap(big, nanoseconds, link_type, packets)).assert_talk();
        }
    }
}

#[test]
fn ethernet_frames() {
    assert_link(1, ethernet);
}

#[test]
fn ethernet_with_a_checksum_behind_each_frame() {
    assert_link(1 | 1 << 26 | 4 << 28, |packet| [ethernet(packet), vec![9; 4]].concat());
}

#[test]
fn short_frames_are_padded() {
    let padded = |packet: &[u8]| {
        let mut frame = ethernet(packet);
        frame.resize(frame.len().max(64), 0xaa);
        frame
    };
    assert_link(1, padded);
}

#[test]
fn vlan_and_qinq() {
    let tagged = |tags: &[u8], packet: &[u8]| [&[2; 12][..], tags, &[8, 0], packet].concat();
    assert_link(1, |packet| tagged(&[0x81, 0, 0, 7], packet));
    assert_link(1, |packet| tagged(&[0x88, 0xa8, 0, 7, 0x81, 0, 0, 8], packet));
}

#[test]
fn linux_cooked() {
    assert_link(113, |packet| [&[0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 8, 0][..], packet].concat());
}

#[test]
fn raw_ip() {
    for link_type in [12, 14, 101, 228] {
        assert_link(link_type, <[u8]>::to_vec);
    }
}

#[test]
fn loopback() {
    assert_link(0, |packet| [&[2, 0, 0, 0][..], packet].concat());
    assert_link(108, |packet| [&[0, 0, 0, 2][..], packet].concat());
}

fn cooked_2(ifindex: u32, packet: &[u8]) -> Vec<u8> {
    let header = [&[8, 0, 0, 0][..], &ifindex.to_be_bytes(), &[0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0]].concat();
    [header.as_slice(), packet].concat()
}

#[test]
fn linux_cooked_2() {
    assert_link(276, |packet| cooked_2(3, packet));
}

/// A capture on all interfaces of a node sees a packet at each that it passes.
#[test]
fn each_cooked_interface_is_a_vantage() {
    let twice = talk_v4().into_iter().flat_map(|packet| [cooked_2(3, &packet), cooked_2(8, &packet)]);
    let imported = import(&pcap(false, true, 276, timed(twice)));
    let ids: Vec<_> = imported.exchanges.iter().map(|exchange| &exchange["exchange_id"]).collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1]);
    let vantages: Vec<_> = imported.snapshot.loss.vantages.iter().map(|vantage| vantage.ifindex).collect();
    assert_eq!(vantages, [3, 8]);
    assert_eq!(imported.snapshot.loss.total.duplicate, 0);
    imported.assert_balance();
}

#[test]
fn without_names_of_interfaces_copies_are_duplicates() {
    let twice = talk_v4().into_iter().flat_map(|packet| [ethernet(&packet), ethernet(&packet)]);
    let imported = import(&pcap(false, true, 1, timed(twice)));
    assert_eq!(imported.exchanges.len(), 1);
    assert_eq!(imported.snapshot.loss.total.duplicate, (REQUEST.len() + RESPONSE.len()) as u64);
    imported.assert_balance();
}

#[test]
fn ipv4_options_and_ipv6_extension_headers() {
    let v4 = talk().iter().map(|tcp| ethernet(&tcp.v4(3))).collect::<Vec<_>>();
    import(&pcap(false, true, 1, timed(v4))).assert_talk();
    let v6 = talk().iter().map(|tcp| ethernet(&tcp.v6())).collect::<Vec<_>>();
    let imported = import(&pcap(false, true, 1, timed(v6.clone())));
    imported.assert_talk();
    assert!(imported.exchanges[0]["local"].as_str().is_some_and(|local| local.starts_with("[fe")));
    let raw = v6.iter().map(|frame| frame[14..].to_vec()).collect::<Vec<_>>();
    import(&pcap(false, true, 229, timed(raw))).assert_talk();
}

#[test]
fn fragments_are_counted() {
    let mut fragment = talk_v4()[3].clone();
    fragment[6] = 0x20; // more fragments
    let mut last = fragment.clone();
    (last[6], last[7]) = (0, 9);
    let imported = import(&pcap(false, true, 101, timed([fragment, last])));
    assert_eq!(imported.summary.skipped(Skipped::Fragment), 2);
    let losses = &imported.snapshot.events_lost;
    assert!(losses.iter().any(|loss| (loss.name, loss.count) == ("fragment", 2)), "{losses:?}");
    assert_eq!(imported.summary.segments, 0);
}

#[test]
fn what_is_no_tcp_is_left_out() {
    let mut udp = talk_v4()[3].clone();
    udp[9] = 17;
    let arp = [&[2; 12][..], &[8, 6], &[0; 28]].concat();
    let frames = vec![ethernet(&udp), arp, vec![0; 5], ethernet(&talk_v4()[3][..25])];
    let imported = import(&pcap(false, true, 1, timed(frames)));
    assert_eq!(imported.summary.skipped(Skipped::NotTcp), 2);
    assert_eq!(imported.summary.skipped(Skipped::Malformed), 2);
    assert_eq!((imported.summary.packets, imported.summary.segments), (4, 0));
}

/// Packets that the capture cut keep their length, so that bodies are measured to the byte.
#[test]
fn cut_packets_keep_their_length() {
    let body = vec![b'x'; 1200];
    let response = [b"HTTP/1.1 200 OK\r\nContent-Length: 1200\r\n\r\n", body.as_slice()].concat();
    let mut talk = talk();
    talk[4].payload = &response;
    talk.truncate(5);
    for (v6, total_len) in [(false, true), (false, false), (true, true), (true, false)] {
        let packets = talk.iter().zip(0..).map(|(tcp, number)| {
            let mut frame = ethernet(&if v6 { tcp.v6() } else { tcp.v4(0) });
            if !total_len {
                // TCP segmentation by the device, or BIG TCP: the length field is 0.
                let field = if v6 { 18..20 } else { 16..18 };
                frame[field].fill(0);
            }
            let wire_len = frame.len();
            frame.truncate(160);
            (BEGIN + number * STEP, wire_len, frame)
        });
        let imported = import(&pcap(false, true, 1, packets));
        assert_eq!(imported.exchanges.len(), 1, "v6 {v6} total_len {total_len} {imported:?}");
        let response = &imported.exchanges[0]["response"];
        assert_eq!(
            (&response["body_bytes"], &imported.exchanges[0]["complete"]),
            (&1200.into(), &true.into())
        );
        assert!(imported.summary.uncaptured_bytes > 1000);
        imported.assert_balance();
    }
}

#[test]
fn long_segments_are_several_records() {
    let body = vec![b'x'; 60_000];
    let response = [b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n", body.as_slice()].concat();
    let mut talk = talk();
    talk[4].payload = &response;
    talk.truncate(5);
    let imported = import(&pcap(false, true, 101, timed(talk.iter().map(|tcp| tcp.v4(0)))));
    assert_eq!(imported.snapshot.records.segments, 3 + 4);
    assert_eq!(imported.exchanges[0]["response"]["body_bytes"], 60_000);
    imported.assert_balance();
}
