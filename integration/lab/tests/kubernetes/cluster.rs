//! A cluster of a real API server and its etcd, without kubelets: who a pod is, it is told by hand.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use weft_lab::{Lab, Process, apt, prometheus::free_address, tools};

/// From where services have their addresses: TEST-NET-2 (RFC 5737), which nobody on the host has.
pub const SERVICES: &str = "198.51.100.0/24";

/// It may be the first thing that runs on a cold machine.
const START: Duration = Duration::from_secs(120);

/// Who asks, by token.
const ADMIN: &str = "admin-token";
/// What install/kubernetes/rbac.yaml is about.
pub const WEFT: &str = "weft-token";
/// Somebody without any role.
pub const NOBODY: &str = "nobody-token";

/// etcd and kube-apiserver. Dropping it ends both.
pub struct Cluster {
    lab: Lab,
    dir: PathBuf,
    port: u16,
    api_command: Vec<String>,
    api: Option<Process>,
    _etcd: Process,
}

impl Cluster {
    pub fn start(lab: &Lab) -> Result<Self> {
        let binaries = tools::kubernetes_binaries()?;
        let (port, etcd_port, peers) = (free_port()?, free_port()?, free_port()?);
        let dir = lab.file("cluster", "tokens.csv")?.parent().context("a folder")?.to_owned();
        let etcd = start_etcd(lab, &binaries.join("server"), &dir, etcd_port, peers)?;
        write_credentials(&dir)?;
        let api_command = api_command(&binaries.join("kube-apiserver"), &dir, port, etcd_port);
        let mut cluster = Self { lab: lab.clone(), dir, port, api_command, api: None, _etcd: etcd };
        cluster.start_api()?;
        Ok(cluster)
    }

    pub fn start_api(&mut self) -> Result<()> {
        let (program, arguments) = self.api_command.split_first().context("a command")?;
        let mut command = Command::new(program);
        command.args(arguments).stdout(Stdio::null());
        let mut api = Process::start(&self.lab, None, "kube-apiserver", &mut command)?;
        api.wait_until(START, "to be ready", || self.ask("GET", "/readyz", None).is_ok())?;
        self.api = Some(api);
        Ok(())
    }

    /// As when its machine goes down.
    pub fn kill_api(&mut self) -> Result<()> {
        let mut api = self.api.take().context("it does not run")?;
        api.signal(nix::sys::signal::Signal::SIGKILL)?;
        api.wait(Duration::from_secs(10)).map(drop)
    }

    /// A kubeconfig for whoever has this token.
    pub fn kubeconfig(&self, token: &str) -> Result<PathBuf> {
        let file = self.dir.join(format!("{token}.kubeconfig"));
        let server = format!("https://127.0.0.1:{}", self.port);
        write_kubeconfig(
            &file,
            &json!({"server": server, "certificate-authority": self.certificate()}),
            token,
        )?;
        Ok(file)
    }

    /// Creates what a manifest has, as `kubectl apply -f` does.
    pub fn apply(&self, manifest: &Path) -> Result<()> {
        for document in fs::read_to_string(manifest)?.split("\n---\n") {
            let kind = document.lines().find_map(|line| line.strip_prefix("kind: ")).context("a kind")?;
            let path = match kind {
                "Namespace" => "/api/v1/namespaces",
                "ServiceAccount" => "/api/v1/namespaces/weft-system/serviceaccounts",
                "ClusterRole" => "/apis/rbac.authorization.k8s.io/v1/clusterroles",
                "ClusterRoleBinding" => "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
                other => anyhow::bail!("no place for a {other}"),
            };
            self.ask("POST", path, Some(("application/yaml", document)))?;
        }
        Ok(())
    }

    pub fn create(&self, path: &str, object: &Value) -> Result<Value> {
        self.ask("POST", path, Some(("application/json", &object.to_string())))
    }

    /// Changes a part of what is there.
    pub fn patch(&self, path: &str, part: &Value) -> Result<Value> {
        self.ask("PATCH", path, Some(("application/merge-patch+json", &part.to_string())))
    }

    fn certificate(&self) -> PathBuf {
        self.dir.join("certs/apiserver.crt")
    }

    fn ask(&self, method: &str, path: &str, body: Option<(&str, &str)>) -> Result<Value> {
        let mut curl = Command::new("curl");
        curl.args([
            "--silent",
            "--show-error",
            "--fail-with-body",
            "--max-time",
            "20",
            "--request",
            method,
            "--cacert",
        ]);
        curl.arg(self.certificate()).args(["--header", &format!("Authorization: Bearer {ADMIN}")]);
        curl.arg(format!("https://127.0.0.1:{}{path}", self.port));
        if let Some((kind, _)) = body {
            curl.args(["--header", &format!("Content-Type: {kind}"), "--data-binary", "@-"]);
        }
        let mut curl = curl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        curl.stdin.take().context("no stdin")?.write_all(body.map_or("", |(_, text)| text).as_bytes())?;
        let output = curl.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success(),
            "{method} {path}: {said} {}",
            String::from_utf8_lossy(&output.stderr)
        );
        // `/readyz` says `ok`.
        Ok(serde_json::from_str(&said).unwrap_or_default())
    }
}

/// A kubeconfig with one cluster and one user.
pub fn write_kubeconfig(file: &Path, cluster: &Value, token: &str) -> Result<()> {
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "lab",
        "clusters": [{"name": "lab", "cluster": cluster}],
        "users": [{"name": "lab", "user": {"token": token}}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "lab"}}],
    });
    Ok(fs::write(file, config.to_string())?)
}

fn start_etcd(lab: &Lab, program: &Path, dir: &Path, port: u16, peers: u16) -> Result<Process> {
    let (own, peers) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{peers}"));
    let mut command = Command::new(program);
    command.arg("--data-dir").arg(dir.join("etcd")).args(["--unsafe-no-fsync", "--log-level", "warn"]);
    command.args([
        "--listen-client-urls",
        &own,
        "--advertise-client-urls",
        &own,
        "--listen-peer-urls",
        &peers,
    ]);
    command.args(["--initial-advertise-peer-urls", &peers, "--initial-cluster", &format!("default={peers}")]);
    let mut etcd = Process::start(lab, None, "etcd", command.stdout(Stdio::null()))?;
    etcd.wait_listening(port, START)?;
    Ok(etcd)
}

fn write_credentials(dir: &Path) -> Result<()> {
    apt::ensure_programs(&[apt::OPENSSL, apt::CURL])?;
    let key = dir.join("accounts.key");
    let status = Command::new("openssl")
        .args(["genrsa", "-out"])
        .arg(&key)
        .arg("2048")
        .stderr(Stdio::null())
        .status()?;
    ensure!(status.success(), "openssl makes no key");
    let account = "system:serviceaccount:weft-system:weft";
    let tokens = format!("{ADMIN},admin,1,system:masters\n{WEFT},{account},2\n{NOBODY},nobody,3\n");
    Ok(fs::write(dir.join("tokens.csv"), tokens)?)
}

fn api_command(program: &Path, dir: &Path, port: u16, etcd_port: u16) -> Vec<String> {
    let in_dir = |name: &str| dir.join(name).display().to_string();
    let key = in_dir("accounts.key");
    vec![
        program.display().to_string(),
        format!("--etcd-servers=http://127.0.0.1:{etcd_port}"),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        // It tells nobody where it is.
        "--advertise-address=192.0.2.1".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        format!("--cert-dir={}", in_dir("certs")),
        format!("--token-auth-file={}", in_dir("tokens.csv")),
        "--authorization-mode=RBAC".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-signing-key-file={key}"),
        format!("--service-account-key-file={key}"),
        format!("--service-cluster-ip-range={SERVICES}"),
        // It would wait for accounts that a controller makes.
        "--disable-admission-plugins=ServiceAccount".to_owned(),
    ]
}

fn free_port() -> Result<u16> {
    Ok(free_address()?.port())
}
