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

use crate::{agent::tee::SOCKET, boundary::Boundary, output::complaint, recording, redact};

/// Options of `weft record`.
#[derive(Args, Debug)]
pub struct Options {
    /// The file to write; readable by its owner alone.
    file: PathBuf,
    /// How long to record.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86400))]
    seconds: u64,
    /// Mask what the redaction list of the agent's configuration names, bodies, and what weft does not understand: the recording
    /// still replays to the same exchanges. The raw one is kept in a file without a name until then, in the same folder.
    #[arg(long)]
    redact: bool,
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
    let mut raw = if options.redact { redact::unnamed(&options.file)? } else { file.try_clone()? };
    let (boundary, ended_early) = copy(&mut stream, &mut raw, duration)
        .with_context(|| format!("{}: the recording is not complete", options.file.display()))?;
    let bytes = boundary.whole();
    // It was stopped anywhere: what follows the last whole input is of no use.
    raw.set_len(bytes).with_context(|| format!("{}: cannot cut", options.file.display()))?;
    if bytes == 0 {
        // Nothing is in it, and it would be in the way of the next try.
        let _ = fs::remove_file(&options.file);
        bail!("the agent gave nothing: it is stopping, or another recording is running");
    }
    if options.redact {
        redact::redact(&raw, &mut file)
            .with_context(|| format!("{}: not complete", options.file.display()))?;
    }
    complaint(&format!("{bytes} bytes in {} ({})", options.file.display(), recording::holds(options.redact)));
    if ended_early {
        bail!("the recording ended early: the agent stopped, or this disk is too slow for the traffic");
    }
    Ok(())
}

/// Copies until the time is over or the agent ends it; gives where the last whole input ends, and which of both it was.
fn copy(stream: &mut UnixStream, file: &mut File, duration: Duration) -> io::Result<(Boundary, bool)> {
    let end = Instant::now() + duration;
    let mut block = vec![0; 256 * 1024];
    let mut boundary = Boundary::default();
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut block) {
            Ok(0) => return Ok((boundary, true)),
            Ok(read) => {
                let block = block.get(..read).unwrap_or_default();
                file.write_all(block)?;
                boundary.pass(block);
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
    }
    Ok((boundary, false))
}
