//! A small blocking HTTP/1.1 client for the agent's listener: one connection a request.

use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// More than any answer of the agent in a test.
const MAX_BODY: u64 = 1 << 30;
const MAX_HEADER_LINES: usize = 128;

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The value of Content-Type, or nothing.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The body as text; what is no UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as one JSON document.
    ///
    /// # Errors
    /// When it is none, or the status is not 200.
    pub fn json(&self) -> Result<Value> {
        ensure!(self.status == 200, "status {}: {}", self.status, self.text());
        serde_json::from_slice(&self.body).with_context(|| format!("no JSON: {}", self.text()))
    }

    /// The body as newline-delimited JSON.
    ///
    /// # Errors
    /// When a line is none, or the status is not 200.
    pub fn json_lines(&self) -> Result<Vec<Value>> {
        ensure!(self.status == 200, "status {}: {}", self.status, self.text());
        let lines = self.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).context("a line is no JSON")).collect()
    }
}

/// Asks for `target` (path and query) with the given further header lines (`Accept: text/plain`).
///
/// # Errors
/// Without a listener, or when the answer does not end within `limit` of silence or is no HTTP.
pub fn get(address: SocketAddr, target: &str, headers: &[&str], limit: Duration) -> Result<Response> {
    let mut stream = TcpStream::connect_timeout(&address, limit)
        .with_context(|| format!("cannot connect to {address} for GET {target}"))?;
    stream.set_read_timeout(Some(limit))?;
    let mut request = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for header in headers {
        request.push_str(header);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes())?;
    read_response(BufReader::new(stream)).with_context(|| format!("GET http://{address}{target}"))
}

#[derive(Default)]
struct Head {
    status: u16,
    content_type: String,
    length: Option<u64>,
    chunked: bool,
}

fn read_response(mut reader: impl BufRead) -> Result<Response> {
    let head = read_head(&mut reader)?;
    let mut body = Vec::new();
    match head.length {
        _ if head.chunked => read_chunks(&mut reader, &mut body)?,
        Some(length) => {
            ensure!(length <= MAX_BODY, "a body of {length} bytes");
            reader.take(length).read_to_end(&mut body)?;
            ensure!(body.len() as u64 == length, "the body ends after {} of {length} bytes", body.len());
        }
        None => drop(reader.take(MAX_BODY).read_to_end(&mut body)?),
    }
    Ok(Response { status: head.status, content_type: head.content_type, body })
}

fn read_head(reader: &mut impl BufRead) -> Result<Head> {
    let mut head = Head::default();
    let line = read_line(reader)?;
    let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
    head.status = status.with_context(|| format!("no status line: {line:?}"))?;
    for _ in 0..MAX_HEADER_LINES {
        let line = read_line(reader)?;
        let Some((name, value)) = line.split_once(':') else { return Ok(head) };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-type" => value.clone_into(&mut head.content_type),
            "content-length" => head.length = Some(value.parse().context("bad Content-Length")?),
            "transfer-encoding" => head.chunked = value.eq_ignore_ascii_case("chunked"),
            _ => {}
        }
    }
    bail!("more than {MAX_HEADER_LINES} header lines")
}

/// RFC 9112, 7.1.
fn read_chunks(reader: &mut impl BufRead, body: &mut Vec<u8>) -> Result<()> {
    loop {
        let line = read_line(reader)?;
        let size = line.split(';').next().and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok());
        let size = size.with_context(|| format!("bad chunk size {line:?}"))?;
        ensure!(size + body.len() as u64 <= MAX_BODY, "a body of over {MAX_BODY} bytes");
        let read = reader.take(size).read_to_end(body)?;
        ensure!(read as u64 == size, "a chunk ends early");
        ensure!(read_line(reader)?.is_empty(), "trailers, or a chunk without its end");
        if size == 0 {
            return Ok(());
        }
    }
}

fn read_line(reader: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    reader.take(64 << 10).read_line(&mut line)?;
    ensure!(line.ends_with('\n'), "the answer ends inside its header");
    Ok(line.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_of_announced_length() -> Result<()> {
        let answer = read_response(&b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n{\"a\":1}..."[..])?;
        assert_eq!(answer.json()?, serde_json::json!({"a": 1}));
        Ok(())
    }

    #[test]
    fn a_chunked_body_of_lines() -> Result<()> {
        let wire =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n1\n2\r\n2;x=y\r\n2\n\r\n0\r\n\r\n";
        assert_eq!(read_response(&wire[..])?.json_lines()?, [1, 22]);
        Ok(())
    }

    #[test]
    fn an_answer_that_breaks_off_is_an_error() {
        for wire in
            ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n{}", "SSH-2.0-x\r\n\r\n"]
        {
            assert!(read_response(wire.as_bytes()).is_err(), "{wire:?}");
        }
    }

    #[test]
    fn another_status_is_no_json() -> Result<()> {
        let answer = read_response(&b"HTTP/1.1 503 Service Unavailable\r\n\r\n{}"[..])?;
        assert_eq!(answer.status, 503);
        assert!(answer.json().is_err());
        Ok(())
    }
}
