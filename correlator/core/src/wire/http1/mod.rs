//! Stage 3, HTTP/1 (RFC 9112): heads, bodies, and what one direction is in the middle of.
mod body;
mod field;
mod head;
mod lines;
mod long;
mod reader;
mod target;

pub(super) use body::{Body, Chunked, Reached};
pub(super) use field::{hides_framing, is_token};
pub(super) use head::{End, Framing, RequestHead, ResponseHead, reads_request_line, request, response};
pub(super) use reader::{HeadStep, Reader, State};
pub(super) use target::Target;
