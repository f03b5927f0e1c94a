//! Stage 3, HTTP/2 (RFC 9113).
#[cfg_attr(
    not(test),
    expect(dead_code, unused_imports, reason = "the reader of frames that calls it comes next")
)]
mod hpack;
