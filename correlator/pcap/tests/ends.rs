//! Which end is the pod.
mod capture;

use capture::*;
use weft_pcap::{Options, Skipped};

fn side(imported: &Imported) -> Vec<&str> {
    imported.exchanges.iter().filter_map(|exchange| exchange["side"].as_str()).collect()
}

fn raw(packets: Vec<Vec<u8>>) -> Vec<u8> {
    pcap(false, true, 101, timed(packets))
}

/// The talk with the ports changed, from packet `first` on.
fn with_ports(client: u16, server: u16, first: usize) -> Vec<Vec<u8>> {
    let packets = talk_v4().into_iter().zip(talk()).skip(first);
    let changed = packets.map(|(mut packet, tcp)| {
        let (source, destination) = if tcp.from_client { (client, server) } else { (server, client) };
        packet[20..22].copy_from_slice(&source.to_be_bytes());
        packet[22..24].copy_from_slice(&destination.to_be_bytes());
        packet
    });
    changed.collect()
}

#[test]
fn the_end_that_the_syn_was_sent_to_is_the_server_whatever_its_port() {
    for first in [0, 1] {
        let imported = import(&raw(with_ports(1000, 50_051, first)));
        assert_eq!(side(&imported), ["server"], "from packet {first}");
        imported.assert_balance();
    }
}

#[test]
fn without_a_syn_the_lower_port_is_the_servers() {
    assert_eq!(side(&import(&raw(with_ports(40_000, 8080, 3)))), ["server"]);
    assert_eq!(side(&import(&raw(with_ports(1000, 50_051, 3)))), ["client"]);
    // Equal ports: the destination of the first packet.
    assert_eq!(side(&import(&raw(with_ports(7000, 7000, 3)))), ["server"]);
}

#[test]
fn another_connections_syn_tells_more_than_a_port() {
    let packets = [with_ports(999, 50_051, 0), with_ports(1000, 50_051, 3)].concat();
    assert_eq!(side(&import(&raw(packets))), ["server", "server"]);
}

#[test]
fn ends_may_change_their_parts_in_another_connection() {
    let mut swapped = with_ports(40_000, 8080, 0);
    for packet in &mut swapped {
        let (source, destination) = (packet[12..16].to_vec(), packet[16..20].to_vec());
        packet[12..16].copy_from_slice(&destination);
        packet[16..20].copy_from_slice(&source);
    }
    // The same two ends: who was the client is now the server.
    let mut first = with_ports(8080, 8080, 0);
    let mut second: Vec<_> = swapped
        .into_iter()
        .map(|mut packet| {
            packet[20..24].copy_from_slice(&[0x1f, 0x90, 0x1f, 0x90]);
            packet[24] ^= 0x55;
            packet
        })
        .collect();
    first.append(&mut second);
    let imported = import(&raw(first));
    assert!(imported.exchanges.iter().all(|exchange| exchange["side"] == "server"), "{imported:?}");
}

#[test]
fn local_addresses_are_the_pods() {
    let local = |networks: &[&str]| {
        let local = networks.iter().map(|network| network.parse().expect("a network")).collect();
        import_with(&raw(talk_v4()), Options { local, ..Options::default() })
    };
    assert_eq!(side(&local(&["10.0.0.1"])), ["client"]);
    assert_eq!(side(&local(&["fd00::/8", "10.0.0.2/32"])), ["server"]);
    assert_eq!(side(&local(&["10.0.0.0/8"])), ["server"]);
    let nobody = local(&["192.0.2.0/24"]);
    assert!(nobody.exchanges.is_empty());
    assert_eq!(nobody.summary.skipped(Skipped::NotLocal), talk().len() as u64);
}
