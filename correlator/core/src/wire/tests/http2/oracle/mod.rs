//! Two programs made with the `h2` crate talk; weft listens, and says what they say.
mod programs;
mod wire;

use proptest::{prelude::*, sample::Index};

use super::super::{
    Bench, Talk,
    redaction::{assert_same, redacted},
};
use crate::{Anomaly, Config, Side};
use programs::{Fate, Plan, Said, Setup, talk};
use wire::End;

fn setup() -> impl Strategy<Value = Setup> {
    let table = || prop::sample::select(vec![0, 100, 4096, 65_536]);
    let window = prop::sample::select(vec![5000_u32, 65_535, 1 << 20]);
    let connection_window = prop::sample::select(vec![65_535_u32, 70_000, 1 << 20]);
    let max_frame = prop::sample::select(vec![16_384_u32, 20_000]);
    (window, connection_window, max_frame, table(), table()).prop_map(
        |(window, connection_window, max_frame, client_table, server_table)| Setup {
            window,
            connection_window,
            max_frame,
            client_table,
            server_table,
        },
    )
}

fn plan() -> impl Strategy<Value = Plan> {
    let fields = prop::collection::vec((0..6_u8, "[a-z]{0,40}", prop::bool::weighted(0.2)), 0..6);
    let body = || prop::collection::vec(prop_oneof![4 => 0..300_usize, 1 => 5000..40_000_usize], 0..4);
    let fate = prop::sample::select(vec![
        Fate::Answered,
        Fate::Answered,
        Fate::Answered,
        Fate::Cancelled,
        Fate::Refused,
    ]);
    let method = prop::sample::select(vec!["GET", "POST", "PUT", "PURGE"]);
    let status = prop::sample::select(vec![200, 204, 404, 503]);
    (method, status, fields, body(), body(), any::<bool>(), fate).prop_map(
        |(method, status, fields, request, response, trailers, fate)| Plan {
            method,
            status,
            fields,
            request,
            response,
            trailers,
            fate,
        },
    )
}

/// What was written as segments of these sizes.
fn travel(side: Side, written: &[(End, Vec<u8>)], sizes: &[usize]) -> Talk {
    let mut talk = Talk::new(side);
    let mut sizes = sizes.iter().cycle();
    for (end, bytes) in written {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (part, behind) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
            match end {
                End::Client => talk.client(part),
                End::Server => talk.server(part),
            };
            rest = behind;
        }
    }
    talk.client_fin().server_fin();
    talk
}

/// Neighbours of one direction change places, and segments come twice.
fn disorder(records: &mut Vec<Vec<u8>>, swaps: &[Index], repeats: &[Index]) {
    for swap in swaps {
        let at = swap.index(records.len() - 1);
        let [left, right] = &mut records[at..at + 2] else { return };
        // Of a segment's header the second byte is its direction; the handshake stays in order.
        if at > 2 && left[1] == right[1] {
            std::mem::swap(left, right);
        }
    }
    for repeat in repeats {
        let at = repeat.index(records.len());
        let again = records[at].clone();
        records.insert(at + 1, again);
    }
}

/// What weft says of each request is what its ends say.
fn compare(bench: &Bench, plans: &[Plan], said: &Said) -> Result<(), TestCaseError> {
    prop_assert_eq!(bench.notes.exchanges.len(), said.server.len(), "{:?}", bench.lines());
    for joined in &bench.notes.exchanges {
        let exchange = &joined.exchange;
        let index: usize = exchange.path.trim_start_matches('/').parse().unwrap();
        let (plan, request) = (&plans[index], &said.server[&index]);
        prop_assert_eq!(&exchange.method, &request.method);
        prop_assert_eq!(exchange.authority.as_deref(), Some("shop:80"));
        if plan.fate != Fate::Answered {
            continue;
        }
        let response = &said.client[&index];
        prop_assert!(response.ended && request.ended && exchange.complete, "{:?}", bench.lines());
        prop_assert_eq!(exchange.status, Some(response.status));
        prop_assert_eq!(exchange.request.body_bytes as usize, request.body);
        prop_assert_eq!(exchange.response.unwrap().body_bytes as usize, response.body);
        prop_assert!(exchange.anomalies.iter().all(|anomaly| anomaly == Anomaly::Retransmit));
        prop_assert!(exchange.flow_control.is_some());
    }
    Ok(())
}

/// Where the request of an exchange was read whole, it is right; where not, it is silent.
fn never_wrong(bench: &Bench, said: &Said) -> Result<(), TestCaseError> {
    for joined in &bench.notes.exchanges {
        let exchange = &joined.exchange;
        let Ok(index) = exchange.path.trim_start_matches('/').parse::<usize>() else {
            prop_assert!(exchange.path.is_empty());
            continue;
        };
        let request = &said.server[&index];
        prop_assert!(exchange.method.is_empty() || exchange.method == request.method);
        let Some(response) = said.client.get(&index) else { continue };
        prop_assert!(exchange.status.is_none_or(|status| status == response.status));
        if exchange.complete {
            prop_assert_eq!(exchange.request.body_bytes as usize, request.body);
            prop_assert_eq!(exchange.response.unwrap().body_bytes as usize, response.body);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn weft_says_what_the_ends_say(
        setup in setup(),
        plans in prop::collection::vec(plan(), 1..12),
        sizes in prop::collection::vec(prop_oneof![1..40_usize, 1000..3000_usize, Just(16_384_usize)], 1..6),
        side in prop::sample::select(vec![Side::Client, Side::Server]),
        swaps in prop::collection::vec(any::<Index>(), 0..6),
        repeats in prop::collection::vec(any::<Index>(), 0..4),
    ) {
        let (written, said) = talk(&setup, &plans);
        let mut records = travel(side, &written, &sizes).records;
        disorder(&mut records, &swaps, &repeats);
        let bench = listen(&records);
        compare(&bench, &plans, &said)?;
        assert_same(&records);
        prop_assert_eq!(bench.total().opaque, 0);
    }

    #[test]
    fn with_records_lost_or_joined_late_it_says_nothing_else(damaged in damaged()) {
        let (records, said) = damaged;
        never_wrong(&listen(&records), &said)?;
        never_wrong(&listen(&redacted(&records)), &said)?;
    }

    #[test]
    #[ignore = "the search for framing weighs what else looks like a frame, which a redacted recording does not show: in one of \
                some thousands it finds its place sooner"]
    fn with_records_lost_or_joined_late_it_replays_to_the_same_when_redacted(damaged in damaged()) {
        assert_same(&damaged.0);
    }
}

/// What two programs said in any segments, of which some are lost, and the first ones were not listened to.
fn damaged() -> impl Strategy<Value = (Vec<Vec<u8>>, Said)> {
    let sizes = prop_oneof![1..40_usize, 1000..3000_usize, Just(16_384_usize)];
    let lost = prop::collection::vec(any::<Index>(), 0..4);
    let first = prop::option::of(any::<Index>());
    let plans = prop::collection::vec(plan(), 1..12);
    (setup(), plans, prop::collection::vec(sizes, 1..6), lost, first).prop_map(
        |(setup, plans, sizes, lost, first)| {
            let (written, said) = talk(&setup, &plans);
            let mut records = travel(Side::Server, &written, &sizes).records;
            for lost in lost {
                records.remove(lost.index(records.len()));
            }
            if let Some(first) = first {
                records.drain(..first.index(records.len()));
            }
            (records, said)
        },
    )
}

fn listen(records: &[Vec<u8>]) -> Bench {
    let mut bench = Bench::new(Config::default());
    records.iter().for_each(|record| bench.wire.record(record, &mut bench.notes));
    bench.finish();
    bench
}
