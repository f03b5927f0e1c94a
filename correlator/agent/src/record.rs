//! `weft record`: a copy of what the running agent's pipeline takes in.
use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
};

use crate::{agent::tee::SOCKET, boundary::Boundary, output::complaint, recording, redact};

/// The longest that a signal waits to be seen where the agent gives nothing.
const PATIENCE: Duration = Duration::from_millis(200);

/// Options of `weft record`.
#[derive(Args, Debug)]
pub struct Options {
    /// The file to write; readable by its owner alone.
    file: PathBuf,
    /// How long to record; Ctrl-C ends it sooner, and what was recorded is kept.
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

/// Why nothing more was copied.
enum End {
    /// The time is over, or somebody stopped it.
    Done,
    /// The agent stopped, or found this program too slow.
    Early,
    Failed(io::Error),
}

/// Records for the time that was asked for.
///
/// # Errors
/// When no agent is running, the file exists or cannot be written, or the recording ended early: what came before is kept.
pub fn run(options: &Options) -> Result<()> {
    let socket = options.state_dir.join(SOCKET);
    let mut stream = UnixStream::connect(&socket).with_context(|| {
        format!(
            "{}: no agent to record from; is `weft agent` running, with this state folder?",
            socket.display()
        )
    })?;
    let stopped = catch_signals()?;
    let mut file = recording::create(&options.file)?;
    let kept = copy_and_cut(&mut stream, &mut file, options, &stopped)
        .inspect_err(|_| recording::remove_empty(&options.file, &file));
    let (bytes, end) = kept?;
    if bytes == 0 {
        // Nothing is in it, and it would be in the way of the next try.
        let _ = fs::remove_file(&options.file);
        return nothing(end, options);
    }
    complaint(&format!("{bytes} bytes in {} ({})", options.file.display(), recording::holds(options.redact)));
    match end {
        End::Done => Ok(()),
        End::Early => {
            bail!("the recording ended early: the agent stopped, or this disk is too slow for the traffic")
        }
        End::Failed(error) => Err(error).with_context(|| format!("{}: not complete", options.file.display())),
    }
}

/// Nothing came, or nothing could be written.
fn nothing(end: End, options: &Options) -> Result<()> {
    match end {
        End::Failed(error) => {
            Err(error).with_context(|| format!("{}: nothing recorded", options.file.display()))
        }
        End::Done | End::Early => {
            bail!("the agent gave nothing: it is stopping, or another recording is running")
        }
    }
}

/// From now on signals that would end the program end the recording: a redacted one is made from what there is by then.
fn catch_signals() -> Result<Arc<AtomicBool>> {
    let stopped = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // The second one ends the program: masking a large recording takes its time.
        flag::register_conditional_shutdown(signal, 1, Arc::clone(&stopped))
            .context("cannot catch signals")?;
        flag::register(signal, Arc::clone(&stopped)).context("cannot catch signals")?;
    }
    Ok(stopped)
}

/// Gives how many bytes are in the recording, and why there are no more.
fn copy_and_cut(
    stream: &mut UnixStream,
    file: &mut File,
    options: &Options,
    stopped: &AtomicBool,
) -> Result<(u64, End)> {
    let path = options.file.display();
    let mut raw = if options.redact { redact::unnamed(&options.file)? } else { file.try_clone()? };
    let (boundary, end) = copy(stream, &mut raw, Duration::from_secs(options.seconds), stopped);
    let bytes = boundary.whole();
    // It was stopped anywhere: what follows the last whole input is of no use.
    raw.set_len(bytes).with_context(|| format!("{path}: cannot cut"))?;
    if options.redact && bytes > 0 {
        redact::redact(&raw, file).with_context(|| format!("{path}: not complete"))?;
    }
    Ok((bytes, end))
}

/// Copies until the time is over, somebody stops it, or the agent ends it; gives where the last whole input ends.
fn copy(
    stream: &mut UnixStream,
    file: &mut File,
    duration: Duration,
    stopped: &AtomicBool,
) -> (Boundary, End) {
    let end = Instant::now() + duration;
    let mut block = vec![0; 256 * 1024];
    let mut boundary = Boundary::default();
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        if stopped.load(Ordering::Relaxed) {
            break;
        }
        match pass(stream, file, &mut block, left.min(PATIENCE)) {
            Ok(None) => {}
            Ok(Some([])) => return (boundary, End::Early),
            Ok(Some(block)) => boundary.pass(block),
            Err(error) => return (boundary, End::Failed(error)),
        }
    }
    (boundary, End::Done)
}

/// One block from the agent to the file; nothing where none came in time, an empty one at the end.
fn pass<'a>(
    stream: &mut UnixStream,
    file: &mut File,
    block: &'a mut [u8],
    patience: Duration,
) -> io::Result<Option<&'a [u8]>> {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    stream.set_read_timeout(Some(patience))?;
    match stream.read(block) {
        Ok(read) => {
            let block = block.get(..read).unwrap_or_default();
            file.write_all(block)?;
            Ok(Some(block))
        }
        Err(error) if matches!(error.kind(), Interrupted | TimedOut | WouldBlock) => Ok(None),
        Err(error) => Err(error),
    }
}
