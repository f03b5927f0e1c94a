//! A load against the shop, and whether all of it is counted.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use weft_lab::load::Load;
use weft_lab::observed::Sides;
use weft_lab::{Agent, Observed, Pod, Shop};

use crate::host::PATIENCE;

/// The shop's pods by their labels.
pub const PODS: [&str; 4] = ["shop/client", "shop/gateway", "shop/orders", "shop/inventory"];

/// From the front to the back.
pub fn pods(shop: &Shop) -> [&Pod; 4] {
    [&shop.client, &shop.gateway, &shop.orders, &shop.inventory]
}

/// What every pod has counted after `requests` more requests of the client's.
fn after(before: &Observed, requests: u64) -> Vec<Sides> {
    let more = [(0, 1), (1, 1), (1, 1), (1, 0)];
    let counted = PODS.iter().zip(more).map(|(pod, (server, client))| {
        let Sides { server: served, client: asked } = before.pod(pod);
        Sides { server: served + server * requests, client: asked + client * requests }
    });
    counted.collect()
}

fn sides(seen: &Observed) -> Vec<Sides> {
    PODS.iter().map(|pod| seen.pod(pod)).collect()
}

/// Sends a load, and sees every request of it counted at every pod, and every byte.
pub fn counts_exactly(shop: &Shop, load: &Load) -> Result<()> {
    let before = quiet(&shop.agent)?;
    let report = shop.run(load)?;
    ensure!(report.sent > 0 && report.ok == report.sent && report.errors.is_empty(), "{report:?}");
    let expected = after(&before, report.ok);
    let seen = Observed::wait(&shop.agent, PATIENCE, |seen| sides(seen) == expected && seen.adds_up())?;
    ensure!(sides(&seen) == expected, "{seen:?}, expected {expected:?}");
    ensure!(seen.adds_up(), "{:?}", seen.unsettled);
    Ok(())
}

/// What is counted when nothing is counted any more: the agent publishes every half second.
pub fn quiet(agent: &Agent) -> Result<Observed> {
    let end = Instant::now() + PATIENCE;
    loop {
        let before = Observed::now(agent)?;
        sleep(Duration::from_millis(1200));
        let now = Observed::now(agent)?;
        if now == before {
            return Ok(now);
        }
        ensure!(Instant::now() < end, "it never ends: {now:?}");
    }
}

/// A load that is over in a second.
pub fn brief(shop: &Shop) -> Load {
    shop.load().rate(200).seconds(1).connections(8)
}
