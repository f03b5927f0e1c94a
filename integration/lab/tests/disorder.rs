//! Loss and disorder made for real: segments that vanish before, behind and between the vantages, that come twice, late
//! and in another order. What the load generator counted is the truth; captures at both vantages say what was sent
//! again. Needs root, Go, iptables and tcpdump.

use anyhow::Result;
use serde_json::Value;
use weft_lab::disorder::Mess;
use weft_lab::load::Load;
use weft_lab::observed::Loss;
use weft_lab::pair::{self, Pair, SETTLE, Traffic};
use weft_lab::pcap::CapturedSegment;
use weft_lab::rules::{Place, Rule};
use weft_lab::{Capture, Disorder, Observed, delayed, resent};

/// Messages of one segment and of many, with and without a known length.
fn messages(link: &Pair) -> Traffic {
    let get = |path: &str| Load::get(link.server.url(path)).seconds(2);
    let loads = vec![
        get("/stock/{id}").rate(400).connections(16),
        get("/bytes/100000").rate(60).connections(8),
        get("/stream?chunks=20&bytes=3000").rate(40).connections(8),
        Load { method: "POST".into(), body: 50_000, ..get("/echo") }.rate(40).connections(8),
    ];
    let unary = "-rate 200 -duration 2s -connections 4 -concurrency 4";
    let streams = "-kind server -messages 30 -bytes 3000 -rate 30 -duration 2s -concurrency 4";
    Traffic { loads, calls: vec![unary, streams] }
}

/// Loses segments each way at two places.
fn lose_at(link: &Pair, there: Place<'_>, back: Place<'_>, case: &str) -> Result<()> {
    let captures = link.capture()?;
    let begin = Observed::now(&link.agent)?.loss;
    for share in [0.001, 0.01, 0.05] {
        let rules = [Rule::drop(there, share)?, Rule::drop(back, share)?];
        let round = link.counts_exactly(&format!("{case}, {share}"), &messages(link))?;
        let dropped = rules[0].packets()? + rules[1].packets()?;
        let (sent, again) = (round.sent, round.loss.bytes_duplicate);
        eprintln!("{case}, {share}: {sent} requests, {dropped} segments lost, {again} bytes sent again");
        assert!(dropped > 0, "nothing was lost: does the traffic pass this place?");
    }
    agrees_with_the_captures(link, captures, &[], begin)
}

/// The account of bytes sent again, and which exchanges they delayed, as the captures have it. `sent` is what the sockets
/// sent, where that is known.
fn agrees_with_the_captures(
    link: &Pair,
    captures: [Capture; 2],
    sent: &[CapturedSegment],
    begin: Loss,
) -> Result<()> {
    // What is on its way back when the last answer came may be sent again: the captures end when all is quiet.
    let segments = pair::finish(captures)?;
    let loss = Observed::wait(&link.agent, SETTLE, |seen| seen.adds_up())?.loss.since(&begin);
    let exchanges = link.exchanges()?;
    let resent = segments.each_ref().map(|segments| resent::count(segments));
    eprintln!("at the client: {:?}, at the server: {:?}", resent[0], resent[1]);
    assert_eq!(loss.bytes_seen, resent[0].bytes + resent[1].bytes);
    assert_eq!(loss.bytes_duplicate, resent[0].duplicate + resent[1].duplicate);
    pair::ids_agree(&exchanges)?;
    let alone = pair::ids_of_one_end(&exchanges, |row| row["protocol"] == "grpc")?;
    eprintln!("{alone} gRPC calls have an id at one end only");
    for ((exchanges, segments), resent) in exchanges.iter().zip(&segments).zip(resent) {
        let disordered = pair::out_of_time(exchanges);
        assert!(disordered.len() as u64 <= resent.out_of_order, "{disordered:?}");
        let says_so = |row: &&&Value| {
            row["anomalies"].as_array().is_some_and(|odd| odd.contains(&"out_of_order".into()))
        };
        assert_eq!(disordered.iter().find(|row| !says_so(row)), None);
        let delayed = delayed::compare(exchanges, segments, sent)?;
        let wrong: Vec<_> = delayed.iter().filter(|one| !one.agrees()).collect();
        eprintln!(
            "{} exchanges, {} delayed, {} out of order",
            exchanges.len(),
            delayed.len(),
            disordered.len()
        );
        let stories: Vec<&str> = wrong.iter().map(|one| one.story.as_str()).collect();
        assert!(wrong.is_empty(), "{} exchanges: {}", wrong.len(), stories.join("\n"));
    }
    Ok(())
}

#[test]
fn segments_lost_before_the_vantage() -> Result<()> {
    let link = Pair::with_large_ring()?;
    lose_at(&link, Place::Output(&link.client), Place::Output(&link.server), "before")
}

#[test]
fn segments_lost_behind_the_vantage() -> Result<()> {
    let link = Pair::with_large_ring()?;
    lose_at(&link, Place::Input(&link.client), Place::Input(&link.server), "behind")
}

#[test]
fn segments_lost_between_the_vantages() -> Result<()> {
    let link = Pair::with_large_ring()?;
    let (there, back) =
        (Place::Between(&link.client, &link.server), Place::Between(&link.server, &link.client));
    lose_at(&link, there, back, "between")
}

/// Messages of no byte to 2 MiB.
fn bodies(link: &Pair) -> Traffic {
    let get = |path: &str, rate| Load::get(link.server.url(path)).rate(rate).connections(4).seconds(3);
    let post = |bytes, rate| Load { method: "POST".into(), body: bytes, ..get("/echo", rate) };
    let loads = vec![
        get("/bytes/0", 100),
        get("/bytes/2097152", 2),
        get("/stream?chunks=100&bytes=7000", 4),
        get("/status/204", 50),
        post(1, 50),
        post(300_000, 5),
    ];
    let bidi = "-kind bidi -messages 20 -bytes 10000 -rate 10 -duration 3s -concurrency 4";
    Traffic { loads, calls: vec![bidi] }
}

/// Runs the loads over disordered links; sees that it disordered something.
fn disordered(link: &Pair, links: [Disorder<'_>; 2], mess: Mess, case: &str) -> Result<()> {
    let captures = link.capture()?;
    let begin = Observed::now(&link.agent)?.loss;
    let round = link.counts_exactly(case, &bodies(link))?;
    let mut sent = Vec::new();
    for link in links {
        let (done, of_pod) = link.finish()?;
        sent.extend(of_pod);
        eprintln!("{case}: {} requests, {:?}, {done:?}", round.sent, round.loss);
        assert!(done.delayed > 0, "nothing was disordered: does the traffic pass the queue?");
        assert_eq!(done.duplicated > 0, mess.duplicate > 0.0, "{done:?}");
    }
    if mess.duplicate > 0.0 {
        assert!(round.loss.bytes_duplicate > 0, "{case}: nothing that came twice had payload: {round:?}");
    }
    agrees_with_the_captures(link, captures, &sent, begin)
}

#[test]
fn segments_that_come_twice_and_late() -> Result<()> {
    let link = Pair::with_large_ring()?;
    let mess = Mess::usual()?;
    let links = [Disorder::of_output(&link.client, mess)?, Disorder::of_output(&link.server, mess)?];
    disordered(&link, links, mess, "twice and late before the vantage")
}

#[test]
fn segments_that_are_late_behind_the_vantage() -> Result<()> {
    let link = Pair::with_large_ring()?;
    let mess = Mess { duplicate: 0.0, ..Mess::usual()? };
    let links = [Disorder::of_input(&link.client, mess)?, Disorder::of_input(&link.server, mess)?];
    disordered(&link, links, mess, "late behind the vantage")
}
