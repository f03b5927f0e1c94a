//! How it is about the connection to the API server, for whoever asks.
use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Of this node.
    Pods,
    /// Of the cluster.
    Services,
    /// Of the cluster.
    EndpointSlices,
}

impl Resource {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Pods, Self::Services, Self::EndpointSlices];

    /// As the API server and the metrics call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pods => "pods",
            Self::Services => "services",
            Self::EndpointSlices => "endpointslices",
        }
    }
}

/// Shared between the watch and those who show it.
#[derive(Debug, Default)]
pub struct Status {
    resources: Mutex<[ResourceStatus; Resource::ALL.len()]>,
    addresses: AtomicU64,
    left_out: AtomicU64,
}

/// Of one resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResourceStatus {
    /// It is watched, and was listed whole.
    pub up: bool,
    /// Objects that are known.
    pub objects: u64,
    /// Objects that found no room.
    pub left_out: u64,
    /// Answers of the API server that were errors, and connections that failed.
    pub errors: u64,
}

impl Status {
    /// Of each resource, in the order of [`Resource::ALL`].
    pub fn resources(&self) -> [ResourceStatus; Resource::ALL.len()] {
        *self.lock()
    }

    /// Addresses that somebody is known for, and how often one found no room.
    pub fn addresses(&self) -> (u64, u64) {
        (self.addresses.load(Ordering::Relaxed), self.left_out.load(Ordering::Relaxed))
    }

    pub(crate) fn update(&self, resource: Resource, change: impl FnOnce(&mut ResourceStatus)) {
        change(&mut self.lock()[resource as usize]);
    }

    pub(crate) fn set_addresses(&self, known: usize, left_out: u64) {
        self.addresses.store(known as u64, Ordering::Relaxed);
        self.left_out.store(left_out, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, [ResourceStatus; Resource::ALL.len()]> {
        self.resources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
