//! HTTP/1 as it is spoken every day.

use weft_lab::oracle::{Claim, Difference, Explained, Scenario, port};

use crate::clients::{curl, curl_urls, wrk};

/// tshark takes a request line for one by the methods that it knows: it shows the response alone.
fn method_is_purge(difference: &Difference) -> bool {
    difference.exchange.method == "PURGE" && matches!(difference.field, "method" | "path" | "authority")
}

/// tshark shows a body that ends with the connection when the FIN passes.
pub fn response_end(difference: &Difference) -> bool {
    difference.field == "response_end"
}

/// One connection, one request after the other.
pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("curl, nginx: keep-alive", port::NGINX, |bench| {
        let paths = ["/file-100", "/file-0", "/none?a=b&c=%20d", "/file-5k#fragment", "/moved", "/nothing"];
        curl(bench, &[], port::NGINX, &paths)
    }),
    Scenario::new("curl, nginx: large bodies both ways", port::NGINX, |bench| {
        let file = bench.lab().dir().join("server-nginx/www/file-300k");
        let file = file.display().to_string();
        curl(bench, &["--upload-file", &file], port::NGINX, &["/upload/a"])?;
        curl(bench, &[], port::NGINX, &["/upload/a", "/file-300k"])?;
        Ok(Claim::statuses(vec![201, 200, 200]))
    }),
    Scenario::new("curl, nginx: HEAD", port::NGINX, |bench| {
        curl(bench, &["--head"], port::NGINX, &["/file-5k", "/none", "/file-300k"])
    }),
    Scenario::new("curl, nginx: 304 by date and by tag", port::NGINX, |bench| {
        curl(
            bench,
            &["--time-cond", "Fri, 01 Jan 2038 00:00:00 GMT"],
            port::NGINX,
            &["/file-5k", "/file-300k"],
        )?;
        curl(bench, &["--header", "If-None-Match: *"], port::NGINX, &["/file-5k"])?;
        Ok(Claim::statuses(vec![304; 3]))
    }),
    Scenario::new("curl, nginx: a listing in chunks", port::NGINX, |bench| {
        curl(bench, &[], port::NGINX, &["/listing/", "/listing/", "/file-100"])
    }),
    Scenario::new("curl, nginx: Connection: close", port::NGINX, |bench| {
        curl(bench, &["--header", "Connection: close"], port::NGINX, &["/file-5k", "/listing/"])
    }),
    Scenario::new("curl, nginx: ranges", port::NGINX, |bench| {
        curl(bench, &["--range", "0-9,20-29"], port::NGINX, &["/file-5k", "/file-300k"])
    }),
    Scenario::new("curl, nginx: IPv6", port::NGINX, |bench| {
        let url = format!("http://[{}]:{}/file-5k", bench.server.ipv6(), port::NGINX);
        curl_urls(bench, &[], vec![url.clone(), url])?;
        // They are counted at the address that the other scenarios ask.
        Ok(Claim::requests(0))
    }),
    Scenario::new("curl, python: HTTP/1.1", port::PYTHON, |bench| {
        curl(bench, &[], port::PYTHON, &["/file-5k", "/none", "/", "/file-300k"])
    }),
    Scenario::new("curl, python: HTTP/1.0", port::PYTHON_1_0, |bench| {
        curl(bench, &["--http1.0"], port::PYTHON_1_0, &["/file-5k", "/none", "/"])
    }),
    Scenario::new("curl, go: HTTP/1.0, a body until the connection's end", port::GO, |bench| {
        curl(bench, &["--http1.0"], port::GO, &["/stream?chunks=5&bytes=999", "/bytes/10"])
    })
    .explained(&[Explained::new("until-close-end", 1, response_end)]),
    Scenario::new("curl, go: chunks, statuses, methods", port::GO, |bench| {
        let paths = ["/stream?chunks=20&bytes=3000", "/status/204", "/status/503", "/close", "/stock/ä"];
        let mut statuses = curl(bench, &[], port::GO, &paths)?.statuses.unwrap_or_default();
        for method in ["DELETE", "OPTIONS", "PATCH", "PURGE"] {
            let claim = curl(bench, &["--request", method], port::GO, &["/status/405"])?;
            statuses.extend(claim.statuses.unwrap_or_default());
        }
        Ok(Claim::statuses(statuses))
    })
    .explained(&[Explained::new("method-outside-the-list", 3, method_is_purge)]),
    Scenario::new("curl, go: chunks both ways", port::GO, |bench| {
        let file = bench.lab().dir().join("server-nginx/www/file-300k").display().to_string();
        let chunked = ["--header", "Transfer-Encoding: chunked", "--request", "POST", "--upload-file", &file];
        curl(bench, &chunked, port::GO, &["/echo"])
    }),
    Scenario::new("curl, haproxy, nginx: a proxy's two sides", port::HAPROXY, |bench| {
        curl(bench, &[], port::HAPROXY, &["/file-5k", "/own", "/none", "/denied", "/file-300k", "/listing/"])
    }),
    Scenario::new("wrk, nginx: eight connections", port::NGINX, |bench| {
        let script = bench.lab().file("scripts", "slow.lua")?;
        std::fs::write(&script, "function delay() return 20 end\n")?;
        let script = script.display().to_string();
        wrk(bench, &["--script", &script], &bench.url(port::NGINX, "/file-100"))
    }),
];
