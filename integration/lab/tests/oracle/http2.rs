//! HTTP/2 without TLS.

use weft_lab::oracle::{Bench, Claim, Explained, Scenario, port};

use crate::clients::{curl2, h2get, h2load, nghttp};

/// A file of 300,000 bytes in the lab.
fn upload(bench: &Bench) -> String {
    bench.lab().dir().join("server-nginx/www/file-300k").display().to_string()
}

/// Each on connections of its own.
pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("curl, nginx h2c: one after the other", port::NGINX_H2, |bench| {
        curl2(
            bench,
            &[],
            port::NGINX_H2,
            &["/file-100", "/file-0", "/none?a=b&c=%20d", "/file-300k", "/nothing"],
        )
    }),
    Scenario::new("nghttp, nginx h2c: eight at a time", port::NGINX_H2, |bench| {
        let paths =
            ["/file-5k", "/file-300k", "/none", "/file-0", "/file-300k?b", "/file-100", "/x", "/file-300k?c"];
        nghttp(bench, &["--no-push"], port::NGINX_H2, &paths)
    }),
    Scenario::new("curl, nginx h2c: HEAD and an upload", port::NGINX_H2, |bench| {
        let heads = curl2(bench, &["--head"], port::NGINX_H2, &["/file-5k", "/none"])?;
        Ok(heads.and(curl2(bench, &["--upload-file", &upload(bench)], port::NGINX_H2, &["/upload/b"])?))
    }),
    Scenario::new("h2load, nginx h2c: 4 connections of 32 streams", port::NGINX_H2, |bench| {
        h2load(bench, &["-n", "400", "-c", "4", "-m", "32"], &bench.url(port::NGINX_H2, "/file-5k?q=1"))
    }),
    Scenario::new("h2load, nginx h2c: windows of a few KiB", port::NGINX_H2, |bench| {
        let small = ["-n", "20", "-c", "1", "-m", "4", "-w", "12", "-W", "14"];
        h2load(bench, &small, &bench.url(port::NGINX_H2, "/file-300k"))
    }),
    Scenario::new("h2load, haproxy, nginx: both sides of an HTTP/2 proxy", port::HAPROXY_H2, |bench| {
        h2load(bench, &["-n", "100", "-c", "2", "-m", "8"], &bench.url(port::HAPROXY_H2, "/file-5k"))
    }),
    Scenario::new("h2load, node: many streams", port::NODE_H2, |bench| {
        h2load(bench, &["-n", "300", "-c", "2", "-m", "50"], &bench.url(port::NODE_H2, "/many?x=y"))
    }),
    Scenario::new("h2load, go: uploads", port::GO_H2, |bench| {
        let small = bench.lab().dir().join("server-nginx/www/file-5k").display().to_string();
        h2load(bench, &["-n", "60", "-c", "2", "-m", "10", "-d", &small], &bench.url(port::GO_H2, "/echo"))
    }),
    Scenario::new("nghttp, nginx h2c: priorities, padding, a table that grows", port::NGINX_H2, |bench| {
        let options = ["--no-push", "--padding=200", "--header-table-size=65536", "-p", "37"];
        nghttp(bench, &options, port::NGINX_H2, &["/file-5k", "/none?q", "/file-100"])
    }),
    Scenario::new("nghttp, node: a table that shrinks", port::NODE_H2, |bench| {
        nghttp(bench, &["--no-push", "--header-table-size=128"], port::NODE_H2, &["/x?1", "/none?q", "/x?2"])
    })
    .explained(&[Explained::new("smaller-table", 3, |difference| difference.field == "status")]),
    Scenario::new("nghttp, nginx h2c: a table that grows and shrinks", port::NGINX_H2, |bench| {
        let options = ["--no-push", "--header-table-size=65536", "--header-table-size=128"];
        nghttp(bench, &options, port::NGINX_H2, &["/file-5k", "/none?q", "/file-100"])
    })
    .explained(&[Explained::new("smaller-table", 3, |difference| difference.field == "status")]),
    Scenario::new("nghttp, nginx h2c: three pushes", port::NGINX_H2, |bench| {
        nghttp(bench, &[], port::NGINX_H2, &["/pushing"])
    }),
    Scenario::new("nghttp, nginx h2c: GOAWAY after five", port::NGINX_FEW, |bench| {
        let paths = ["/file-5k", "/file-100", "/none", "/file-0", "/file-300k", "/file-5k?6", "/file-5k?7"];
        nghttp(bench, &["--no-push"], port::NGINX_FEW, &paths)?;
        // All seven are asked for at once; the last two may not be on their way yet when the server has enough.
        Ok(Claim { under_way: 2, ..Claim::requests(5) })
    }),
    Scenario::new("nghttp, node: trailers, and an upload with trailers", port::NODE_H2, |bench| {
        let upload = upload(bench);
        let with_body = ["--data", &upload, "--trailer", "x-end: yes", "--expect-continue"];
        let sent = nghttp(bench, &with_body, port::NODE_H2, &["/put"])?;
        Ok(sent.and(nghttp(bench, &[], port::NODE_H2, &["/trailers"])?))
    }),
    Scenario::new("net/http as client, go: h2c both ways", port::GO_H2, |bench| {
        let options = ["-requests", "30", "-concurrency", "10", "-method", "POST", "-body", "20000"];
        h2get(bench, &options, port::GO_H2, &["/echo"])
    }),
];
