//! A Prometheus that scrapes an agent: the reference for what others make of its metrics.

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{Agent, Lab, Process, apt, http};

/// How long it may take until a scrape was stored.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(200);
const ANSWER: Duration = Duration::from_secs(10);

/// It scrapes every half second, native histograms and exemplars too.
#[derive(Debug)]
pub struct Prometheus {
    address: SocketAddr,
    process: Process,
}

impl Prometheus {
    /// Starts one for an agent.
    ///
    /// # Errors
    /// When the package is not to be had, or it does not start.
    pub fn start(lab: &Lab, agent: &Agent) -> Result<Self> {
        apt::ensure_programs(&apt::PROMETHEUS)?;
        let config = lab.file("prometheus", "prometheus.yml")?;
        let target = agent.address()?;
        let text = format!(
            "global: {{scrape_interval: 500ms}}\nscrape_configs:\n- job_name: weft\n  static_configs: [{{targets: [\"{target}\"]}}]\n"
        );
        fs::write(&config, text)?;
        let data = lab.file("prometheus", "data")?;
        let address = free_address()?;
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--enable-feature=native-histograms,exemplar-storage")
            .stdout(Stdio::null());
        let mut process = Process::start(lab, None, "prometheus", &mut command)?;
        process.wait_until(PATIENCE, "Prometheus", || {
            http::get(address, "/-/ready", &[], ANSWER).is_ok_and(|answer| answer.status == 200)
        })?;
        Ok(Self { address, process })
    }

    /// Asks until the answer to a query (one number, or none) is the expected one.
    ///
    /// # Errors
    /// When it is another one for too long.
    pub fn wait_for(&self, query: &str, expected: f64) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            let found = self.number(query)?;
            if found.is_some_and(|found| (found - expected).abs() < 1e-9) {
                return Ok(());
            }
            ensure!(
                Instant::now() < end,
                "{query} is {found:?} and not {expected}\n{}",
                self.process.stderr()
            );
            std::thread::sleep(LOOK);
        }
    }

    /// The one number that answers a query; nothing where there is no series.
    ///
    /// # Errors
    /// When the query is wrong, or has several answers.
    pub fn number(&self, query: &str) -> Result<Option<f64>> {
        let answer = self.ask("query", query)?;
        let found = answer["data"]["result"].as_array().context("no result")?;
        match &found[..] {
            [] => Ok(None),
            [one] => {
                let number = one["value"][1].as_str().with_context(|| format!("no number: {one}"))?;
                Ok(Some(number.parse().with_context(|| format!("no number: {one}"))?))
            }
            several => bail!("{query} has {} answers", several.len()),
        }
    }

    /// The exemplars of a query's series.
    ///
    /// # Errors
    /// When the query is wrong.
    pub fn exemplars(&self, query: &str) -> Result<Vec<Value>> {
        let answer = self.ask("query_exemplars", &format!("{query}&start=0&end=9999999999"))?;
        let series = answer["data"].as_array().context("no data")?;
        Ok(series.iter().filter_map(|series| series["exemplars"].as_array()).flatten().cloned().collect())
    }

    fn ask(&self, what: &str, query: &str) -> Result<Value> {
        let query = query.replace('%', "%25").replace('{', "%7B").replace('}', "%7D").replace('"', "%22");
        let query = query.replace(' ', "%20").replace('+', "%2B");
        http::get(self.address, &format!("/api/v1/{what}?query={query}"), &[], ANSWER)?.json()
    }
}

/// What promtool finds wrong with a page of metrics.
///
/// # Errors
/// When the package is not to be had, or the page is none.
pub fn check(page: &[u8]) -> Result<String> {
    apt::ensure_programs(&apt::PROMETHEUS)?;
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start promtool")?;
    promtool.stdin.take().context("no stdin")?.write_all(page)?;
    let said = promtool.wait_with_output()?;
    Ok(String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned())
}

/// The value of a series on a page of metrics, as it is written; `series` has its labels.
pub fn sample<'p>(page: &'p str, series: &str) -> Option<&'p str> {
    page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
}

/// An address of this machine at which nobody listens.
///
/// # Errors
/// When there is none.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
