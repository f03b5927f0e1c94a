//! Where the API server is.
use std::{env, time::Duration};

use kube::{
    Config,
    config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError},
};

pub use kube::Client;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// The API server ends a watch that it was told to after less than five minutes (kube's default): one that is silent for
/// longer is dead.
const SILENCE: Duration = Duration::from_secs(330);

/// Why there is no client though there is a configuration for one.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Of the file.
    #[error("the file that KUBECONFIG names cannot be used")]
    Kubeconfig(#[source] Box<KubeconfigError>),
    /// Of the service account.
    #[error(
        "this is a pod, but its service account cannot be used: is its token mounted (automountServiceAccountToken)?"
    )]
    InCluster(#[source] Box<InClusterError>),
    /// Of both.
    #[error("no client can be made of the configuration for the API server: are its certificates valid?")]
    Client(#[source] Box<kube::Error>),
}

/// A client by the file that `KUBECONFIG` names, else by the service account of the pod that this is; nothing where there is
/// neither. Connects to nobody yet.
///
/// # Errors
/// When the one that there is cannot be used.
pub async fn client() -> Result<Option<Client>, ClientError> {
    let Some(mut config) = config().await? else { return Ok(None) };
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(SILENCE);
    Client::try_from(config).map(Some).map_err(|error| ClientError::Client(Box::new(error)))
}

async fn config() -> Result<Option<Config>, ClientError> {
    let of_file = |error| ClientError::Kubeconfig(Box::new(error));
    if let Some(file) = Kubeconfig::from_env().map_err(of_file)? {
        let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
        return config.map(Some).map_err(of_file);
    }
    if env::var_os("KUBERNETES_SERVICE_HOST").is_none() {
        return Ok(None);
    }
    Config::incluster().map(Some).map_err(|error| ClientError::InCluster(Box::new(error)))
}
