//! Stage 3 and 4, HTTP/2 (RFC 9113): frames, streams, and the exchanges that they are.
//!
//! `connection` reads both directions' frames: header blocks (`block`), bodies (`data`), all others (`control`,
//! `settings`). `request` and `messages` make exchanges of them, which `streams` holds while they are open. `lost` says what is done
//! where bytes are missing, `search` and `sync` where frames begin, `bulk` and `run` what the program in the kernel reads by itself.
mod block;
mod bulk;
mod connection;
mod control;
mod data;
mod fields;
mod frame;
mod grpc;
mod half;
mod hpack;
mod lost;
mod messages;
mod request;
mod run;
mod search;
mod settings;
mod stream;
mod streams;
mod sync;
mod upgrade;
mod window;

pub(super) use connection::Connection;
pub(super) use frame::{FrameHeader, FrameType};
#[cfg(feature = "fuzzing")]
pub(super) use hpack::{Decoder, Text};
pub(super) use hpack::{Literal, Literals, coded_mask};
pub(super) use sync::{is_joined, is_server_preface};
