//! Whether the cluster tells who pods are. Nothing that the agent needs: without it, there are fewer names.
use weft_kube::{Resource, check};

use super::{Check, Verdict, bad, ok};
use crate::config::{Identity, Kubernetes};

const NAME: &str = "cluster's API";

/// Asks it, which takes some seconds where nobody answers.
pub fn examine(identity: &Identity) -> Vec<Check> {
    if identity.kubernetes == Kubernetes::Off {
        return vec![ok(NAME, "identity.kubernetes is off")];
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(ask(&identity.node())),
        Err(error) => vec![bad(Verdict::Degraded, NAME, error.to_string(), "try again")],
    }
}

async fn ask(node: &str) -> Vec<Check> {
    let client = match weft_kube::client().await {
        Ok(Some(client)) => client,
        Ok(None) => return vec![ok(NAME, "no cluster: neither KUBECONFIG nor a service account")],
        Err(error) => {
            let seen = format!("{:#}", anyhow::Error::from(error));
            return vec![bad(Verdict::Degraded, NAME, seen, "mend it, or set identity.kubernetes: off")];
        }
    };
    let seen = check(client, node).await;
    seen.into_iter().map(|(resource, seen)| judge(resource, seen, node)).collect()
}

fn judge(resource: Resource, seen: Result<bool, String>, node: &str) -> Check {
    let name = format!("{NAME}: {}", resource.name());
    match seen {
        Ok(false) if resource == Resource::Pods => {
            let remedy = "set identity.node, or NODE_NAME, to the name that `kubectl get nodes` shows";
            bad(Verdict::Degraded, &name, format!("there is none on the node {node:?}"), remedy)
        }
        Ok(_) => ok(&name, "may be listed"),
        Err(why) => {
            bad(Verdict::Degraded, &name, why, "pods and addresses have fewer names until it answers")
        }
    }
}
