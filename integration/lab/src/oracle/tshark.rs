//! tshark as a library would be: a capture in, exchanges out. tshark dissects messages; which response answers which
//! request is decided here, by the order on an HTTP/1 connection (RFC 9112, 9.3) and by the stream on an HTTP/2 one.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Seen;
use super::tshark_http1::Http1;
use super::tshark_http2::Http2;
use crate::tools;

/// A packet in which tshark found messages.
pub(super) struct Packet<'a> {
    /// When it passed, in ns since the epoch.
    pub(super) time: u64,
    /// tshark's number of the connection: a port that is used again gets another one.
    pub(super) connection: u64,
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    layers: &'a Value,
}

/// Reads a capture: requests and their final responses. What is said to `http2_ports` is HTTP/2 from the first byte.
///
/// # Errors
/// Without tshark, or when it cannot read the file.
pub fn decode(file: &Path, http2_ports: &[u16]) -> Result<Vec<Seen>> {
    let packets = dissect(file, http2_ports)?;
    let (mut http1, mut http2) = (Http1::default(), Http2::default());
    for packet in packets.as_array().context("tshark printed no list of packets")? {
        let packet = packet_of(&packet["_source"]["layers"])?;
        packet.layers("http").for_each(|layer| http1.take(&packet, layer));
        packet.layers("http2").for_each(|layer| http2.take(&packet, layer));
    }
    let mut exchanges = http1.finish(&mut http2);
    exchanges.extend(http2.finish());
    Ok(exchanges)
}

fn dissect(file: &Path, http2_ports: &[u16]) -> Result<Value> {
    let mut command = tshark()?;
    command.arg("-r").arg(file).args(["-n", "-T", "json", "--no-duplicate-keys"]);
    command.args(["-Y", "http || http2", "-J", "frame ip ipv6 tcp http http2"]);
    // By default a segment that was sent again ends what tshark can follow.
    command.args(["-o", "tcp.reassemble_out_of_order:TRUE"]);
    for protocol in of_clients_ports()? {
        command.args(["--disable-protocol", &protocol]);
    }
    for port in http2_ports {
        command.args(["-d", &format!("tcp.port=={port},http2")]);
    }
    let output = command.output().context("cannot start tshark")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "tshark -r {}: {said}", file.display());
    serde_json::from_slice(&output.stdout).with_context(|| format!("tshark printed no JSON: {said}"))
}

fn tshark() -> Result<Command> {
    Ok(Command::new(tools::find_program("tshark").context("no tshark")?))
}

/// The protocols that tshark takes a connection for by its client's port, which is any of the ephemeral ones (`ip_local_port_range`).
fn of_clients_ports() -> Result<BTreeSet<String>> {
    let output = tshark()?.args(["-G", "decodes"]).output().context("cannot start tshark")?;
    let listed = String::from_utf8_lossy(&output.stdout);
    let protocols: BTreeSet<_> = listed.lines().filter_map(of_clients_port).map(str::to_owned).collect();
    ensure!(!protocols.is_empty(), "tshark -G decodes lists no port of clients");
    Ok(protocols)
}

/// Of a line of `tshark -G decodes`: table, port and protocol.
fn of_clients_port(line: &str) -> Option<&str> {
    let [table, port, protocol] = line.split('\t').collect::<Vec<_>>().try_into().ok()?;
    let port: u16 = port.parse().ok()?;
    (table == "tcp.port" && (32_768..=60_999).contains(&port)).then_some(protocol)
}

fn packet_of(layers: &Value) -> Result<Packet<'_>> {
    let end = |side: &str| -> Option<SocketAddr> {
        let address = layers["ip"][format!("ip.{side}")].as_str();
        let address = address.or_else(|| layers["ipv6"][format!("ipv6.{side}")].as_str())?;
        let port = layers["tcp"][format!("tcp.{side}port")].as_str()?;
        Some(SocketAddr::new(address.parse::<IpAddr>().ok()?, port.parse().ok()?))
    };
    let frame = || format!("frame {}", layers["frame"]["frame.number"]);
    Ok(Packet {
        time: time(&layers["frame"]["frame.time_epoch"]).with_context(frame)?,
        connection: number(&layers["tcp"]["tcp.stream"]).with_context(frame)?,
        source: end("src").with_context(frame)?,
        destination: end("dst").with_context(frame)?,
        layers,
    })
}

impl<'a> Packet<'a> {
    /// The layers of one protocol, in their order: several where several messages are in a packet.
    fn layers(&self, protocol: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
        members(&self.layers[protocol])
    }
}

/// A value that is there once, or several times: then tshark makes it a list.
pub(super) fn members(value: &Value) -> impl Iterator<Item = &Value> {
    let list = value.as_array().map(Vec::as_slice);
    let one = if value.is_null() || list.is_some() { None } else { Some(value) };
    list.into_iter().flatten().chain(one)
}

/// Every value of a field below this one, in the order of tshark's tree.
pub(super) fn fields<'a>(value: &'a Value, name: &str) -> Vec<&'a Value> {
    match value {
        Value::Array(list) => list.iter().flat_map(|member| fields(member, name)).collect(),
        Value::Object(object) => {
            let below = |(key, member): (&'a String, &'a Value)| {
                if key == name { members(member).collect() } else { fields(member, name) }
            };
            object.iter().flat_map(below).collect()
        }
        _ => Vec::new(),
    }
}

/// The first value of a field below this one, as text.
pub(super) fn text(value: &Value, name: &str) -> Option<String> {
    fields(value, name).first().and_then(|value| value.as_str()).map(str::to_owned)
}

/// tshark prints numbers as text.
pub(super) fn number(value: &Value) -> Option<u64> {
    value.as_str()?.parse().ok()
}

/// Seconds with nine digits behind the point.
fn time(value: &Value) -> Option<u64> {
    let (seconds, nanoseconds) = value.as_str()?.split_once('.')?;
    let nanoseconds = nanoseconds.parse::<u64>().ok().filter(|_| nanoseconds.len() == 9)?;
    Some(seconds.parse::<u64>().ok()? * 1_000_000_000 + nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_clients_port_is_nobodys() {
        assert_eq!(of_clients_port("tcp.port\t57000\tirc"), Some("irc"));
        for other in ["tcp.port\t80\thttp", "udp.port\t57000\tirc", "tcp.port\t57000", ""] {
            assert_eq!(of_clients_port(other), None, "{other}");
        }
    }

    #[test]
    fn a_field_is_found_wherever_it_is() {
        let layer =
            json!({"GET / HTTP/1.1": {"http.request.method": "GET"}, "x": [{"n": "1"}, {"n": ["2", "3"]}]});
        assert_eq!(text(&layer, "http.request.method").as_deref(), Some("GET"));
        assert_eq!(fields(&layer, "n").into_iter().filter_map(number).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(text(&layer, "http.host"), None);
    }

    #[test]
    fn times_have_nanoseconds() {
        assert_eq!(time(&json!("12.000000345")), Some(12_000_000_345));
        assert_eq!(time(&json!("12.5")), None);
    }
}
