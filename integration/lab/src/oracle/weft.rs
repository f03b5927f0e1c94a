//! Exchanges as weft prints them.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Seen;

/// Reads lines of `/api/v1/exchanges` or of `weft replay --json`; rows that are no exchange (`tcp`, `tls`) are left out.
pub fn read(lines: &[Value]) -> Result<Vec<Seen>> {
    let exchanges = lines.iter().filter_map(|line| Some((line, protocol(line)?)));
    exchanges.map(|(line, protocol)| seen(line, protocol).with_context(|| line.to_string())).collect()
}

/// The same without the times of live exchanges.
pub fn read_live(lines: &[Value]) -> Result<Vec<Seen>> {
    Ok(read(lines)?.into_iter().map(|seen| Seen { ends: [None; 2], ..seen }).collect())
}

fn protocol(line: &Value) -> Option<&'static str> {
    ["http/1.1", "http/2", "grpc"].into_iter().find(|protocol| line["protocol"] == *protocol)
}

fn seen(line: &Value, protocol: &'static str) -> Result<Seen> {
    let (local, peer) = (address(line, "local")?, address(line, "peer")?);
    let (client, server) = if line["side"] == "client" { (local, peer) } else { (peer, local) };
    let text = |name: &str| line[name].as_str().map(str::to_owned);
    let number = |name: &str| line[name].as_u64().and_then(|number| u32::try_from(number).ok());
    let last_byte = |message: &str| line[message]["last_byte"].as_u64();
    let began = line["request"]["first_byte"].as_u64().context("no first byte")?;
    Ok(Seen {
        protocol,
        method: text("method").unwrap_or_default(),
        path: text("path").unwrap_or_default(),
        authority: text("authority"),
        status: number("status").and_then(|status| u16::try_from(status).ok()),
        grpc_status: number("grpc_status"),
        reset: text("reset"),
        messages: ["request_messages", "response_messages"].map(|name| line["grpc"][name].as_u64()),
        ends: [last_byte("request"), last_byte("response")],
        request_body: line["request"]["body_bytes"].as_u64(),
        response_body: line["response"]["body_bytes"].as_u64(),
        ..Seen::begun(client, server, number("stream_id").unwrap_or(0), began)
    })
}

fn address(line: &Value, name: &str) -> Result<SocketAddr> {
    line[name].as_str().with_context(|| format!("no {name}"))?.parse().context("no address")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_sides_are_told_apart() -> Result<()> {
        let line = |side: &str| {
            json!({"protocol": "http/2", "side": side, "local": "10.0.0.1:80", "peer": "10.0.0.2:4000",
                   "method": "GET", "path": "/a?b", "status": 200, "stream_id": 3,
                   "request": {"first_byte": 7, "body_bytes": 0}, "response": {"body_bytes": 5}})
        };
        let seen = read(&[line("server"), line("client"), json!({"protocol": "tls"})])?;
        assert_eq!(seen.len(), 2);
        assert_eq!((seen[0].server.port(), seen[1].server.port()), (80, 4000));
        assert_eq!((seen[0].stream_id, seen[0].status, seen[0].response_body), (3, Some(200), Some(5)));
        Ok(())
    }
}
