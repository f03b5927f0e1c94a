//! Where a program runs: in a pod, or on the host beside the pods, where nothing is traced.

use std::process::{Command, Stdio};

use anyhow::Result;

use crate::{Lab, NetNs, Pod, Process};

/// A pod, or the host's own network namespace.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    lab: &'a Lab,
    netns: Option<&'a NetNs>,
}

impl<'a> From<&'a Pod> for Site<'a> {
    fn from(pod: &'a Pod) -> Self {
        Self { lab: pod.lab(), netns: Some(pod.netns()) }
    }
}

impl<'a> From<&'a Lab> for Site<'a> {
    fn from(lab: &'a Lab) -> Self {
        Self { lab, netns: None }
    }
}

impl Site<'_> {
    /// The lab that it is in.
    pub fn lab(&self) -> &Lab {
        self.lab
    }

    /// A command of the `mesh` binary; its stdout goes nowhere unless the caller says otherwise.
    pub(crate) fn mesh(&self, subcommand: &str) -> Command {
        let mut command = Command::new(&self.lab.binaries().mesh);
        command.arg(subcommand).stdout(Stdio::null());
        command
    }

    /// Starts a program here, as [`Process::start`] does.
    pub(crate) fn start(&self, name: &str, command: &mut Command) -> Result<Process> {
        Process::start(self.lab, self.netns, name, command)
    }
}
