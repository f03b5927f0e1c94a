//! Pods without a cluster: network namespaces that a real CNI chain connects, real Go services and load in
//! them, the agent beside them, and captures to compare with. The demo and the privileged tests are made of it.
//!
//! Everything is a guard: what a value created on the host, its `Drop` removes, also when a test panics. What
//! even that cannot remove (a lab that was killed) the next lab does. Two labs at once do not disturb each
//! other: names, subnets and folders are a run's own.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use weft_lab::{Lab, LabOptions, Pod, Service, load::{self, Load}};
//! let lab = Lab::new(LabOptions::default())?;
//! let pod = Pod::create(&lab, "shop", "inventory")?;
//! let client = Pod::create(&lab, "shop", "client")?;
//! let _inventory = Service::inventory(&pod)?;
//! let report = load::run(&client, &Load::get(pod.url("/stock/{id}")).rate(100).seconds(2))?;
//! assert_eq!(report.sent, report.ok);
//! # Ok(()) }
//! ```

pub mod account;
pub mod agent;
pub mod apt;
pub mod capture;
mod cni_cache;
mod config_map;
mod conflist;
pub mod delayed;
pub mod disorder;
pub mod grpc;
pub mod http;
pub mod interrupt;
pub mod jaeger;
mod lab;
mod link;
pub mod load;
pub mod netns;
mod nfqueue;
pub mod observed;
pub mod odd;
pub mod oracle;
pub mod otelcol;
pub mod pair;
pub mod pcap;
pub mod phases;
pub mod plugin;
pub mod pod;
pub mod process;
pub mod prometheus;
mod registry;
pub mod resent;
pub mod rules;
pub mod service;
pub mod shop;
pub mod site;
pub mod storm;
mod subnet;
pub mod tools;
pub mod topology;
mod traces;
pub mod transfer;
pub mod vm;
pub mod wire_times;

pub use agent::Agent;
pub use capture::Capture;
pub use config_map::ConfigMap;
pub use conflist::WeftCni;
pub use disorder::Disorder;
pub use lab::{Lab, LabOptions};
pub use netns::NetNs;
pub use observed::Observed;
pub use pair::Pair;
pub use pod::Pod;
pub use process::Process;
pub use service::Service;
pub use shop::Shop;
pub use site::Site;
pub use traces::Traces;
