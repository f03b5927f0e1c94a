//! HTTP/1's corners.

use anyhow::ensure;
use weft_lab::oracle::{ABSENT, Claim, Difference, Explained, Scenario, port};

use crate::clients::{curl, curl_urls, raw, talk, wrk};
use crate::http1::response_end;

const PIPELINE: &[u8] = b"GET /file-5k HTTP/1.1\r\nHost: a\r\n\r\nGET /none HTTP/1.1\r\nHost: b\r\n\r\n\
    GET /listing/ HTTP/1.1\r\nHost: c\r\n\r\nGET /file-100 HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n";
const PIPELINED_HEAD: &[u8] =
    b"GET /file-5k HTTP/1.1\r\nHost: a\r\n\r\nHEAD /file-5k HTTP/1.1\r\nHost: b\r\n\r\n\
    GET /none HTTP/1.1\r\nHost: c\r\n\r\nGET /file-100 HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n";
const UPGRADE: &[u8] = b"GET /socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Eight requests at a time, each with a path of its own, 400 times a second over all connections.
const LUA: &str = "
local number = 0
function request()
  local requests = {}
  for i = 1, 8 do
    number = number + 1
    requests[i] = wrk.format('GET', i % 3 == 0 and '/none?' .. number or '/file-100?' .. number)
  end
  return table.concat(requests)
end
function delay() return 100 end
";

/// tshark shows a message when it has all of it: one whose end never came is not shown, and of a request that was
/// refused the response is shown alone.
fn request_has_no_end(difference: &Difference) -> bool {
    matches!(difference.field, "method" | "path" | "authority") && difference.weft.len() > 4
}

/// Each on connections of its own.
pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("pipelined, nginx: four in one segment", port::NGINX, |bench| {
        raw(bench, port::NGINX, PIPELINE)?;
        Ok(Claim::statuses(vec![200, 404, 200, 200]))
    }),
    Scenario::new("pipelined, nginx: a HEAD among them", port::NGINX, |bench| {
        raw(bench, port::NGINX, PIPELINED_HEAD)?;
        Ok(Claim::statuses(vec![200, 200, 404, 200]))
    })
    .explained(&[Explained::new("pipelined-head", 3, |difference| difference.field == "status")]),
    Scenario::new("wrk, nginx: eight pipelined at a time", port::NGINX, |bench| {
        let script = bench.lab().file("scripts", "pipeline.lua")?;
        std::fs::write(&script, LUA)?;
        let script = script.display().to_string();
        let claim = wrk(bench, &["--script", &script], &bench.url(port::NGINX, "/"))?;
        Ok(Claim { under_way: 8 * 8, ..claim })
    }),
    Scenario::new("curl, node: 103 before the answer", port::NODE, |bench| {
        curl(bench, &[], port::NODE, &["/early", "/early", "/x"])
    }),
    Scenario::new("curl, node: 100-continue", port::NODE, |bench| {
        let file = bench.lab().dir().join("server-nginx/www/file-300k").display().to_string();
        curl(
            bench,
            &["--header", "Expect: 100-continue", "--upload-file", &file],
            port::NODE,
            &["/put", "/put"],
        )
    }),
    Scenario::new("curl, node: trailers, and chunks with extensions", port::NODE, |bench| {
        curl(bench, &[], port::NODE, &["/trailers", "/trailers", "/extensions"])
    }),
    Scenario::new("curl, node: a body until the connection's end", port::NODE, |bench| {
        curl(bench, &[], port::NODE, &["/until-close", "/until-close"])
    })
    .explained(&[Explained::new("until-close-end", 2, response_end)]),
    Scenario::new("curl, node: an answer while the upload goes on", port::NODE, |bench| {
        let file = bench.lab().dir().join("server-nginx/www/file-300k").display().to_string();
        let upload = ["--header", "Expect:", "--limit-rate", "2M", "--upload-file", &file];
        curl(bench, &upload, port::NODE, &["/refuse"])
    })
    .explained(&[Explained::new("message-without-end", 3, request_has_no_end)]),
    Scenario::new("curl, nginx: 413 to an upload that waits for 100", port::NGINX, |bench| {
        let file = bench.lab().dir().join("server-nginx/www/file-300k").display().to_string();
        curl(bench, &["--header", "Expect: 100-continue", "--upload-file", &file], port::NGINX, &["/small"])
    })
    .explained(&[Explained::new("message-without-end", 3, request_has_no_end)]),
    Scenario::new("curl, node: the connection breaks within and before an answer", port::NODE, |bench| {
        curl(bench, &[], port::NODE, &["/hang-up", "/no-answer"])
    })
    .explained(&[Explained::new("message-without-end", 1, |difference| difference.field == "status")]),
    Scenario::new("curl, node: folded fields, bare line feeds", port::NODE, |bench| {
        curl(bench, &[], port::NODE, &["/folded", "/bare-lf"])
    }),
    Scenario::new("curl, go: heads of 12, 40 and 120 KiB", port::GO, |bench| {
        let one = |bytes: usize| {
            let cookie = format!("Cookie: id={}", "c".repeat(bytes));
            curl(bench, &["--header", &cookie, "--data", "body"], port::GO, &["/echo", "/bytes/10"])
        };
        Ok(one(12 << 10)?.and(one(40 << 10)?).and(one(120 << 10)?))
    }),
    Scenario::new("WebSocket, node: the handshake, then frames", port::NODE, |bench| {
        let frames: &[u8] = &[0x81, 0x83, 1, 2, 3, 4, b'a' ^ 1, b'b' ^ 2, b'c' ^ 3];
        let answer = talk(bench, port::NODE, &[UPGRADE, frames, frames])?;
        ensure!(answer.starts_with(b"HTTP/1.1 101") && answer.ends_with(frames), "{answer:?}");
        Ok(Claim::statuses(vec![101]))
    }),
    Scenario::new("curl, node as a proxy: CONNECT, then HTTP through the tunnel", port::NODE, |bench| {
        let proxy = bench.url(port::NODE, "");
        let url = format!("http://{}:{}/file-5k", bench.backend.ipv4(), port::NGINX);
        curl_urls(bench, &["--proxytunnel", "--proxy", &proxy], vec![url])?;
        Ok(Claim::statuses(vec![200]))
    })
    .explained(&[Explained::new("tunnel", 1, |difference| difference.weft == ABSENT)]),
    Scenario::new("curl through node as a proxy: absolute targets", port::NODE, |bench| {
        let proxy = bench.url(port::NODE, "");
        curl_urls(bench, &["--proxy", &proxy], vec!["http://example.test/a?b=c".to_owned()])
    })
    .explained(&[Explained::new("absolute-target", 1, |difference| difference.field == "path")]),
];
