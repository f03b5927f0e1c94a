use std::collections::HashSet;

use weft_core::{
    AttributedExchange, Ktime, Link, MessageSpan, Pod,
    testing::{attributed, joined},
};

use super::*;

/// The exchange with this number, of pod `shop/<pod>` and this trace: its path is its number.
pub(crate) fn exchange(number: u32, trace: u128, pod: &str) -> AttributedExchange {
    let at = Ktime(u64::from(number) * 1000);
    let message = MessageSpan { first_byte: at, last_byte: at, bytes: 1, body_bytes: 0 };
    let mut joined = joined(1, 2, number);
    (joined.exchange.request, joined.exchange.response) = (message, Some(message));
    let owner = Pod { namespace: "shop".into(), name: pod.into(), ..Pod::default() };
    let any = attributed(joined);
    AttributedExchange {
        link: Link { trace_id: TraceId(trace), ..any.link },
        pod: owner.label().map(Into::into),
        owner: Some(Arc::new(owner)),
        ..any
    }
}

/// These come together; their spans stay on the node.
fn extend(store: &TraceStore, exchanges: impl IntoIterator<Item = AttributedExchange>) {
    let mut batch = Batch::default();
    exchanges.into_iter().for_each(|exchange| batch.add(&exchange, false));
    store.extend(&mut batch);
}

/// A store with room for so many, in which exchanges of these traces are, numbered from 0.
fn store(spans: usize, traces: &[u128]) -> TraceStore {
    let store = TraceStore::new(Bounds { spans, bytes: 1 << 30 });
    let numbered = (0..).zip(traces);
    extend(&store, numbered.map(|(number, trace)| exchange(number, *trace, "a")));
    store
}

fn numbers<'a>(packed: impl IntoIterator<Item = &'a Packed>) -> Vec<u32> {
    packed.into_iter().map(|packed| packed.unpack().unwrap().joined.exchange.request_seq).collect()
}

fn all(store: &TraceStore) -> Vec<u32> {
    numbers(&store.exchanges(&ExchangeQuery { limit: 1000, ..ExchangeQuery::default() }))
}

fn bytes(store: &TraceStore) -> u64 {
    store.tables()[1].entries
}

fn trace(store: &TraceStore, id: u128) -> (Vec<u32>, bool) {
    let trace = store.trace(TraceId(id)).unwrap();
    (numbers(trace.exchanges.iter().map(|(packed, _)| packed)), trace.cut)
}

#[test]
fn the_newest_that_match_oldest_of_them_first() {
    let store = store(10, &[1, 2, 3, 4]);
    let of = |query: ExchangeQuery| numbers(&store.exchanges(&query));
    let any = || ExchangeQuery { limit: 10, ..ExchangeQuery::default() };
    assert_eq!(of(any()), [0, 1, 2, 3]);
    assert_eq!(of(ExchangeQuery { limit: 2, ..any() }), [2, 3]);
    assert_eq!(of(ExchangeQuery { since: 2000, ..any() }), [2, 3]);
    assert_eq!(of(ExchangeQuery { pod: Some("shop/a".into()), ..any() }), [0, 1, 2, 3]);
    for other in ["shop/b", "a", "shop", "shop/a/", ""] {
        assert!(of(ExchangeQuery { pod: Some(other.into()), ..any() }).is_empty(), "{other}");
    }
    let id = exchange(1, 0, "a").joined.exchange.id().0;
    assert_eq!(of(ExchangeQuery { exchange_id: Some(id), limit: 1, ..any() }), [1]);
}

#[test]
fn traces_are_found_the_one_that_grew_last_first() {
    let store = store(10, &[1, 2, 1, 3, 2]);
    let ids = |since| store.traces(since).map(|trace| trace.id.0).collect::<Vec<_>>();
    assert_eq!(ids(0), [2, 3, 1]);
    assert_eq!(ids(3000), [2, 3]);
    assert_eq!(trace(&store, 1), (vec![0, 2], false));
    assert!(store.trace(TraceId(9)).is_none());
}

#[test]
fn the_oldest_trace_goes_whole() {
    let store = store(6, &[1, 2, 1, 3, 3, 4]);
    extend(&store, [exchange(6, 5, "a")]);
    assert_eq!(all(&store), [1, 3, 4, 5, 6]);
    assert!(store.trace(TraceId(1)).is_none());
}

#[test]
fn a_trace_that_still_grows_loses_its_oldest_only() {
    let store = store(6, &[1, 2, 1, 1, 1, 1]);
    extend(&store, [exchange(6, 1, "a")]);
    assert_eq!(all(&store), [1, 2, 3, 4, 5, 6]);
    assert_eq!(trace(&store, 1), (vec![2, 3, 4, 5, 6], true));
}

#[test]
fn one_trace_for_everything_is_shown_up_to_a_bound() {
    let store = store(MAX_TRACE + 10, &vec![7; MAX_TRACE + 5]);
    let (numbers, cut) = trace(&store, 7);
    assert_eq!((numbers.len(), numbers.first(), cut), (MAX_TRACE, Some(&5), true));
}

#[test]
fn long_paths_count_by_their_bytes() {
    let store = TraceStore::new(Bounds { spans: 1000, bytes: 1 << 20 });
    for number in 0..100 {
        let mut long = exchange(number, number.into(), "a");
        long.joined.exchange.path = "/".repeat(64 << 10);
        extend(&store, [long]);
    }
    let [spans, bytes] = store.tables();
    assert_eq!((spans.entries, spans.evicted), (15, 85), "15 of 64 KiB and a little");
    assert!(bytes.entries <= bytes.limit, "{bytes:?}");
    assert_eq!(all(&store), (85..100).collect::<Vec<_>>());
}

/// Whatever comes: the bounds hold, and every exchange that is there is found by its trace, once.
#[test]
fn what_is_there_is_found() {
    for seed in 1..40_u64 {
        let mut state = seed;
        let mut draw = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let store = TraceStore::new(Bounds { spans: 50, bytes: 1 << 30 });
        let traces = 1 + draw(60);
        for number in 0..300 {
            extend(&store, [exchange(number, draw(traces).into(), "a")]);
        }
        let there = all(&store);
        assert!(there.len() <= 50 && there.last() == Some(&299), "{seed}: {there:?}");
        let mut found: Vec<u32> = store
            .traces(0)
            .flat_map(|trace| numbers(trace.exchanges.iter().map(|(packed, _)| packed)))
            .collect();
        found.sort_unstable();
        assert_eq!(found, there, "{seed}");
        let ids: HashSet<_> = store.traces(0).map(|trace| trace.id).collect();
        assert_eq!(ids.len(), store.traces(0).count(), "{seed}");
    }
}

#[test]
fn with_less_room_the_newest_stay() {
    let store = store(10, &[1, 2, 3, 3, 4]);
    store.set_bounds(Bounds { spans: 3, bytes: 1 << 30 });
    assert_eq!(all(&store), [2, 3, 4]);
    store.set_bounds(Bounds { spans: 5, bytes: 1 << 30 });
    extend(&store, [exchange(5, 5, "a"), exchange(6, 6, "a")]);
    assert_eq!(all(&store), [2, 3, 4, 5, 6]);
}

#[test]
fn what_is_brought_is_brought_once() {
    let store = store(10, &[1, 2, 1]);
    let mut batch = Batch::default();
    batch.add(&exchange(3, 1, "a"), true);
    store.extend(&mut batch);
    assert_eq!(numbers(&store.bring(TraceId(1))), [0, 2]);
    assert!(store.bring(TraceId(1)).is_empty() && store.bring(TraceId(9)).is_empty());
    let sampled = store.trace(TraceId(1)).unwrap().exchanges.iter().filter(|(_, sampled)| *sampled).count();
    assert_eq!(sampled, 3);
}

#[test]
fn a_block_counts_until_its_last_exchange_went() {
    let store = TraceStore::new(Bounds { spans: 4, bytes: 1 << 30 });
    let long = |number: u32| {
        let mut long = exchange(number, number.into(), "a");
        long.joined.exchange.path = "/".repeat(10 << 10);
        long
    };
    extend(&store, (0..4).map(long));
    assert!(bytes(&store) > 40 << 10);
    extend(&store, (4..7).map(|number| exchange(number, number.into(), "a")));
    assert_eq!(all(&store), [3, 4, 5, 6]);
    assert!(bytes(&store) > 40 << 10, "one of four is there");
    extend(&store, [exchange(7, 7, "a")]);
    assert!(bytes(&store) < 2 << 10, "{} bytes of what is short", bytes(&store));
}

#[test]
fn a_block_in_the_middle_goes_before_its_turn() {
    let store = TraceStore::new(Bounds { spans: 6, bytes: 1 << 30 });
    let mut long = exchange(2, 1, "a");
    long.joined.exchange.path = "/".repeat(64 << 10);
    let each = [exchange(0, 1, "a"), exchange(1, 2, "a"), long];
    each.into_iter().for_each(|exchange| extend(&store, [exchange]));
    (3..6).for_each(|number| extend(&store, [exchange(number, number.into(), "a")]));
    assert!(bytes(&store) > 64 << 10);
    extend(&store, [exchange(6, 6, "a")]);
    assert_eq!(all(&store), [1, 3, 4, 5, 6]);
    assert!(bytes(&store) < 4 << 10, "{} bytes of what is short", bytes(&store));
    assert_eq!(trace(&store, 2), (vec![1], false));
}

/// The bound is one of memory: whatever traces there are, and however many come at a time.
#[test]
fn bytes_are_bounded_with_what_blocks_hold_of_those_that_went() {
    let store = TraceStore::new(Bounds { spans: 100_000, bytes: 1 << 20 });
    for first in (0..20_000).step_by(200) {
        extend(
            &store,
            (first..first + 200).map(|number| exchange(number, u128::from(number % 7 * number / 50), "a")),
        );
        let [_, bytes] = store.tables();
        assert!(bytes.entries <= bytes.limit, "{bytes:?}");
    }
    let there = all(&store);
    assert!(there.len() > 900 && there.last() == Some(&19_999), "{}", there.len());
}

#[test]
fn more_at_a_time_than_there_is_room_for_are_its_newest() {
    assert_eq!(all(&store(3, &[1, 2, 1, 3, 4, 5, 6])), [4, 5, 6]);
}

#[test]
fn who_reads_has_what_went() {
    let store = store(2, &[1, 2]);
    let read = store.exchanges(&ExchangeQuery { limit: 10, ..ExchangeQuery::default() });
    extend(&store, (2..4).map(|number| exchange(number, number.into(), "a")));
    assert_eq!((numbers(&read), all(&store)), (vec![0, 1], vec![2, 3]));
}

#[test]
fn a_batch_is_full_at_some_hundred_exchanges() {
    let mut batch = Batch::default();
    let added = (0..).take_while(|number| {
        batch.add(&exchange(*number, 1, "a"), false);
        !batch.is_full()
    });
    let added = added.count();
    assert!((300..1500).contains(&added), "{added}");
    TraceStore::new(Bounds { spans: 10, bytes: 1 << 30 }).extend(&mut batch);
    assert!(!batch.is_full() && batch.is_empty());
}
