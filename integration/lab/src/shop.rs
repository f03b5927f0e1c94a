//! The topology that the demo and most tests use: a client asks gateway, gateway asks orders, orders asks inventory,
//! each in a pod of its own behind the real CNI chain, with weft-cni in it and an agent on the host.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::load::{self, Load, LoadReport, RunningLoad};
use crate::tools::RustBinaries;
use crate::{Agent, Lab, LabOptions, Pod, Service, WeftCni};

/// The namespace of its pods.
pub const NAMESPACE: &str = "shop";

/// The pods that serve, from the front to the back.
pub const SERVERS: [&str; 3] = ["gateway", "orders", "inventory"];

/// Four pods, three services, and the agent.
#[derive(Debug)]
pub struct Shop {
    /// Sends the load.
    pub client: Pod,
    /// `GET /checkout/{id}`.
    pub gateway: Pod,
    /// `GET /orders/{id}`.
    pub orders: Pod,
    /// `GET /stock/{id}`.
    pub inventory: Pod,
    /// The services' processes.
    pub services: Vec<Service>,
    /// The agent.
    pub agent: Agent,
}

impl Shop {
    /// Starts the agent, then the pods, then the services: the usual order on a node.
    ///
    /// # Errors
    /// When one of them does not start.
    pub fn open(binaries: &RustBinaries, config: Value) -> Result<Self> {
        let lab = Lab::new(Self::lab_options(binaries))?;
        let agent = Agent::start(&lab, &binaries.weft, config)?;
        Self::with_agent(&lab, agent)
    }

    /// The same with an agent that may have been prepared and not started: pods that are older than it.
    ///
    /// # Errors
    /// When a pod or a service does not start.
    pub fn with_agent(lab: &Lab, agent: Agent) -> Result<Self> {
        let pod = |name| Pod::create(lab, NAMESPACE, name);
        let (client, gateway, orders, inventory) =
            (pod("client")?, pod("gateway")?, pod("orders")?, pod("inventory")?);
        let services = vec![
            Service::inventory(&inventory)?,
            Service::orders(&orders, inventory.endpoint())?,
            Service::gateway(&gateway, orders.endpoint())?,
        ];
        Ok(Self { client, gateway, orders, inventory, services, agent })
    }

    /// A lab whose chain ends with weft-cni.
    pub fn lab_options(binaries: &RustBinaries) -> LabOptions {
        let weft_cni = WeftCni { binary: binaries.weft_cni.clone(), ..WeftCni::default() };
        LabOptions { weft_cni: Some(weft_cni), ..LabOptions::default() }
    }

    /// GET requests to the gateway, each of which makes two more.
    pub fn load(&self) -> Load {
        Load::get(self.gateway.url("/checkout/{id}"))
    }

    /// Runs a load from the client's pod to its end.
    ///
    /// # Errors
    /// When the generator fails as a program.
    pub fn run(&self, load: &Load) -> Result<LoadReport> {
        load::run(&self.client, load)
    }

    /// Starts a load from the client's pod.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(&self, load: &Load) -> Result<RunningLoad> {
        load::start(&self.client, load).context("the load generator does not start")
    }
}
