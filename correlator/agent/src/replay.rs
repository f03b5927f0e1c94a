//! `weft replay`: the pipeline over a recording. Same file, same bytes out, on any machine, without privileges.
use std::{path::PathBuf, sync::Arc};

use anyhow::{Context as _, Result};
use clap::Args;
use weft_abi::{FlowKey, FlowWant};
use weft_core::{AttributedExchange, Config, Correlator, Sink};

use crate::{output::line, recording::RecordingFile, table};

/// Options of `weft replay`.
#[derive(Args, Debug)]
pub struct Options {
    /// A file that `weft record` or `weft import-pcap` wrote.
    file: PathBuf,
    /// Print every exchange as a line of JSON instead of the table.
    #[arg(long)]
    json: bool,
}

/// Prints what the pipeline makes of the file.
///
/// # Errors
/// When the file cannot be read, is no recording, or is one only up to some place: what came before is printed all the same.
pub fn run(options: &Options) -> Result<()> {
    let path = options.file.display();
    let mut recording =
        RecordingFile::open(&options.file).with_context(|| format!("{path}: cannot be replayed"))?;
    let mut correlator = Correlator::new(Arc::new(Config::default()));
    let mut sink = Printer { json: options.json };
    let whole = replay(&mut recording, &mut correlator, &mut sink);
    correlator.finish(&mut sink);
    if !options.json {
        let pods = serde_json::to_value(correlator.snapshot().pods)?;
        table::print(&serde_json::from_value::<Vec<table::PodRow>>(pods)?, |_, _| None);
    }
    whole.with_context(|| format!("{path}: everything before this was replayed"))
}

fn replay(recording: &mut RecordingFile, correlator: &mut Correlator, sink: &mut Printer) -> Result<()> {
    while let Some(input) = recording.next()? {
        correlator.handle(input, sink);
    }
    Ok(())
}

struct Printer {
    json: bool,
}

impl Sink for Printer {
    fn exchange(&mut self, exchange: &AttributedExchange) {
        if self.json {
            // A structure of strings and numbers always becomes JSON.
            line(&serde_json::to_string(exchange).unwrap_or_default());
        }
    }

    fn want(&mut self, _flow: FlowKey, _want: Option<FlowWant>) {}
}
