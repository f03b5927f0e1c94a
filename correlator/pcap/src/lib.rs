//! Other people's captures as the pipeline's inputs: pcap and pcapng in, what the kernel programs would have written out.
//! A function of its bytes: no clock, no I/O, no threads, and nothing in a file makes it hold more than its bounds.
//!
//! One stage, one module, one type out: `file` (Packet), `link` and `layers` (TcpPacket),
//! `vantage` and `direction` (whose packet it is), `record` (the inputs).
#![forbid(unsafe_code)]

mod direction;
mod error;
mod file;
mod generations;
mod importer;
mod layers;
mod link;
mod record;
mod summary;
mod vantage;

pub use error::ImportError;
pub use importer::{Importer, Options, Step};
pub use summary::{Skipped, Summary};
