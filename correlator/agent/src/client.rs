//! Asking a running agent: the few HTTP/1.1 requests that the commands make of a listener on this host.
use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde::de::DeserializeOwned;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Which agent to ask.
#[derive(Args, Clone, Debug)]
pub struct Agent {
    /// Address of the agent's listener; by default the one that it wrote to its state folder.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// The agent's state folder.
    #[arg(long, value_name = "FOLDER", default_value = "/run/weft")]
    pub state_dir: PathBuf,
}

impl Agent {
    /// Asks for a JSON document.
    ///
    /// # Errors
    /// When no agent answers, or not with that document.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let address = self.address()?;
        let body = request(address, path)
            .with_context(|| format!("no agent answers on http://{address}; is `weft agent` running?"))?;
        serde_json::from_slice(&body)
            .with_context(|| format!("http://{address}{path} is not what was expected"))
    }

    fn address(&self) -> Result<SocketAddr> {
        if let Some(address) = self.listen {
            return Ok(address);
        }
        let file = self.state_dir.join("listen");
        let text = fs::read_to_string(&file).with_context(|| {
            format!("{}: cannot read; is `weft agent` running, with this state folder?", file.display())
        })?;
        text.trim().parse().with_context(|| format!("{}: holds no address", file.display()))
    }
}

/// One request on a connection of its own; the body when the status is 200.
fn request(address: SocketAddr, path: &str) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").context("no HTTP response")?;
    let status = answer.get(9..12).unwrap_or_default();
    if status != b"200" {
        bail!("status {}", String::from_utf8_lossy(status));
    }
    Ok(answer.split_off(end + 4))
}
