//! The connection: three watches, each of which begins anew when it fails, later each time.
use std::{
    fmt::Debug,
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures::{StreamExt as _, join};
use k8s_openapi::api::{
    core::v1::{Pod, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, Client, ResourceExt as _,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use weft_core::{ClusterUpdate, Identity};

use crate::{
    addresses::{Addresses, Said},
    failure,
    mirror::{Change, Mirror},
    pod, service, slice,
    status::{Resource, Status},
};

/// Kubernetes allows a node some hundreds.
const PODS: usize = 4096;
/// Services or EndpointSlices of a cluster.
const OBJECTS: usize = 65_536;
/// Addresses, counted once for each object that names them.
const ADDRESSES: usize = 65_536;
/// Objects of one answer: of a large cluster all at once are tens of megabytes.
const PAGE: u32 = 500;

/// What is to be watched.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The node's name: only its pods.
    pub node: String,
    /// Labels of pods that are passed on.
    pub labels: Vec<String>,
}

/// Watches until the future is dropped, and gives every change to `sink`.
pub async fn watch(
    client: Client,
    options: &Options,
    status: &Status,
    sink: &(impl Fn(ClusterUpdate) + Sync),
) {
    let addresses = Mutex::new(Addresses::new(ADDRESSES));
    let connection = Connection { client: &client, status };
    let change = |resource: Resource, change: Change<Said>| {
        let mut addresses = lock(&addresses);
        addresses.change(resource.name(), change).into_iter().for_each(sink);
        status.set_addresses(addresses.len(), addresses.left_out);
    };
    let own = watcher::Config::default().fields(&format!("spec.nodeName={}", options.node));
    // Two at most: this one is the host's of IPv4, and of IPv6.
    let of_pod = |object: &Pod| {
        pod::host_addresses(object)
            .into_iter()
            .filter_map(|host| lock(&addresses).share(host))
            .for_each(sink);
        pod::identity(object, &options.labels)
    };
    join!(
        connection.follow(Resource::Pods, own, PODS, of_pod, |news| sink(of(news))),
        connection.follow(
            Resource::Services,
            watcher::Config::default(),
            OBJECTS,
            |object: &Service| service::addresses(object),
            |news| change(Resource::Services, news)
        ),
        connection.follow(
            Resource::EndpointSlices,
            watcher::Config::default(),
            OBJECTS,
            |object: &EndpointSlice| slice::addresses(object),
            |news| change(Resource::EndpointSlices, news)
        ),
    );
}

fn of(Change { key, before: _, now }: Change<Identity>) -> ClusterUpdate {
    let (namespace, name) =
        key.split_once('/').map(|(namespace, name)| (namespace.into(), name.into())).unwrap_or_default();
    ClusterUpdate::Pod { namespace, name, identity: now }
}

struct Connection<'a> {
    client: &'a Client,
    status: &'a Status,
}

impl Connection<'_> {
    /// One resource, for ever: what `meaning` makes of its objects, as far as it is `news`.
    async fn follow<K, T>(
        &self,
        resource: Resource,
        config: watcher::Config,
        limit: usize,
        meaning: impl Fn(&K) -> T,
        news: impl Fn(Change<T>),
    ) where
        K: kube::Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
        T: Clone + PartialEq,
    {
        let api: Api<K> = Api::all(self.client.clone());
        let mut events = pin!(watcher(api, config.page_size(PAGE)).default_backoff());
        let mut mirror = Mirror::new(limit);
        let mut complaint = Complaint::new(resource);
        while let Some(event) = events.next().await {
            let event = match event {
                Ok(event) => event,
                Err(error) => {
                    self.status
                        .update(resource, |status| (status.up, status.errors) = (false, status.errors + 1));
                    complaint.say(&error);
                    continue;
                }
            };
            let whole = !matches!(event, Event::Init | Event::InitApply(_));
            take(&mut mirror, event, &meaning).into_iter().for_each(&news);
            self.status.update(resource, |status| {
                (status.objects, status.left_out) = (mirror.len() as u64, mirror.left_out);
                status.up |= whole;
            });
            if whole {
                complaint.over(mirror.len());
            }
        }
    }
}

fn take<K: kube::Resource<DynamicType = ()>, T: Clone + PartialEq>(
    mirror: &mut Mirror<T>,
    event: Event<K>,
    meaning: impl Fn(&K) -> T,
) -> Vec<Change<T>> {
    match event {
        Event::Init => {
            mirror.begin();
            Vec::new()
        }
        Event::InitDone => mirror.end(),
        Event::InitApply(object) | Event::Apply(object) => {
            mirror.apply(key(&object), meaning(&object)).into_iter().collect()
        }
        Event::Delete(object) => mirror.remove(key(&object)).into_iter().collect(),
    }
}

fn key<K: kube::Resource<DynamicType = ()>>(object: &K) -> String {
    format!("{}/{}", object.meta().namespace.as_deref().unwrap_or_default(), object.name_any())
}

/// What is wrong is said once, and once when it is over.
struct Complaint {
    resource: Resource,
    said: Option<String>,
    ever: bool,
}

impl Complaint {
    fn new(resource: Resource) -> Self {
        Self { resource, said: None, ever: false }
    }

    fn say(&mut self, error: &watcher::Error) {
        let says = failure::of_watch(error);
        if self.said.as_ref() != Some(&says) {
            tracing::warn!(
                resource = self.resource.name(),
                "the cluster's API cannot be watched: {says}; tried again"
            );
            self.said = Some(says);
        }
    }

    fn over(&mut self, objects: usize) {
        if self.said.take().is_some() || !self.ever {
            self.ever = true;
            tracing::info!(resource = self.resource.name(), objects, "the cluster's API is watched");
        }
    }
}

/// Whole whatever happened to a thread that held it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
