//! HTTP/2's corners.

use weft_lab::oracle::{Claim, Scenario, port};

use crate::clients::{curl, curl2, h2get, nghttp};

/// Each on connections of its own.
pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("curl, node: 103, trailers, 204", port::NODE_H2, |bench| {
        curl2(bench, &[], port::NODE_H2, &["/early", "/trailers", "/empty", "/none"])
    }),
    Scenario::new("net/http, node: the same on one connection", port::NODE_H2, |bench| {
        let paths = ["/early", "/trailers", "/empty", "/none", "/trailers?again", "/early?again"];
        h2get(bench, &["-requests", "2", "-concurrency", "2"], port::NODE_H2, &paths)
    }),
    Scenario::new("net/http, node: response headers of 25 KB", port::NODE_H2, |bench| {
        h2get(bench, &["-requests", "3"], port::NODE_H2, &["/many-headers", "/x", "/many-headers?b", "/y?z"])
    }),
    Scenario::new("nghttp, node: everything padded", port::NODE_PADDED, |bench| {
        nghttp(bench, &["--padding=255"], port::NODE_PADDED, &["/early", "/trailers", "/none?a", "/x"])
    }),
    Scenario::new("nghttp, node: a push", port::NODE_H2, |bench| {
        nghttp(bench, &[], port::NODE_H2, &["/push"])
    }),
    Scenario::new("nghttp, node: the server takes the header table away", port::NODE_H2, |bench| {
        nghttp(bench, &["--no-push"], port::NODE_H2, &["/x?1", "/small-table", "/x?2"])?;
        h2get(bench, &[], port::NODE_H2, &["/x?3", "/small-table", "/x?4", "/x?5"])?;
        Ok(Claim::requests(7))
    }),
    Scenario::new("curl, node: RST_STREAM within, and before an answer", port::NODE_H2, |bench| {
        curl2(bench, &[], port::NODE_H2, &["/reset", "/x"])?;
        curl2(bench, &[], port::NODE_H2, &["/refused"])?;
        // curl asks up to five times more for what was refused (CONN_MAX_RETRIES).
        Ok(Claim { under_way: 5, ..Claim::requests(3) })
    }),
    Scenario::new("net/http, node: GOAWAY, and what comes after it", port::NODE_H2, |bench| {
        h2get(bench, &[], port::NODE_H2, &["/x", "/goaway", "/y"])
    }),
    Scenario::new("curl, node: the connection breaks", port::NODE_H2, |bench| {
        curl2(bench, &[], port::NODE_H2, &["/break"])
    }),
    Scenario::new("net/http, go: the client cancels", port::GO_H2, |bench| {
        let options = ["-requests", "4", "-concurrency", "4", "-cancel-after", "50ms"];
        h2get(bench, &options, port::GO_H2, &["/slow?ms=5000"])
    }),
    Scenario::new("net/http, go: a slow reader", port::GO_H2, |bench| {
        let options = ["-requests", "2", "-concurrency", "2", "-slow", "100ms"];
        h2get(bench, &options, port::GO_H2, &["/bytes/5000000"])
    }),
    Scenario::new("net/http, go: request headers of 30 KB", port::GO_H2, |bench| {
        h2get(bench, &["-requests", "3", "-header", "30000"], port::GO_H2, &["/stock/a", "/stock/b"])
    }),
    Scenario::new("curl, go: an upgrade from HTTP/1", port::GO_UPGRADE, |bench| {
        curl(bench, &["--http2"], port::GO_UPGRADE, &["/stock/a", "/stock/b?c", "/status/404"])
    }),
    Scenario::new("nghttp, go: an upgrade from HTTP/1", port::GO_UPGRADE, |bench| {
        nghttp(bench, &["--upgrade"], port::GO_UPGRADE, &["/stock/a", "/stock/b?c"])
    }),
];
