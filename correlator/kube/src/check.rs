//! Whether this cluster may be asked: for people who set it up.
use std::{fmt::Debug, time::Duration};

use futures::join;
use k8s_openapi::api::{
    core::v1::{Pod, Service},
    discovery::v1::EndpointSlice,
};
use kube::{Api, Client, api::ListParams};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::{failure, status::Resource};

/// How long each answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was seen of one resource: whether one object was given, or why not.
pub type Seen = (Resource, Result<bool, String>);

/// Asks for one object of each resource, of pods for one of this node.
pub async fn check(client: Client, node: &str) -> [Seen; Resource::ALL.len()] {
    let own = ListParams::default().fields(&format!("spec.nodeName={node}"));
    let (pods, services, slices) = join!(
        one::<Pod>(client.clone(), own),
        one::<Service>(client.clone(), ListParams::default()),
        one::<EndpointSlice>(client, ListParams::default()),
    );
    [(Resource::Pods, pods), (Resource::Services, services), (Resource::EndpointSlices, slices)]
}

async fn one<K>(client: Client, parameters: ListParams) -> Result<bool, String>
where
    K: kube::Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let api = Api::<K>::all(client);
    let listed = timeout(PATIENCE, api.list(&parameters.limit(1))).await;
    let listed = listed.map_err(|_| format!("no answer within {} s", PATIENCE.as_secs()))?;
    listed.map(|list| !list.items.is_empty()).map_err(|error| failure::of_client(&error))
}
