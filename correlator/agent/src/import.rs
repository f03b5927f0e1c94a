//! `weft import-pcap`: somebody else's capture as a recording.
use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use ipnetwork::IpNetwork;
use weft_core::{Input, recording as format};
use weft_pcap::{Importer, Skipped, Step, Summary};

use crate::{config::Config, feed::Feed, output::complaint, recording, redact};

/// Bytes of the recording that are written at once.
const BLOCK: usize = 256 * 1024;

/// Options of `weft import-pcap`.
#[derive(Args, Debug)]
#[command(after_long_help = NOTES)]
pub struct Options {
    /// A capture: pcap or pcapng, of any byte order and resolution of time.
    file: PathBuf,
    /// The recording to write; readable by its owner alone. An existing file is not overwritten.
    #[arg(short, long, value_name = "FILE.weftrec")]
    output: PathBuf,
    /// The pods' address or network; may be given several times. Packets that neither come from nor go to one are left out.
    /// Without it the pod is the server of each connection: the end that the SYN was sent to; of a connection without a
    /// SYN in the capture the end that other connections' SYNs were sent to, else the end with the lower port.
    #[arg(long, value_name = "ADDRESS[/PREFIX]")]
    local: Vec<IpNetwork>,
    /// Mask what the redaction list of the configuration names, bodies, and what weft does not understand: the recording still
    /// replays to the same exchanges.
    #[arg(long)]
    redact: bool,
    /// The agent's configuration: what of it concerns the pipeline (`redact`, `identity.networks`, `capture.max_header_bytes`) goes
    /// into the recording, and is in force when it is replayed.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

const NOTES: &str = "\
Interfaces: each one of a pcapng file, and each one that a Linux cooked capture of version 2 names (`tcpdump -i any` writes \
these), is a vantage of its own: a packet that passed two of them is two exchanges with one exchange_id. A Linux cooked \
capture of version 1 does not name them: the copies count as duplicates.

Link types: Ethernet with or without VLAN tags, Linux cooked 1 and 2, raw IP, loopback.

Packets that the capture cut (snaplen) count with their length on the wire. Fragments are counted, and not put together.";

/// Writes the recording, and says on stderr what is in it.
///
/// # Errors
/// When the capture cannot be read, or not to its end; when the recording cannot be written.
pub fn run(options: &Options, config: &Config) -> Result<()> {
    let path = options.file.display();
    let input = File::open(&options.file).with_context(|| format!("{path}: cannot read"))?;
    let mut output = Output::create(&options.output, options.redact)?;
    let config = weft_core::Config::clone(&config.core());
    let mut importer = Importer::new(weft_pcap::Options { local: options.local.clone(), config });
    let whole = import(&mut Feed::new(input), &mut importer, &mut output);
    if output.failed {
        recording::remove_empty(&options.output, &output.file);
        return whole;
    }
    let summary = importer.summary();
    if whole.is_err() && summary.segments == 0 {
        output.remove();
        return whole.with_context(|| format!("{path}: nothing was imported"));
    }
    importer.finish(&mut |input| output.input(&input));
    output.finish().inspect_err(|_| recording::remove_empty(&options.output, &output.file))?;
    match whole.and_then(|()| all_links_known(&summary)) {
        Ok(()) => summarise(&summary, options),
        Err(error) => bail!("{path}: {error:#}; {}", kept(&summary, options)),
    }
    Ok(())
}

/// # Errors
/// When packets were left out because nobody knows their interface's link type.
fn all_links_known(summary: &Summary) -> Result<()> {
    match summary.unknown_link_type {
        Some(link_type) => bail!("link type {link_type} is not known"),
        None => Ok(()),
    }
}

fn import(feed: &mut Feed, importer: &mut Importer, output: &mut Output) -> Result<()> {
    loop {
        match importer.advance(feed.window(), &mut |input| output.input(&input))? {
            Step::Took(bytes) => feed.used(bytes),
            Step::Needs(bytes) => {
                if !feed.fill(bytes).context("cannot read on")? {
                    return end(feed.window().len(), importer);
                }
            }
        }
        output.write()?;
    }
}

/// The file has no more bytes.
fn end(left: usize, importer: &Importer) -> Result<()> {
    match (left, importer.offset()) {
        (0, 0) => bail!("the file is empty"),
        (0, _) => Ok(()),
        (left, offset) => {
            bail!(
                "the capture ends within a packet, at byte {}: its writer was stopped",
                offset + left as u64
            )
        }
    }
}

fn summarise(summary: &Summary, options: &Options) {
    complaint(&imported(summary, options));
    for (reason, count) in left_out(summary) {
        complaint(&format!("{count} packets left out: {}", reason.text()));
    }
    if summary.back_in_time > 0 {
        complaint(&format!(
            "{} packets are more than a second older than one before them: what was under way then may be missing",
            summary.back_in_time
        ));
    }
}

/// Of a capture that could not be read to its end, or not all of it: the second half of the one sentence.
fn kept(summary: &Summary, options: &Options) -> String {
    let left_out: Vec<_> =
        left_out(summary).map(|(reason, count)| format!("{count} ({})", reason.text())).collect();
    let left_out = match left_out.is_empty() {
        true => String::new(),
        false => format!(", without {} that were left out", left_out.join(" and ")),
    };
    format!("what could be read is kept: {}{left_out}", imported(summary, options))
}

fn imported(summary: &Summary, options: &Options) -> String {
    let Summary { packets, segments, payload_bytes, uncaptured_bytes, .. } = summary;
    format!(
        "{packets} packets, {segments} TCP segments with {payload_bytes} bytes of payload ({uncaptured_bytes} not captured) in {} \
         ({})",
        options.output.display(),
        recording::holds(options.redact)
    )
}

fn left_out(summary: &Summary) -> impl Iterator<Item = (Skipped, u64)> {
    let skipped = Skipped::ALL.map(|reason| (reason, summary.skipped(reason)));
    skipped.into_iter().filter(|(_, count)| *count > 0)
}

/// The recording in the course of being written.
struct Output {
    file: File,
    /// Where it is written first, when it is to be redacted.
    raw: Option<File>,
    path: PathBuf,
    block: Vec<u8>,
    /// It could not be written.
    failed: bool,
}

impl Output {
    fn create(path: &Path, redact: bool) -> Result<Self> {
        let mut block = Vec::with_capacity(2 * BLOCK);
        format::encode_header(&mut block);
        let file = recording::create(path)?;
        let raw = if redact { Some(redact::unnamed(path)?) } else { None };
        Ok(Self { file, raw, path: path.to_owned(), block, failed: false })
    }

    fn input(&mut self, input: &Input<'_>) {
        // Fails for an input that is larger than a frame may be: the importer makes none.
        let _ = format::encode(input, &mut self.block);
    }

    /// Writes what there is, once it is worth it.
    fn write(&mut self) -> Result<()> {
        if self.block.len() < BLOCK { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<()> {
        let written = self.raw.as_mut().unwrap_or(&mut self.file).write_all(&self.block);
        self.block.clear();
        self.failed = written.is_err();
        written.with_context(|| {
            format!(
                "{}: cannot write on (is the disk full?); what is in it, if anything, can be replayed",
                self.path.display()
            )
        })
    }

    fn finish(&mut self) -> Result<()> {
        self.flush()?;
        match &self.raw {
            Some(raw) => redact::redact(raw, &mut self.file)
                .with_context(|| format!("{}: not complete", self.path.display())),
            None => Ok(()),
        }
    }

    /// Nothing is in it, and it would be in the way of the next try.
    fn remove(&self) {
        let _ = fs::remove_file(&self.path);
    }
}
