//! Stage 3, HTTP/1 (RFC 9112): heads, bodies, and what one direction is in the middle of.
mod body;
mod head;
mod reader;

pub(super) use body::{Body, Reached};
pub(super) use head::{Framing, RequestHead, ResponseHead, request, response};
pub(super) use reader::{HeadStep, Reader, State};
