//! What says that the pods may have changed: the plugin's datagrams, and devices that come and go.
use std::{fs, path::PathBuf, sync::mpsc::SyncSender, time::Duration};

use futures::StreamExt as _;
use rtnetlink::{MulticastGroup, new_multicast_connection};
use tokio::{net::UnixDatagram, time::sleep};

/// Devices come in bursts, a pod's being three or four changes: one look for all of them.
const SETTLE: Duration = Duration::from_millis(50);

/// Passes the plugin's hints on. What they say is no matter: the records say it.
pub async fn from_plugin(path: PathBuf, look: SyncSender<()>) {
    // Left by an agent that was killed; the lock says that none is running.
    let _ = fs::remove_file(&path);
    let socket = match UnixDatagram::bind(&path) {
        Ok(socket) => socket,
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "no hints from the plugin: pods are found a little later");
            return;
        }
    };
    let mut hint = [0; 64];
    while socket.recv(&mut hint).await.is_ok() {
        // Full: a look is due anyway.
        let _ = look.try_send(());
    }
}

/// Looks again when a device came or went in this netns.
pub async fn from_links(look: SyncSender<()>) {
    let (connection, _handle, mut messages) = match new_multicast_connection(&[MulticastGroup::Link]) {
        Ok(parts) => parts,
        Err(error) => {
            tracing::warn!(%error, "no word of devices that come and go: pods are found a little later");
            return;
        }
    };
    tokio::spawn(connection);
    while messages.next().await.is_some() {
        sleep(SETTLE).await;
        while let Ok(Some(_)) = tokio::time::timeout(Duration::ZERO, messages.next()).await {}
        let _ = look.try_send(());
    }
}
