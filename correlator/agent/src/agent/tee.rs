//! A copy of the pipeline's inputs for `weft record`, over a socket in the state folder: only who may read that
//! folder may read the traffic. The pipeline never waits for it.
use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    sync::mpsc::{Receiver, Sender, channel, error::TrySendError},
};
use weft_core::{Input, KernelCounters, recording};

use super::pipeline::PipelineHandle;

/// Blocks that wait for the reader.
const BLOCKS: usize = 32;
/// How far the next block grows while so many wait; then the recording ends. Where little happens blocks are small, and a disk
/// may take its time.
const BACKLOG_BYTES: usize = 8 << 20;
/// A block is handed over when it is this large, or with the next look at the clock.
const BLOCK_BYTES: usize = 256 * 1024;

/// Where blocks of a recording go.
pub struct Tee {
    blocks: Sender<Vec<u8>>,
}

/// The pipeline's end of a recording.
pub struct TeeWriter {
    tee: Tee,
    block: Vec<u8>,
    /// The kernel's counters when it began: a recording counts from its own beginning.
    base: KernelCounters,
    /// The reader was too slow, or is gone.
    ended: bool,
}

impl TeeWriter {
    /// Begins a recording.
    pub fn new(tee: Tee, base: KernelCounters) -> Self {
        let mut block = Vec::with_capacity(BLOCK_BYTES);
        recording::encode_header(&mut block);
        Self { tee, block, base, ended: false }
    }

    /// Adds an input.
    pub fn input(&mut self, input: &Input<'_>) {
        if self.ended {
            return;
        }
        // Fails for an input that is larger than a frame may be: no record of the ring is.
        let _ = match input {
            Input::KernelCounters(counters) => {
                recording::encode(&Input::KernelCounters(counters.since(&self.base)), &mut self.block)
            }
            input => recording::encode(input, &mut self.block),
        };
        if self.block.len() >= BLOCK_BYTES {
            self.hand_over();
        }
    }

    /// Whether its reader is gone, or was too slow.
    pub fn is_over(&self) -> bool {
        self.ended || self.tee.blocks.is_closed()
    }

    /// Hands over what there is; says whether the recording goes on.
    pub fn flush(&mut self) -> bool {
        if !self.block.is_empty() && !self.ended {
            self.hand_over();
        }
        !self.ended
    }

    fn hand_over(&mut self) {
        match self.tee.blocks.try_reserve() {
            Ok(place) => {
                place.send(std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK_BYTES)));
            }
            Err(TrySendError::Full(())) if self.block.len() < BACKLOG_BYTES => {}
            Err(TrySendError::Full(())) => {
                tracing::warn!("the recording ends: its reader is too slow");
                self.ended = true;
            }
            Err(TrySendError::Closed(())) => self.ended = true,
        }
    }
}

/// The name of the socket in the state folder.
pub const SOCKET: &str = "record";

/// Listens for `weft record`.
///
/// # Errors
/// When the socket cannot be made.
pub fn listen(state_dir: &Path) -> Result<UnixListener> {
    let path = state_dir.join(SOCKET);
    // Left by an agent that was killed; the lock says that none is running.
    let _ = fs::remove_file(&path);
    UnixListener::bind(&path).with_context(|| format!("{}: cannot listen", path.display()))
}

/// Gives every client a recording that begins now.
pub async fn serve(listener: UnixListener, pipeline: PipelineHandle) {
    while let Ok((stream, _)) = listener.accept().await {
        let (blocks, receiver) = channel(BLOCKS);
        let pipeline = pipeline.clone();
        // The channel to the pipeline may be full for a moment: not on a thread of the runtime.
        let _ = tokio::task::spawn_blocking(move || pipeline.record(Tee { blocks })).await;
        tokio::spawn(copy(receiver, stream));
    }
}

/// Until the recording ends, or its reader goes away, which ends it.
async fn copy(mut blocks: Receiver<Vec<u8>>, stream: UnixStream) {
    let (mut reader, mut writer) = stream.into_split();
    let write = async {
        while let Some(block) = blocks.recv().await {
            if writer.write_all(&block).await.is_err() {
                return;
            }
        }
    };
    // It says nothing: what can be read is its end.
    tokio::select! {
        () = write => {}
        _ = reader.read_u8() => {}
    }
}
