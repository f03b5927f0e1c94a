//! Rules of iptables as guards: packets that are dropped, or handed to user space, in a pod or between pods.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{NetNs, Pod, apt, tools};

/// `CAP_NET_ADMIN`'s own tool; the nf_tables or the legacy one.
const IPTABLES: apt::Program =
    apt::Program { binary: "iptables", package: "iptables", why: "to lose packets between pods" };

/// Where a rule acts on a pod's packets. Its vantage is the host's side of its veth pair.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// What the pod sends, before its vantage.
    Output(&'a Pod),
    /// What the pod receives, behind its vantage.
    Input(&'a Pod),
    /// What goes from one pod to another: behind the sender's vantage, before the receiver's.
    Between(&'a Pod, &'a Pod),
}

/// A rule. Dropping it removes exactly it, unless the namespace went before.
#[derive(Debug)]
pub struct Rule<'a> {
    netns: Option<&'a NetNs>,
    chain: &'static str,
    specification: Vec<String>,
    name: String,
}

impl<'a> Rule<'a> {
    /// Drops this share (0 to 1) of the TCP segments that pass the place. A GSO segment counts as one, and is lost whole.
    /// SYN-ACKs of a pod's own pass: what is dropped there is an error of sending, not a loss, and after one of a SYN-ACK
    /// sent again the kernel gives the connection up (net/ipv4/inet_connection_sock.c, `reqsk_timer_handler`).
    ///
    /// # Errors
    /// When iptables cannot be installed or refuses the rule.
    pub fn drop(place: Place<'a>, share: f64) -> Result<Self> {
        let probability = share.to_string();
        let statistic = ["-m", "statistic", "--mode", "random", "--probability", &probability];
        let but_handshakes = ["!", "--tcp-flags", "SYN,ACK", "SYN,ACK"];
        let which = if matches!(place, Place::Output(_)) { &but_handshakes[..] } else { &[] };
        Self::insert(place, &[which, &statistic].concat(), &["-j", "DROP"])
    }

    /// Hands the TCP segments that pass the place to a queue of NFQUEUE, but for those with `mark`. Without a listener
    /// they go on.
    ///
    /// # Errors
    /// When iptables cannot be installed or refuses the rule.
    pub fn queue(place: Place<'a>, queue: u16, mark: u32) -> Result<Self> {
        let (queue, mark) = (queue.to_string(), mark.to_string());
        let target = ["-j", "NFQUEUE", "--queue-num", &queue, "--queue-bypass"];
        Self::insert(place, &["-m", "mark", "!", "--mark", &mark], &target)
    }

    fn insert(place: Place<'a>, matches: &[&str], target: &[&str]) -> Result<Self> {
        apt::ensure_programs(&[IPTABLES])?;
        let (netns, chain) = match place {
            Place::Output(pod) => (Some(pod.netns()), "OUTPUT"),
            Place::Input(pod) => (Some(pod.netns()), "INPUT"),
            // A bridge's packets pass the host's FORWARD chain (net.bridge.bridge-nf-call-iptables).
            Place::Between(..) => (None, "FORWARD"),
        };
        let mut specification: Vec<String> = vec!["-p".into(), "tcp".into()];
        if let Place::Between(from, to) = place {
            let ends = ["-s".to_owned(), from.ipv4().to_string(), "-d".to_owned(), to.ipv4().to_string()];
            specification.extend(ends);
        }
        let name = format!("weft-lab-{:08x}", crate::lab::random()?);
        let comment = ["-m", "comment", "--comment", &name];
        specification.extend([matches, &comment, target].concat().into_iter().map(str::to_owned));
        let rule = Self { netns, chain, specification, name };
        rule.change("-I")?;
        Ok(rule)
    }

    /// How many packets it matched so far.
    ///
    /// # Errors
    /// When iptables does not list it.
    pub fn packets(&self) -> Result<u64> {
        let list = self.iptables(&["-v", "-x", "-n", "-L", self.chain])?;
        let line = list.lines().find(|line| line.contains(&self.name));
        let first = line.and_then(|line| line.split_ascii_whitespace().next()?.parse().ok());
        first.with_context(|| format!("iptables does not list {} in {}: {list}", self.name, self.chain))
    }

    fn change(&self, what: &str) -> Result<()> {
        let specification: Vec<&str> = self.specification.iter().map(String::as_str).collect();
        self.iptables(&[&[what, self.chain], specification.as_slice()].concat()).map(drop)
    }

    fn iptables(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(tools::find_program("iptables").context("no iptables")?);
        // -w: others change rules, too.
        command.arg("-w").args(arguments);
        let output = match self.netns {
            Some(netns) => netns.run(|| command.output())?,
            None => command.output(),
        };
        let output = output.context("cannot start iptables")?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "iptables {}: {error}", arguments.join(" "));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for Rule<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.change("-D") {
            eprintln!("lab: {error:#}");
        }
    }
}
