//! Any segmentation, order and duplication of the same streams gives the same exchanges.
use proptest::prelude::*;

use super::{Bench, Talk, response, run};
use crate::Side;

/// One exchange of a conversation: how large the bodies are, how they are framed, and how the segments travel.
#[derive(Clone, Debug)]
struct Plan {
    request_body: usize,
    response_body: usize,
    chunked: bool,
    cuts: Vec<usize>,
    /// Pairs of segments to swap, by index modulo their number.
    swaps: Vec<(usize, usize)>,
    /// Segments that come twice.
    repeats: Vec<usize>,
    read: bool,
}

fn plan() -> impl Strategy<Value = Plan> {
    let cuts = prop::collection::vec(1..60_usize, 1..6);
    let swaps = prop::collection::vec((0..30_usize, 0..30_usize), 0..6);
    let repeats = prop::collection::vec(0..30_usize, 0..4);
    (0..300_usize, 0..300_usize, any::<bool>(), cuts, swaps, repeats, any::<bool>()).prop_map(
        |(request_body, response_body, chunked, cuts, swaps, repeats, read)| Plan {
            request_body,
            response_body,
            chunked,
            cuts,
            swaps,
            repeats,
            read,
        },
    )
}

fn request(index: usize, plan: &Plan) -> Vec<u8> {
    let body = "b".repeat(plan.request_body);
    if plan.chunked {
        let chunk = if body.is_empty() { String::new() } else { format!("{:x}\r\n{body}\r\n", body.len()) };
        return format!("POST /{index} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n")
            .into_bytes();
    }
    format!("POST /{index} HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Sends a message as the plan says: cut, then reordered and doubled on its way to the vantage.
fn travel(talk: &mut Talk, plan: &Plan, bytes: &[u8], mut send: impl FnMut(&mut Talk, &[u8])) {
    let first = talk.records.len();
    let mut rest = bytes;
    for cut in plan.cuts.iter().cycle() {
        let (part, behind) = rest.split_at((*cut).min(rest.len()));
        send(talk, part);
        rest = behind;
        if rest.is_empty() {
            break;
        }
    }
    let Some(segments) = talk.records.get_mut(first..) else { return };
    let count = segments.len();
    for (left, right) in &plan.swaps {
        segments.swap(left % count, right % count);
    }
    for repeat in &plan.repeats {
        let again = talk.records[first + repeat % count].clone();
        talk.records.push(again);
    }
}

fn converse(side: Side, seqs: [u32; 2], plans: &[Plan]) -> Bench {
    let mut talk = Talk::with_seqs(side, seqs);
    for (index, plan) in plans.iter().enumerate() {
        travel(&mut talk, plan, &request(index, plan), |talk, part| {
            talk.client(part);
        });
        if plan.read {
            talk.pod_read(plan.request_body as u32 + 1);
        }
        travel(&mut talk, plan, &response(200, &"r".repeat(plan.response_body)), |talk, part| {
            talk.server(part);
        });
    }
    talk.client_fin().server_fin();
    run(&talk.records)
}

proptest! {
    #[test]
    fn the_way_of_travelling_changes_nothing(
        plans in prop::collection::vec(plan(), 1..5),
        seqs in (any::<u32>(), any::<u32>()),
        client in any::<bool>(),
    ) {
        let side = if client { Side::Client } else { Side::Server };
        let bench = converse(side, [seqs.0, seqs.1], &plans);
        let exchanges = &bench.notes.exchanges;
        prop_assert_eq!(exchanges.len(), plans.len());
        for (index, (joined, plan)) in exchanges.iter().zip(&plans).enumerate() {
            let exchange = &joined.exchange;
            let response = exchange.response.unwrap();
            prop_assert!(exchange.complete);
            prop_assert_eq!(&exchange.path, &format!("/{index}"));
            prop_assert_eq!(exchange.request.bytes as usize, request(index, plan).len());
            prop_assert_eq!(exchange.request.body_bytes as usize, plan.request_body);
            prop_assert_eq!(response.body_bytes as usize, plan.response_body);
        }
        let total = bench.total();
        prop_assert_eq!((total.opaque, total.gap), (0, 0));
    }

    /// With records lost anywhere: no panic, no wrong pair, and every byte in its place.
    #[test]
    fn lost_records_never_give_a_wrong_exchange(
        plans in prop::collection::vec(plan(), 1..8),
        lost in prop::collection::vec(0..200_usize, 0..6),
        side in prop::sample::select(vec![Side::Client, Side::Server]),
    ) {
        let plans: Vec<_> = plans
            .into_iter()
            .enumerate()
            .map(|(index, plan)| Plan { response_body: index * 10, swaps: vec![], repeats: vec![], ..plan })
            .collect();
        let mut talk = Talk::new(side);
        for (index, plan) in plans.iter().enumerate() {
            travel(&mut talk, plan, &request(index, plan), |talk, part| { talk.client(part); });
            let answer = response(200, &"r".repeat(plan.response_body));
            travel(&mut talk, plan, &answer, |talk, part| { talk.server(part); });
        }
        for lost in lost {
            if lost < talk.records.len() {
                talk.records.remove(lost);
            }
        }
        talk.client_fin().server_fin();
        let bench = run(&talk.records);
        for joined in &bench.notes.exchanges {
            let exchange = &joined.exchange;
            let index: usize = exchange.path.trim_start_matches('/').parse().unwrap();
            if exchange.complete {
                prop_assert_eq!(exchange.response.unwrap().body_bytes as usize, index * 10);
            }
        }
    }

    /// Segments of any content whatever.
    #[test]
    fn any_segments_are_survived(
        segments in prop::collection::vec(
            (any::<bool>(), prop::sample::select(vec![
                "GET /a HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "abc", "\r\n", "0\r\n\r\n",
                "POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 101 X\r\n\r\n", "HEAD /c HTTP/1.1\r\n",
                "5\r\nhello\r\n", "\x16\x03\x01", "HTTP/1.1 200 OK\r\n\r\n", "G", "", "HTTP/1.1 100 C\r\n\r\n",
            ]), 0..4_u8, -60..60_i32),
            0..60,
        ),
    ) {
        let mut talk = Talk::new(Side::Server);
        for (client, text, what, shift) in segments {
            match what {
                0 => { talk.next[usize::from(client)] = talk.next[usize::from(client)].wrapping_add_signed(shift); }
                1 if shift > 50 => { talk.server_reset(); }
                1 if shift < -50 => { talk.client_fin(); }
                1 if shift > 40 => { talk.handshake(); }
                _ if text.is_empty() => { talk.pod_read(shift.unsigned_abs()).pod_wrote(3); }
                _ if client => { talk.client(text); }
                _ => { talk.server(text); }
            }
        }
        let mut bench = Bench::new(crate::Config::default());
        bench.records(&talk.records);
        bench.finish();
    }
}
