//! Who pods and addresses are, by a real API server. Needs root and Go, and a quarter of an hour of a processor to build
//! kube-apiserver the first time: `cargo xtask test --full`.

mod cluster;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use cluster::{Cluster, NOBODY, WEFT};
use serde_json::{Value, json};
use weft_lab::load::{self, Load};
use weft_lab::service::PORT;
use weft_lab::tools::{self, RustBinaries};
use weft_lab::{Agent, Lab, Observed, Pod, Service, Shop};

/// How long something may take that happens by itself. No test fails for being slow before that.
const PATIENCE: Duration = Duration::from_secs(90);

const NODE: &str = "n1";
const NAMESPACE: &str = "shop";
/// The address of the service in front of `inventory`.
const STOCK: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 20);

/// A node of a cluster whose pods are a lab's.
struct Node {
    // First: what it is watching goes last.
    agent: Agent,
    pods: Vec<Pod>,
    cluster: Cluster,
    lab: Lab,
}

impl Node {
    /// The cluster with its roles, a node, and an agent on it that asks as `token` says.
    fn new(token: &str) -> Result<Self> {
        let binaries = tools::rust_binaries()?;
        let (lab, mut agent) = prepared(&binaries)?;
        let cluster = Cluster::start(&lab)?;
        cluster.apply(&tools::workspace().join("install/kubernetes/rbac.yaml"))?;
        cluster.create("/api/v1/namespaces", &json!({"metadata": {"name": NAMESPACE}}))?;
        cluster.create("/api/v1/nodes", &json!({"metadata": {"name": NODE}}))?;
        agent.set_env("KUBECONFIG", &cluster.kubeconfig(token)?);
        agent.restart()?;
        Ok(Self { agent, pods: Vec::new(), cluster, lab })
    }

    /// The pod as its object, which the scheduler has put on the node, and then as the runtime makes it.
    fn pod(&mut self, name: &str, metadata: Value) -> Result<&Pod> {
        let path = format!("/api/v1/namespaces/{NAMESPACE}/pods");
        let mut object = json!({
            "metadata": metadata,
            "spec": {"nodeName": NODE, "containers": [{"name": "c", "image": "lab"}]},
        });
        object["metadata"]["name"] = name.into();
        let created = self.cluster.create(&path, &object)?;
        let uid = created["metadata"]["uid"].as_str().context("a pod without a uid")?;
        let pod = Pod::create_as(&self.lab, NAMESPACE, name, uid)?;
        let ip = pod.ipv4().to_string();
        let status = json!({"status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "hostIP": "192.0.2.7"}});
        self.cluster.patch(&format!("{path}/{name}/status"), &status)?;
        self.pods.push(pod);
        self.pods.last().context("a pod")
    }

    fn of(&self, name: &str) -> Result<&Pod> {
        self.pods.iter().find(|pod| pod.name() == name).with_context(|| format!("no pod {name}"))
    }

    /// Something that no controller is there to write: whose the address is.
    fn slice(&self, name: &str, address: IpAddr, pod: &str) -> Result<()> {
        let target = json!({"kind": "Pod", "namespace": NAMESPACE, "name": pod});
        let object = json!({
            "metadata": {"name": name, "labels": {"kubernetes.io/service-name": "stock"}}, "addressType": "IPv4",
            "endpoints": [{"addresses": [address], "targetRef": target}],
        });
        let path = format!("/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices");
        self.cluster.create(&path, &object).map(drop)
    }

    fn metrics(&self) -> Result<String> {
        Ok(String::from_utf8(self.agent.get("/metrics")?.body)?)
    }

    /// Waits for a line of `/metrics` with all of this in it.
    fn wait_metric(&self, parts: &[&str]) -> Result<()> {
        self.wait(&format!("a metric {parts:?}"), || {
            Ok(self.metrics()?.lines().any(|line| parts.iter().all(|part| line.contains(part))))
        })
    }

    fn wait(&self, what: &str, is: impl FnMut() -> Result<bool>) -> Result<()> {
        let waited = self.agent.wait(PATIENCE, what, is);
        waited.or_else(|error| Err(error.context(self.metrics()?)))
    }

    /// What is known of a pod.
    fn identity(&self, name: &str) -> Result<Value> {
        let pods = self.agent.json("/api/v1/pods")?;
        let found = pods["pods"].as_array().and_then(|pods| pods.iter().find(|pod| pod["name"] == name));
        Ok(found.context("no such pod")?["identity"].clone())
    }

    fn exchanges(&self, pod: &str, side: &str) -> Result<Vec<Value>> {
        let all = self.agent.json_lines(&format!("/api/v1/exchanges?limit=10000&pod={NAMESPACE}/{pod}"))?;
        Ok(all.into_iter().filter(|exchange| exchange["side"] == side).collect())
    }
}

fn prepared(binaries: &RustBinaries) -> Result<(Lab, Agent)> {
    let lab = Lab::new(Shop::lab_options(binaries))?;
    let agent =
        Agent::prepare(&lab, &binaries.weft, json!({"identity": {"node": NODE, "labels": ["tier"]}}))?;
    Ok((lab, agent))
}

fn owned(kind: &str, name: &str, labels: Value) -> Value {
    let owner = json!({"apiVersion": "apps/v1", "kind": kind, "name": name, "controller": true,
        "uid": "00000000-0000-4000-8000-000000000000"});
    json!({"labels": labels, "ownerReferences": [owner]})
}

/// What kube-proxy is for: packets to the service's address reach the pod, and the answer comes from that address. Here the pod has
/// the address for its own, and `client` asks who has it.
fn serve_at(pod: &Pod, client: &Pod, address: Ipv4Addr) -> Result<()> {
    let address = format!("{address}/32");
    for (pod, arguments) in
        [(pod, ["addr", "add", &address, "dev", "eth0"]), (client, ["route", "add", &address, "dev", "eth0"])]
    {
        let status = pod.netns().spawn(Command::new("ip").args(arguments))?.wait()?;
        ensure!(status.success(), "{pod}: ip {arguments:?} failed");
    }
    Ok(())
}

#[test]
#[ignore = "builds kube-apiserver: cargo xtask test --full"]
fn pods_services_and_remote_addresses_have_the_clusters_names() -> Result<()> {
    let mut node = Node::new(WEFT)?;
    let deployed = json!({"pod-template-hash": "6d4cf56db6", "tier": "front", "secret": "x"});
    node.pod("gateway-6d4cf56db6-x7k2p", owned("ReplicaSet", "gateway-6d4cf56db6", deployed))?;
    node.pod("orders-0", owned("StatefulSet", "orders", json!({})))?;
    node.pod("inventory", json!({}))?;
    node.pod("client", json!({}))?;
    let path = format!("/api/v1/namespaces/{NAMESPACE}/services");
    let ports = json!([{"port": PORT}]);
    node.cluster.create(
        &path,
        &json!({"metadata": {"name": "stock"}, "spec": {"clusterIP": STOCK, "ports": ports}}),
    )?;
    node.slice("stock-1", node.lab.gateway().into(), "elsewhere-1")?;
    let (gateway, orders, inventory) =
        (node.of("gateway-6d4cf56db6-x7k2p")?, node.of("orders-0")?, node.of("inventory")?);
    serve_at(inventory, orders, STOCK)?;
    let _services = [
        Service::inventory(inventory)?,
        Service::orders(orders, SocketAddr::from((STOCK, PORT)))?,
        Service::gateway(gateway, orders.endpoint())?,
    ];
    for resource in ["pods", "services", "endpointslices"] {
        node.wait_metric(&[&format!("weft_kubernetes_watch_up{{resource=\"{resource}\"}} 1")])?;
    }
    node.wait("identity of every pod", || {
        Ok(node.pods.iter().all(|pod| node.identity(pod.name()).is_ok_and(|identity| !identity.is_null())))
    })?;
    let load = Load::get(gateway.url("/checkout/{id}")).rate(50).seconds(2).connections(4);
    let sent = load::run(node.of("client")?, &load)?.ok;
    let from_elsewhere = load::run(&node.lab, &load)?.ok;
    let all = sent + from_elsewhere;
    let counted = |seen: &Observed| seen.pod(&gateway.to_string()).server;
    let seen = Observed::wait(&node.agent, PATIENCE, |seen| counted(seen) == all && seen.adds_up())?;
    assert_eq!((counted(&seen), seen.adds_up()), (all, true), "{seen:?}");
    // Who the pods are.
    let identity = node.identity(gateway.name())?;
    let expected = json!({"uid": gateway.uid(), "node": NODE, "service_name": "gateway",
        "workload": {"kind": "Deployment", "name": "gateway"}, "replica_set": "gateway-6d4cf56db6",
        "labels": {"tier": "front"}});
    assert_eq!(identity, expected);
    assert_eq!(node.identity("orders-0")?["workload"]["kind"], "StatefulSet");
    let info = [
        "weft_pod_info{",
        "k8s_workload_name=\"gateway\"",
        "k8s_node_name=\"n1\"",
        "k8s_pod_label_tier=\"front\"",
        gateway.uid(),
    ];
    node.wait_metric(&info)?;
    // Whom they talk to.
    let served = node.exchanges(gateway.name(), "server")?;
    let by = |peer: &str| served.iter().filter(|exchange| exchange["peer_pod"] == peer).count() as u64;
    assert_eq!((by("shop/client"), by("shop/elsewhere-1")), (sent, from_elsewhere));
    assert!(served.iter().all(|exchange| exchange["workload"] == "gateway"), "{:?}", served.first());
    let asked = node.exchanges("orders-0", "client")?;
    assert!(
        asked.len() as u64 == all && asked.iter().all(|exchange| exchange["peer_service"] == "shop/stock"),
        "{asked:?}"
    );
    let own =
        "http_client_request_duration_seconds_count{k8s_namespace_name=\"shop\",k8s_pod_name=\"orders-0\"";
    node.wait_metric(&[own, "destination_service=\"shop/stock\"", &format!("}} {all}")])?;
    node.wait_metric(&["weft_kubernetes_missing_identities_total 0"])
}

#[test]
#[ignore = "builds kube-apiserver: cargo xtask test --full"]
fn an_api_server_that_goes_and_comes_back_is_no_harm() -> Result<()> {
    let mut node = Node::new(WEFT)?;
    let inventory = node.pod("inventory", owned("DaemonSet", "stock", json!({})))?;
    let _service = Service::inventory(inventory)?;
    node.pod("client", json!({}))?;
    node.wait_metric(&["weft_kubernetes_watch_up{resource=\"pods\"} 1"])?;
    node.wait("the workload", || Ok(node.identity("inventory")?["workload"]["name"] == "stock"))?;
    let asks = |node: &Node| -> Result<u64> {
        let load = Load::get(node.of("inventory")?.url("/stock/{id}")).rate(50).seconds(1).connections(2);
        Ok(load::run(node.of("client")?, &load)?.ok)
    };
    let before = asks(&node)?;
    node.cluster.kill_api()?;
    node.wait_metric(&["weft_kubernetes_watch_up{resource=\"pods\"} 0"])?;
    let without = asks(&node)?;
    let seen =
        Observed::wait(&node.agent, PATIENCE, |seen| seen.pod("shop/inventory").server == before + without)?;
    assert_eq!(seen.pod("shop/inventory").server, before + without);
    assert_eq!(node.identity("inventory")?["workload"]["name"], "stock", "what is known stays known");
    assert!(node.agent.stderr().contains("the cluster's API cannot be watched"), "{}", node.agent.stderr());
    node.cluster.start_api()?;
    node.pod("late", owned("Job", "report", json!({})))?;
    node.wait("the new pod's workload", || Ok(node.identity("late")?["workload"]["name"] == "report"))
}

#[test]
#[ignore = "builds kube-apiserver: cargo xtask test --full"]
fn who_may_not_ask_is_told_what_to_do_and_traces_on() -> Result<()> {
    let mut node = Node::new(NOBODY)?;
    let inventory = node.pod("inventory", json!({}))?;
    let _service = Service::inventory(inventory)?;
    node.pod("client", json!({}))?;
    let says = |node: &Node, what: &str| node.wait(what, || Ok(node.agent.stderr().contains(what)));
    says(&node, "install/kubernetes/rbac.yaml")?;
    assert_eq!(doctor(&node, NOBODY)?, ["degraded"; 3]);
    assert_eq!(doctor(&node, WEFT)?, ["ok"; 3]);
    counts(&node)?;
    node.agent.set_env("KUBECONFIG", &node.cluster.kubeconfig("a-token-of-nobodys")?);
    node.agent.restart()?;
    says(&node, "unauthorized (401)")?;
    counts(&node)?;
    // Somebody who takes connections and says nothing.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let file = node.lab.file("cluster", "silent.kubeconfig")?;
    silent_server(&file, silent.local_addr()?)?;
    node.agent.set_env("KUBECONFIG", &file);
    node.agent.restart()?;
    counts(&node)
}

/// What `weft doctor` finds about the API, as this agent would ask it.
fn doctor(node: &Node, token: &str) -> Result<Vec<String>> {
    let mut command = Command::new(tools::rust_binaries()?.weft);
    command.args(["doctor", "--json", "--config"]).arg(node.agent.config());
    let output = command.env("KUBECONFIG", node.cluster.kubeconfig(token)?).output()?;
    let checks: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    let of_cluster =
        checks.iter().filter(|check| check["name"].as_str().is_some_and(|name| name.starts_with("cluster")));
    Ok(of_cluster.filter_map(|check| Some(check["verdict"].as_str()?.to_owned())).collect())
}

fn silent_server(file: &Path, address: SocketAddr) -> Result<()> {
    let server = json!({"server": format!("https://{address}"), "insecure-skip-tls-verify": true});
    cluster::write_kubeconfig(file, &server, "token")
}

/// What is asked is counted at once, and nothing was waited for.
fn counts(node: &Node) -> Result<()> {
    let before = Observed::now(&node.agent)?.pod("shop/inventory").server;
    let load = Load::get(node.of("inventory")?.url("/stock/{id}")).rate(50).seconds(1).connections(2);
    let sent = load::run(node.of("client")?, &load)?.ok;
    let counted = |seen: &Observed| seen.pod("shop/inventory").server - before;
    let seen = Observed::wait(&node.agent, PATIENCE, |seen| counted(seen) == sent)?;
    assert!(sent > 0 && counted(&seen) == sent, "{seen:?}");
    assert!(node.metrics()?.contains("weft_kubernetes_missing_identities_total 0"));
    Ok(())
}
