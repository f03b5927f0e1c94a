//! Ids are part of the contract between nodes: a change of any of these numbers is a new version of the hash. The
//! expected values were computed by an implementation in another language.
use weft_core::ExchangeId;

/// (seq, ack, stream, exchange id, client span, server span, trace)
const GOLDEN: [(u32, u32, u32, &str, &str, &str, &str); 5] = [
    (0, 0, 0, "9b3099ba01a64c2e", "f314066f84d8d8cf", "653d8365b8803b85", "e694b9b6e88d9a25f3d1cc01f786d5cf"),
    (1, 2, 0, "10fea4525342d85b", "73fd9d57430d393b", "2ae5c734212f5c6a", "84316b77d843e8a6bfc531db9d35b103"),
    (
        0x9abc_def0,
        0x1234_5678,
        0,
        "41f92df961322ac1",
        "9a8a8d018ad28723",
        "e254f3e37af3e344",
        "d193bdd4a3fc8f8673faf9c78edcde07",
    ),
    (
        u32::MAX,
        u32::MAX,
        0,
        "6b733b43956b7d64",
        "f99a60c695106c58",
        "b68ee5825aacfe90",
        "ee719d1f8760597992b60a0cd2fef2dc",
    ),
    (
        0x9abc_def0,
        0x1234_5678,
        5,
        "6e85aadb010b7a14",
        "775565c8f1efa15a",
        "2343854ae57c3257",
        "d0450d3abac2f75e0db68fd27c3681b1",
    ),
];

#[test]
fn ids_are_the_same_for_ever() {
    for (seq, ack, stream, exchange, client, server, trace) in GOLDEN {
        let id = ExchangeId::new(seq, ack, stream);
        assert_eq!(id.to_string(), exchange);
        assert_eq!(id.client_span_id().to_string(), client);
        assert_eq!(id.server_span_id().to_string(), server);
        assert_eq!(id.trace_id().to_string(), trace);
    }
}

#[test]
fn each_number_counts() {
    let id = ExchangeId::new(1000, 2000, 0);
    let others =
        [ExchangeId::new(1001, 2000, 0), ExchangeId::new(1000, 2001, 0), ExchangeId::new(1000, 2000, 1)];
    assert!(others.iter().all(|other| *other != id));
    assert_ne!(ExchangeId::new(2000, 1000, 0), id);
    assert_ne!(id.client_span_id(), id.server_span_id());
}

#[test]
fn neighbours_do_not_collide() {
    let mut ids: Vec<_> =
        (0..1000).flat_map(|seq| (0..100).map(move |ack| ExchangeId::new(seq * 100, ack * 7, 0))).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 100_000);
}
