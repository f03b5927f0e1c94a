//! Go processes: which there are, what their binaries say, where the programs listen in them, and what their runtimes count.
//!
//! One thread does it all but for reading binaries, which a second one has processes do. Neither the thread that owns the
//! pipeline nor the one that looks after pods ever waits for them; what finds no room is counted, and found by the next look
//! at all processes.
mod binaries;
mod budget;
mod cache;
mod events;
mod file_id;
pub mod functions;
mod group;
pub mod histogram;
mod listeners;
mod listening;
mod log_limit;
pub mod memory;
mod pending;
mod pods;
mod policy;
mod probe;
mod proc;
mod process;
mod processes;
mod publish;
mod read;
pub mod reader;
mod recent;
mod sighting;
pub mod view;
mod worker;

use std::{
    io,
    sync::{Arc, mpsc::Receiver},
    thread,
    time::Instant,
};

use weft_loader::go::{GoCounts, GoProbes};
use weft_metrics::Registry;

use self::{
    binaries::Binaries,
    events::{Message, Shared},
    functions::Series,
    listeners::Listeners,
    processes::Processes,
    read::Reader,
    worker::Worker,
};
pub use self::{events::GoHandle, functions::Settings, pods::PodNetns};
use crate::agent::PipelineHandle;

/// What the threads are started with.
pub struct Thread {
    handle: GoHandle,
    messages: Receiver<Message>,
    shared: Arc<Shared>,
}

/// A handle for the others, and what [`Thread::start`] needs: until then, and where it is never called, nothing is known.
pub fn prepare() -> (GoHandle, Thread) {
    let (handle, messages, shared) = GoHandle::new();
    (handle.clone(), Thread { handle, messages, shared })
}

impl Thread {
    /// Starts the threads. They end with the agent.
    ///
    /// # Errors
    /// When they cannot be started.
    pub fn start(
        self,
        settings: Settings,
        (loader, counts): (GoProbes, GoCounts),
        pipeline: PipelineHandle,
        registry: Arc<Registry>,
    ) -> io::Result<()> {
        let Self { handle, messages, shared } = self;
        shared.show_counts(counts);
        let binaries = Binaries::new(Reader::start(move |read| handle.read(read))?, Instant::now());
        let run = move || {
            let listeners = Listeners::start(loader, settings, Series::new(registry));
            Worker::new(messages, shared, Processes::new(listeners, binaries, pipeline, Instant::now()))
                .run();
        };
        thread::Builder::new().name("weft-go".into()).spawn(run).map(drop)
    }
}
