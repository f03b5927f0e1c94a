//! The agent's guard, as far as it is its own: the bpffs and a program that does not start. Needs root and Go.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;
use weft_lab::{Agent, Lab, LabOptions};

fn mounted(path: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts.lines().any(|line| line.contains(&format!(" {} bpf ", path.display())))
}

#[test]
fn the_bpffs_goes_with_the_agent() -> Result<()> {
    let lab = Lab::new(LabOptions::default())?;
    let agent = Agent::prepare(&lab, Path::new("/bin/false"), json!({}))?;
    assert!(mounted(&lab.bpffs()));
    fs::create_dir_all(lab.bpffs().join("weft/abi1"))?;
    drop(agent);
    assert!(!mounted(&lab.bpffs()));
    Ok(())
}

#[test]
fn two_agents_share_no_pins() -> Result<()> {
    let labs = [Lab::new(LabOptions::default())?, Lab::new(LabOptions::default())?];
    let start = |lab| Agent::prepare(lab, Path::new("/bin/false"), json!({}));
    let _agents = [start(&labs[0])?, start(&labs[1])?];
    fs::create_dir(labs[0].bpffs().join("weft"))?;
    assert!(!labs[1].bpffs().join("weft").exists());
    Ok(())
}

#[test]
fn an_agent_that_ends_says_so() -> Result<()> {
    let lab = Lab::new(LabOptions::default())?;
    let started = Agent::start(&lab, Path::new("/bin/false"), json!({}));
    let error = started.err().context("false is no agent")?.to_string();
    assert!(error.contains("agent ended (exit status: 1)"), "{error}");
    Ok(())
}

#[test]
fn the_configuration_is_the_labs_own_and_the_tests() -> Result<()> {
    let lab = Lab::new(LabOptions::default())?;
    let agent = Agent::prepare(&lab, Path::new("/bin/false"), json!({"capture": {"ports": [8080]}}))?;
    let written: serde_json::Value = serde_json::from_slice(&fs::read(agent.config())?)?;
    assert_eq!(written["capture"]["ports"], json!([8080]));
    assert_eq!(written["paths"]["state_dir"], json!(lab.state_dir()));
    assert_eq!(written["metrics"]["listen"], "127.0.0.1:0");
    Ok(())
}
