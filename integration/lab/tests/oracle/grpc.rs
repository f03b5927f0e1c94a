//! gRPC by grpc-go, straight and through haproxy.

use anyhow::Result;
use weft_lab::grpc;
use weft_lab::oracle::{Bench, Claim, Difference, Explained, Scenario, port};

/// Calls as the options say, and what the client counted of them.
fn calls(bench: &Bench, port: u16, options: &[&str]) -> Result<Claim> {
    let report = grpc::call(&bench.client, &format!("{}:{port}", bench.server.ipv4()), options)?;
    let by_status = report.by_status.iter().map(|(status, count)| Ok((status.parse()?, *count)));
    Ok(Claim {
        messages: Some([report.messages_sent, report.messages_received]),
        grpc_statuses: Some(by_status.collect::<Result<_>>()?),
        ..Claim::requests(report.calls)
    })
}

/// The same where the client ends calls by itself: the server's side of the wire has other statuses, or none.
fn given_up(bench: &Bench, options: &[&str]) -> Result<Claim> {
    Ok(Claim { messages: None, grpc_statuses: None, ..calls(bench, port::GRPC, options)? })
}

/// The server ends the call as well, a moment after the client did.
fn answered_late(difference: &Difference) -> bool {
    difference.exchange.reset.is_some() && difference.weft == "None"
}

/// Each on a connection of its own.
pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("grpc-go: unary, 8 at a time", port::GRPC, |bench| {
        calls(bench, port::GRPC, &["-calls", "200", "-concurrency", "8", "-bytes", "500"])
    }),
    Scenario::new("grpc-go: unary, empty messages", port::GRPC, |bench| {
        calls(bench, port::GRPC, &["-calls", "3", "-bytes", "0"])
    }),
    Scenario::new("grpc-go: unary, large messages both ways", port::GRPC, |bench| {
        calls(bench, port::GRPC, &["-calls", "3", "-concurrency", "3", "-bytes", "200000"])
    }),
    Scenario::new("grpc-go: a stream from the server", port::GRPC, |bench| {
        calls(
            bench,
            port::GRPC,
            &["-kind", "server", "-calls", "6", "-concurrency", "3", "-messages", "50", "-reply", "700"],
        )
    }),
    Scenario::new("grpc-go: a stream from the client", port::GRPC, |bench| {
        calls(
            bench,
            port::GRPC,
            &["-kind", "client", "-calls", "6", "-concurrency", "3", "-messages", "50", "-bytes", "700"],
        )
    }),
    Scenario::new("grpc-go: both stream, turn by turn", port::GRPC, |bench| {
        calls(bench, port::GRPC, &["-kind", "bidi", "-calls", "6", "-concurrency", "3", "-messages", "20"])
    }),
    Scenario::new("grpc-go: errors in trailers alone", port::GRPC, |bench| {
        let plain = ["-calls", "4", "-status", "5"];
        calls(bench, port::GRPC, &plain)
    }),
    Scenario::new("grpc-go: errors behind headers", port::GRPC, |bench| {
        calls(bench, port::GRPC, &["-calls", "4", "-status", "13", "-late"])
    }),
    Scenario::new("grpc-go: a stream that ends with an error", port::GRPC, |bench| {
        calls(
            bench,
            port::GRPC,
            &["-kind", "server", "-calls", "3", "-messages", "5", "-status", "8", "-late"],
        )
    }),
    Scenario::new("grpc-go: metadata of 9 KB each way", port::GRPC, |bench| {
        calls(bench, port::GRPC, &["-calls", "3", "-metadata", "9000"])
    }),
    Scenario::new("grpc-go: a deadline that passes", port::GRPC, |bench| {
        given_up(bench, &["-calls", "3", "-concurrency", "3", "-sleep", "5s", "-deadline", "60ms"])
    })
    .explained(&[Explained::at_most("answer-after-reset", 9, answered_late)]),
    Scenario::new("grpc-go: calls that the client cancels", port::GRPC, |bench| {
        given_up(
            bench,
            &["-kind", "bidi", "-calls", "3", "-concurrency", "3", "-sleep", "5s", "-cancel-after", "60ms"],
        )
    }),
    Scenario::new("grpc-go through haproxy: unary and streams", port::HAPROXY_H2, |bench| {
        let unary = calls(bench, port::HAPROXY_H2, &["-calls", "40", "-concurrency", "4"])?;
        let bidi = calls(bench, port::HAPROXY_H2, &["-kind", "bidi", "-calls", "4", "-messages", "5"])?;
        Ok(unary.and(bidi))
    }),
];
