//! `weft replay`: the pipeline over a recording. Same file, same bytes out, on any machine, without privileges.
use std::{fs, path::PathBuf, sync::Arc};

use anyhow::{Context as _, Result};
use clap::Args;
use weft_abi::{FlowKey, FlowWant};
use weft_core::{
    AttributedExchange, Config, Correlator, Sink,
    recording::{End, Reader},
};

use crate::{
    output::{complaint, line},
    table,
};

/// Options of `weft replay`.
#[derive(Args, Debug)]
pub struct Options {
    /// A file that `weft record` wrote.
    file: PathBuf,
    /// Print every exchange as a line of JSON instead of the table.
    #[arg(long)]
    json: bool,
}

/// Prints what the pipeline makes of the file.
///
/// # Errors
/// When the file cannot be read or is no recording.
pub fn run(options: &Options) -> Result<()> {
    let path = options.file.display();
    let bytes = fs::read(&options.file).with_context(|| format!("{path}: cannot read"))?;
    let mut reader = Reader::new(&bytes).with_context(|| format!("{path}: not a recording"))?;
    let mut correlator = Correlator::new(Arc::new(Config::default()));
    let mut sink = Printer { json: options.json };
    for input in reader.by_ref() {
        correlator.handle(input.with_context(|| format!("{path}: damaged"))?, &mut sink);
    }
    correlator.finish(&mut sink);
    if let Some(End::Truncated { .. }) = reader.end() {
        complaint(&format!(
            "{path}: ends within an input, as when its disk was full; everything before was replayed"
        ));
    }
    if !options.json {
        let pods = serde_json::to_value(correlator.snapshot().pods)?;
        table::print(&serde_json::from_value::<Vec<table::PodRow>>(pods)?, |_, _| None);
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
