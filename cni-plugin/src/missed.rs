use std::io;

use weft_loader::LoaderError;

use crate::{
    config::FailurePolicy,
    error::{CniError, causes, chain},
    log::{Level, Log},
};

/// What bpf(2) says where a hash map is full.
const E2BIG: i32 = 7;

/// A part of ADD that could not be done. The others were tried all the same.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Missed {
    #[error("cannot look into CNI_NETNS ({})", chain(.0))]
    Netns(#[source] LoaderError),
    #[error("CNI_NETNS is the host's own netns: whatever runs there is no pod's")]
    HostNetns,
    #[error("no device of the pod's on the host ({})", chain(.0))]
    Interface(#[source] LoaderError),
    #[error("{}", chain(.0))]
    Programs(#[source] LoaderError),
    #[error("the pod cannot be entered into the pinned map ({})", why_not_entered(.0))]
    Vantages(#[source] LoaderError),
    #[error("cannot attach the pinned programs ({})", chain(.0))]
    Attach(#[source] LoaderError),
    #[error("the pod is not in the pinned map")]
    NotEntered,
    #[error("the programs are not on {device}")]
    NotAttached { device: String },
    #[error("the pod's record cannot be written ({})", chain(.0))]
    Record(#[source] LoaderError),
}

impl Missed {
    /// Without it the pod is traced all the same, as somebody whose name is not known yet.
    fn leaves_traced(&self) -> bool {
        matches!(self, Self::Record(_))
    }

    /// What comes of it: not everything comes right by itself.
    fn outlook(missed: &[Self]) -> &'static str {
        let any = |what: fn(&Self) -> bool| missed.iter().any(what);
        if any(|missed| matches!(missed, Self::HostNetns)) {
            "it will not be"
        } else if any(|missed| matches!(missed, Self::Interface(_))) {
            "the agent looks for it again later"
        } else {
            "the agent attaches later"
        }
    }
}

/// All of them, in the order they were met.
pub(crate) fn list(missed: &[Missed]) -> String {
    missed.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// What is not done is one line of the log, or, with failurePolicy Fail, the call's error.
///
/// # Errors
/// With failurePolicy Fail.
pub(crate) fn settle(missed: Vec<Missed>, policy: FailurePolicy, log: &Log) -> Result<(), CniError> {
    match policy {
        FailurePolicy::Ignore => log.line(Level::Warn, &explain(&missed)),
        FailurePolicy::Fail => return Err(CniError::NotTraced(missed)),
    }
    Ok(())
}

fn explain(missed: &[Missed]) -> String {
    if missed.iter().all(Missed::leaves_traced) {
        format!("traced, but {}; the agent learns the pod's name elsewhere", list(missed))
    } else {
        format!("not traced yet: {}; {}", list(missed), Missed::outlook(missed))
    }
}

fn why_not_entered(error: &LoaderError) -> String {
    let mut causes = causes(error);
    let is_full = causes
        .any(|cause| cause.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) == Some(E2BIG));
    if is_full {
        "VANTAGES is full; the agent removes the entries of pods that are gone: check that it runs".into()
    } else {
        chain(error)
    }
}
