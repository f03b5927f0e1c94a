//! DEL: comes more than once, later ones without a netns. A failing DEL ends the runtime's chain and leaks the veth
//! and the address, so it never fails.
use weft_loader::state::{PodRecord, StateDir};

use crate::{
    args::Args,
    config::Config,
    error::{CniError, chain},
    hint,
    log::{self, Level, Log},
    pod::{self, Pod},
    release::release,
};

/// Gives what goes to stdout: nothing.
pub(crate) fn run(args: Result<Args, CniError>, config: Result<Config, CniError>) -> String {
    match args {
        Ok(args) => delete(&args, config),
        Err(error) => log::line(Level::Warn, &format!("DEL: nothing undone: {error}")),
    }
    String::new()
}

fn delete(args: &Args, config: Result<Config, CniError>) {
    let subject = format!("DEL {}", args.subject());
    let config = config.unwrap_or_else(|error| {
        log::line(Level::Warn, &format!("{subject}: {error}; the default folders hold"));
        Config::default()
    });
    let log = Log::new(config.log_level, subject);
    let state = StateDir::new(&config.state_dir);
    let (record, seen) = find(args, &state, &log);
    for failed in release(&config, &record, &seen) {
        log.line(Level::Warn, &format!("left to the agent: {failed}"));
    }
    hint::send(&state, &format!("DEL {}@{}", args.container_id, args.interface), &log);
}

/// The record as ADD wrote it, or an empty one, and what the netns still shows.
fn find(args: &Args, state: &StateDir, log: &Log) -> (PodRecord, Pod) {
    let read = state.read(&args.container_id, &args.interface).unwrap_or_else(|error| {
        log.line(Level::Warn, &format!("the record is not understood: {}", chain(&error)));
        None
    });
    let seen = look(args, log);
    let seen = if read.is_none() && is_anothers(args, state, &seen) { Pod::default() } else { seen };
    let empty = || PodRecord {
        container_id: args.container_id.clone(),
        interface: args.interface.clone(),
        ..PodRecord::default()
    };
    (read.unwrap_or_else(empty), seen)
}

fn look(args: &Args, log: &Log) -> Pod {
    if args.netns.as_os_str().is_empty() {
        return Pod::default();
    }
    let (seen, missed) = pod::look(&args.netns, &args.interface);
    if let Some(missed) = missed {
        log.line(Level::Debug, &missed.to_string());
    }
    seen
}

/// Paths of netns are used again: without a record of our own, the netns may be a pod's that lives.
fn is_anothers(args: &Args, state: &StateDir, seen: &Pod) -> bool {
    let anothers = |record: &PodRecord| {
        record.netns_cookie == seen.cookie
            && record.interface == args.interface
            && record.container_id != args.container_id
    };
    seen.cookie.is_some() && state.records().is_ok_and(|(records, _)| records.iter().any(anothers))
}
