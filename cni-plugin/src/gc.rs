//! GC: forgets the attachments of this network that the runtime does not name. Harmless: it undoes only what a
//! record of ours says, does nothing where the runtime names no list at all, and never fails.
use weft_loader::state::{PodRecord, StateDir};

use crate::{
    config::{Attachment, Config},
    error::{CniError, chain},
    hint,
    log::{self, Level, Log},
    pod::Pod,
    release::release,
};

/// Gives what goes to stdout: nothing.
pub(crate) fn run(config: Result<Config, CniError>) -> String {
    match config {
        Ok(config) => collect(&config),
        Err(error) => log::line(Level::Warn, &format!("GC: nothing undone: {error}")),
    }
    String::new()
}

fn collect(config: &Config) {
    let log = Log::new(config.log_level, "GC".into());
    let (Some(network), Some(valid)) = (&config.network, &config.valid_attachments) else {
        log.line(Level::Debug, "no network or no list of valid attachments: nothing undone");
        return;
    };
    let state = StateDir::new(&config.state_dir);
    let records = state.records().map(|(records, _)| records).unwrap_or_else(|error| {
        log.line(Level::Warn, &format!("nothing undone: {}", chain(&error)));
        Vec::new()
    });
    for record in records.iter().filter(|record| is_stale(record, network, valid)) {
        forget(config, record, &log);
    }
    hint::send(&state, "GC", &log);
}

fn is_stale(record: &PodRecord, network: &str, valid: &[Attachment]) -> bool {
    let PodRecord { container_id, interface, network: of, .. } = record;
    of.as_deref() == Some(network)
        && !valid.iter().any(|used| used.container_id == *container_id && used.ifname == *interface)
}

fn forget(config: &Config, record: &PodRecord, log: &Log) {
    let PodRecord { container_id, interface, .. } = record;
    log.line(Level::Info, &format!("container {container_id} ({interface}) is not used any more: forgotten"));
    for failed in release(config, record, &Pod::default()) {
        log.line(Level::Warn, &format!("left to the agent: {failed}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(network: Option<&str>) -> PodRecord {
        PodRecord {
            container_id: "c1".into(),
            interface: "eth0".into(),
            network: network.map(Into::into),
            ..PodRecord::default()
        }
    }

    fn used(container_id: &str, ifname: &str) -> Attachment {
        Attachment { container_id: container_id.into(), ifname: ifname.into() }
    }

    #[test]
    fn only_this_networks_unnamed_attachments_are_stale() {
        assert!(is_stale(&of(Some("net")), "net", &[]));
        assert!(is_stale(&of(Some("net")), "net", &[used("c1", "net1"), used("c2", "eth0")]));
        assert!(!is_stale(&of(Some("net")), "net", &[used("c1", "eth0")]));
        assert!(!is_stale(&of(Some("other")), "net", &[]));
        assert!(!is_stale(&of(None), "net", &[]));
    }
}
