//! A pod: a network namespace that went through the CNI chain, by cnitool, which is libcni itself.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::cni_cache;
use crate::lab::random;
use crate::link;
use crate::{Lab, NetNs};

/// A pod. Dropping it runs DEL and removes its namespace.
#[derive(Debug)]
pub struct Pod {
    netns: NetNs,
    namespace: String,
    name: String,
    uid: String,
    result: CniResult,
    add_took: Duration,
    log: String,
    // Last: it goes when the namespace is gone.
    lab: Lab,
}

/// What ADD printed (CNI spec 1.1.0, "ADD Success").
#[derive(Clone, Debug, Default, Deserialize)]
pub struct CniResult {
    /// The version of the format.
    #[serde(rename = "cniVersion")]
    pub cni_version: String,
    /// Interfaces, of the host and of the pod.
    #[serde(default)]
    pub interfaces: Vec<Interface>,
    /// Addresses.
    #[serde(default)]
    pub ips: Vec<Address>,
}

/// An interface in a result.
#[derive(Clone, Debug, Deserialize)]
pub struct Interface {
    /// Its name, in its own namespace.
    pub name: String,
    /// Its MAC address.
    #[serde(default)]
    pub mac: String,
    /// The path of its namespace; empty for the host's.
    #[serde(default)]
    pub sandbox: String,
}

/// An address in a result.
#[derive(Clone, Debug, Deserialize)]
pub struct Address {
    /// Address and prefix length: `10.64.1.2/24`.
    pub address: String,
    /// Index into the interfaces.
    pub interface: Option<usize>,
}

impl Pod {
    /// Creates the namespace and adds it to the lab's network as the pod `namespace/name`.
    ///
    /// # Errors
    /// What the chain said, word for word; what it had done until then is undone.
    pub fn create(lab: &Lab, namespace: &str, name: &str) -> Result<Self> {
        Self::create_as(lab, namespace, name, &uid()?)
    }

    /// The same with the uid that a cluster has given it.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn create_as(lab: &Lab, namespace: &str, name: &str, uid: &str) -> Result<Self> {
        let netns = NetNs::create(&format!("{}-{namespace}-{name}", lab.id()))?;
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        let (uid, result, add_took) = (uid.to_owned(), CniResult::default(), Duration::ZERO);
        let mut pod =
            Self { netns, namespace, name, uid, result, add_took, log: String::new(), lab: lab.clone() };
        let begin = Instant::now();
        let output = pod.cnitool("add")?;
        pod.add_took = begin.elapsed();
        pod.log = String::from_utf8_lossy(&output.stderr).into_owned();
        pod.result = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("cnitool add printed no result: {}", text(&output)))?;
        ensure!(!pod.result.ips.is_empty(), "the chain gave {pod} no address");
        Ok(pod)
    }

    /// Runs CHECK on the chain.
    ///
    /// # Errors
    /// What the chain said.
    pub fn check(&self) -> Result<()> {
        self.cnitool("check").map(drop)
    }

    /// Runs DEL on the chain, as runtimes do more than once: the last time when it is dropped.
    ///
    /// # Errors
    /// What the chain said.
    pub fn delete(&self) -> Result<()> {
        self.cnitool("del").map(drop)
    }

    /// What the plugins wrote to stderr during ADD.
    pub fn log(&self) -> &str {
        &self.log
    }

    /// The lab that it is in.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// Its network namespace.
    pub fn netns(&self) -> &NetNs {
        &self.netns
    }

    /// `K8S_POD_NAME`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `K8S_POD_UID`.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// What ADD printed.
    pub fn result(&self) -> &CniResult {
        &self.result
    }

    /// How long ADD took, cnitool's own start included.
    pub fn add_took(&self) -> Duration {
        self.add_took
    }

    /// Its addresses, in the order of the result.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.result.ips.iter().filter_map(|ip| ip.address.split('/').next()?.parse().ok())
    }

    /// Its IPv4 address; a lab's network has both families.
    pub fn ipv4(&self) -> Ipv4Addr {
        let v4 = |ip| if let IpAddr::V4(v4) = ip { Some(v4) } else { None };
        self.addresses().find_map(v4).unwrap_or(Ipv4Addr::UNSPECIFIED)
    }

    /// Its IPv6 address.
    pub fn ipv6(&self) -> Ipv6Addr {
        let v6 = |ip| if let IpAddr::V6(v6) = ip { Some(v6) } else { None };
        self.addresses().find_map(v6).unwrap_or(Ipv6Addr::UNSPECIFIED)
    }

    /// Its IPv4 address with a service's port ([`crate::service::PORT`]).
    pub fn endpoint(&self) -> SocketAddr {
        SocketAddr::from((self.ipv4(), crate::service::PORT))
    }

    /// `http://IPV4:PORT` and the path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.endpoint())
    }

    /// The name of the host's side of its veth pair.
    pub fn host_veth(&self) -> &str {
        let host = |interface: &&Interface| interface.sandbox.is_empty() && interface.name != self.lab.id();
        self.result.interfaces.iter().find(host).map_or("", |interface| &interface.name)
    }

    /// Lets TCP segments of so many bytes pass its devices and the lab's bridge in one: BIG TCP.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_gso_max_size(&self, bytes: u32) -> Result<()> {
        self.netns.run(|| link::set_gso_max_size("eth0", bytes))??;
        link::set_gso_max_size(self.host_veth(), bytes)?;
        link::set_gso_max_size(self.lab.id(), bytes)
    }

    fn cnitool(&self, verb: &str) -> Result<Output> {
        let mut command = Command::new(&self.lab.binaries().cnitool);
        command.args([verb, self.lab.id()]).arg(self.netns.path());
        command.env("NETCONFPATH", self.lab.net_conf_dir()).env("CNI_PATH", self.lab.cni_path());
        command.env("CNI_ARGS", self.cni_args()?).env_remove("CNI_IFNAME").env_remove("CAP_ARGS");
        let output = cni_cache::within(&self.lab.cni_cache(), || command.output())?;
        let output = output.context("cannot start cnitool")?;
        ensure!(output.status.success(), "cnitool {verb} {self}: {}", text(&output));
        Ok(output)
    }

    /// What a container runtime passes, and as in libcni's callers in no particular order.
    fn cni_args(&self) -> Result<String> {
        let mut args = [
            "IgnoreUnknown=1".to_owned(),
            format!("K8S_POD_NAMESPACE={}", self.namespace),
            format!("K8S_POD_NAME={}", self.name),
            format!("K8S_POD_INFRA_CONTAINER_ID={}", self.netns.name()),
            format!("K8S_POD_UID={}", self.uid),
        ];
        for last in (1..args.len()).rev() {
            args.swap(last, random()? as usize % (last + 1));
        }
        Ok(args.join(";"))
    }
}

/// `namespace/name`, as the API and the metrics name it.
impl fmt::Display for Pod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        if let Err(error) = self.cnitool("del") {
            eprintln!("lab: {error:#}");
        }
    }
}

fn uid() -> Result<String> {
    let [first, second, third, fourth] = [random()?, random()?, random()?, random()?];
    let (a, b) = (second >> 16, second & 0xffff);
    Ok(format!("{first:08x}-{a:04x}-{b:04x}-{:04x}-{:04x}{fourth:08x}", third >> 16, third & 0xffff))
}

/// What a program said; cnitool follows every error with its usage.
fn text(output: &Output) -> String {
    let both = [output.stdout.as_slice(), b" ", output.stderr.as_slice()].concat();
    let both = String::from_utf8_lossy(&both);
    both.split_once("Usage:").map_or(&*both, |(error, _usage)| error).trim().to_owned()
}
