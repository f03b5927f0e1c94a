//! `weft record`: a copy of what the running agent's pipeline takes in.
use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::{agent::tee::SOCKET, output::complaint, recording};

/// Options of `weft record`.
#[derive(Args, Debug)]
pub struct Options {
    /// The file to write; readable by its owner alone.
    file: PathBuf,
    /// How long to record.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86400))]
    seconds: u64,
    /// The agent's state folder.
    #[arg(long, value_name = "FOLDER", default_value = "/run/weft")]
    state_dir: PathBuf,
}

/// Records for the time that was asked for.
///
/// # Errors
/// When no agent is running, the file exists or cannot be written, or the recording ended early.
pub fn run(options: &Options) -> Result<()> {
    let socket = options.state_dir.join(SOCKET);
    let mut stream = UnixStream::connect(&socket).with_context(|| {
        format!(
            "{}: no agent to record from; is `weft agent` running, with this state folder?",
            socket.display()
        )
    })?;
    let mut file = recording::create(&options.file)?;
    let duration = Duration::from_secs(options.seconds);
    let (bytes, ended_early) = copy(&mut stream, &mut file, duration)
        .with_context(|| format!("{}: the recording is not complete", options.file.display()))?;
    if bytes == 0 {
        // Nothing is in it, and it would be in the way of the next try.
        let _ = fs::remove_file(&options.file);
        bail!("the agent gave nothing: it is stopping, or another recording is running");
    }
    complaint(&format!(
        "{bytes} bytes in {} (raw traffic, secrets included: mode 0600)",
        options.file.display()
    ));
    if ended_early {
        bail!("the recording ended early: the agent stopped, or this disk is too slow for the traffic");
    }
    Ok(())
}

/// Copies until the time is over or the agent ends it; gives the bytes, and which of both it was.
fn copy(stream: &mut UnixStream, file: &mut File, duration: Duration) -> io::Result<(u64, bool)> {
    let end = Instant::now() + duration;
    let mut block = vec![0; 256 * 1024];
    let mut bytes = 0;
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut block) {
            Ok(0) => return Ok((bytes, true)),
            Ok(read) => {
                file.write_all(block.get(..read).unwrap_or_default())?;
                bytes += read as u64;
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
    }
    Ok((bytes, false))
}
