//! What the cluster says of pods, where there is one: without it everything goes on, with fewer names.
use std::sync::Arc;

use weft_core::{Input, WorkloadUpdate};
use weft_kube::{Options, Status, watch};

use super::pipeline::PipelineHandle;
use crate::config::{Identity, Kubernetes};

/// Watches the cluster until the agent ends.
pub async fn run(identity: Identity, status: Arc<Status>, pipeline: PipelineHandle) {
    if identity.kubernetes == Kubernetes::Off {
        return;
    }
    let client = match weft_kube::client().await {
        Ok(Some(client)) => client,
        Ok(None) => {
            return tracing::info!(
                "no cluster (neither KUBECONFIG nor a service account): pods have the names that the plugin was told"
            );
        }
        Err(error) => {
            let error = anyhow::Error::from(error);
            return tracing::warn!("the cluster is not asked who pods are: {error:#}");
        }
    };
    let options = Options { node: identity.node(), labels: identity.labels };
    tracing::info!(node = options.node, "asking the cluster who pods are");
    // The channel may be full for a moment: the listener has other threads.
    let tell = |update| {
        tokio::task::block_in_place(|| pipeline.input(Input::Workload(WorkloadUpdate::Cluster(update))))
    };
    watch(client, &options, &status, &tell).await;
}
