//! What the fuzz targets share: a pipeline that is watched, connections that a target scripts, and a reader of the bytes
//! that the fuzzer invents.
mod connection;
mod script;
mod watched;

pub use connection::{Connection, End};
pub use script::Script;
pub use watched::{Watched, check_times};
