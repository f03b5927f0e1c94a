//! The agent's socket. It learns everything from the pinned maps and the records; a hint only makes it look now.
use std::{io, os::unix::net::UnixDatagram, path::Path};

use weft_loader::state::StateDir;

use crate::log::{Level, Log};

/// Sends one datagram, `<command> <container id>@<interface>` (of GC only the command), and never waits: where no
/// agent listens, or its queue is full, it looks by itself a little later.
pub(crate) fn send(state: &StateDir, text: &str, log: &Log) {
    if let Err(error) = send_to(&state.hint(), text) {
        log.line(Level::Debug, &format!("the agent was not told ({error}); it looks by itself"));
    }
}

fn send_to(agent: &Path, text: &str) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.send_to(text.as_bytes(), agent).map(drop)
}
