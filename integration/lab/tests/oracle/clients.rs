//! Client programs, and what they say of their own runs.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use weft_lab::load;
use weft_lab::oracle::{Bench, Claim};

/// How long a server may be silent.
const SILENCE: Duration = Duration::from_secs(20);

/// curl asks for each path over as few connections as it can, and says the status of each answer.
pub fn curl(bench: &Bench, options: &[&str], port: u16, paths: &[&str]) -> Result<Claim> {
    curl_urls(bench, options, paths.iter().map(|path| bench.url(port, path)).collect())
}

/// The same over HTTP/2 without TLS, each path on a connection of its own: curl 7.88 cannot use one a second time.
pub fn curl2(bench: &Bench, options: &[&str], port: u16, paths: &[&str]) -> Result<Claim> {
    let options = [&["--http2-prior-knowledge"], options].concat();
    let claims = paths.iter().map(|path| curl(bench, &options, port, &[path]));
    let claims = claims.collect::<Result<Vec<_>>>()?;
    Ok(claims.into_iter().reduce(Claim::and).unwrap_or_default())
}

/// The same for whole URLs.
pub fn curl_urls(bench: &Bench, options: &[&str], urls: Vec<String>) -> Result<Claim> {
    let mut arguments = vec!["--silent", "--max-time", "20", "--write-out", "%{http_code}\n"];
    arguments.extend(options);
    for url in &urls {
        arguments.extend(["--output", "/dev/null", url]);
    }
    let printed = bench.failing_client("curl", &arguments)?;
    let statuses: Vec<u16> = printed.split_whitespace().filter_map(|status| status.parse().ok()).collect();
    ensure!(statuses.len() == urls.len(), "curl printed {printed:?}");
    // 000: there was no answer, or none that curl understood.
    let answered = statuses.iter().copied().filter(|status| *status > 0).collect();
    Ok(Claim { statuses: Some(answered), ..Claim::requests(statuses.len() as u64) })
}

/// wrk for a second, over eight connections, and its count of answers. Requests that were under way are not in it.
pub fn wrk(bench: &Bench, options: &[&str], url: &str) -> Result<Claim> {
    let mut arguments = vec!["--threads", "1", "--duration", "1s", "--connections", "8"];
    arguments.extend(options);
    arguments.push(url);
    let printed = bench.client("wrk", &arguments)?;
    let counted = printed.lines().find_map(|line| line.trim().split_once(" requests in "));
    let requests = counted.with_context(|| printed.clone())?.0.parse().with_context(|| printed.clone())?;
    Ok(Claim { under_way: 8, ..Claim::requests(requests) })
}

/// nghttp asks for all paths at once on one connection, and says what it got, pushed answers too.
pub fn nghttp(bench: &Bench, options: &[&str], port: u16, paths: &[&str]) -> Result<Claim> {
    let urls: Vec<String> = paths.iter().map(|path| bench.url(port, path)).collect();
    let mut arguments = vec!["--null-out", "--stat", "--timeout=20"];
    arguments.extend(options);
    arguments.extend(urls.iter().map(String::as_str));
    let printed = bench.failing_client("nghttp", &arguments)?;
    // id responseEnd requestStart process code size path
    let status = |line: &str| -> Option<u16> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [id, .., code, _size, path] = words[..] else { return None };
        id.parse::<u32>().ok().filter(|_| path.starts_with('/'))?;
        code.parse().ok()
    };
    let statuses: Vec<u16> = printed.lines().filter_map(status).collect();
    ensure!(!statuses.is_empty(), "nghttp printed {printed:?}");
    Ok(Claim::statuses(statuses))
}

/// h2load, and its count of answers.
pub fn h2load(bench: &Bench, options: &[&str], url: &str) -> Result<Claim> {
    let printed = bench.client("h2load", &[options, &[url]].concat())?;
    // requests: 4 total, 4 started, 4 done, 4 succeeded, 0 failed, 0 errored, 0 timeout
    let line = printed.lines().find(|line| line.starts_with("requests: ")).context("no count")?;
    let done = line.split(", ").find_map(|part| part.strip_suffix(" done")).context("no count")?;
    Ok(Claim::requests(done.parse()?))
}

/// net/http of Go asks for the paths in turn over one HTTP/2 connection, and says the status of each answer.
pub fn h2get(bench: &Bench, options: &[&str], port: u16, paths: &[&str]) -> Result<Claim> {
    let urls: Vec<String> = paths.iter().map(|path| bench.url(port, path)).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let report = load::h2get(&bench.client, options, &urls)?;
    let by_status = report["by_status"].as_object().into_iter().flatten();
    let statuses = by_status.map(|(status, count)| -> Result<Vec<u16>> {
        Ok(vec![status.parse()?; usize::try_from(count.as_u64().unwrap_or(0))?])
    });
    let statuses = statuses.collect::<Result<Vec<_>>>()?.concat();
    Ok(Claim { statuses: Some(statuses), ..Claim::requests(report["requests"].as_u64().unwrap_or(0)) })
}

/// Sends bytes as they are, and reads to the connection's end.
pub fn raw(bench: &Bench, port: u16, request: &[u8]) -> Result<Vec<u8>> {
    exchange(bench, port, &[request], false)
}

/// Sends several pieces, each when the one before was answered, and ends the connection after the last answer.
pub fn talk(bench: &Bench, port: u16, pieces: &[&[u8]]) -> Result<Vec<u8>> {
    exchange(bench, port, pieces, true)
}

fn exchange(bench: &Bench, port: u16, pieces: &[&[u8]], leave: bool) -> Result<Vec<u8>> {
    let server = (bench.server.ipv4(), port);
    let talk = || -> Result<Vec<u8>> {
        let mut stream = TcpStream::connect(server)?;
        stream.set_read_timeout(Some(SILENCE))?;
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        for piece in pieces {
            stream.write_all(piece)?;
            let read = stream.read(&mut buffer)?;
            answer.extend(buffer.get(..read).unwrap_or_default());
        }
        if leave {
            stream.shutdown(Shutdown::Write)?;
        }
        // A server that resets the connection has said what it had to say.
        let _ = stream.read_to_end(&mut answer);
        Ok(answer)
    };
    bench.client.netns().run(talk)?
}
