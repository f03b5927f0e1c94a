//! Connections: TCP or TLS, HTTP/1.1 or HTTP/2.
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tonic::body::Body;

use crate::settings::{Protocol, Settings};

/// Connections are made when they are needed and kept.
pub(super) type HttpClient = Client<HttpsConnector<HttpConnector>, Body>;

/// After a silence of that long a backend is asked whether it is still there, and may take as long to answer: one behind a
/// dead connection is not waited for until TCP gives up.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Why there is no way to a backend.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// Not in the file that was named.
    #[error("ca_file {path}: no certificate in PEM can be read there: {source}")]
    Pem {
        /// Which.
        path: PathBuf,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// One that nobody can be checked with.
    #[error("ca_file {path}: not the certificate of an authority: {source}")]
    Certificate {
        /// Where.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// There are no certificates in the file.
    #[error("ca_file {path}: there is no certificate in it")]
    NoCertificate {
        /// Which.
        path: PathBuf,
    },
    /// None on this machine.
    #[error("this machine trusts no authorities ({0}): name a file with them in ca_file")]
    System(std::io::Error),
    /// The library of TLS has no protocol's version in common with itself.
    #[error("TLS cannot be used: {0}")]
    Tls(#[from] rustls::Error),
}

pub(super) fn client(settings: &Settings) -> Result<HttpClient, TransportError> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(settings.timeout));
    let tls = HttpsConnectorBuilder::new().with_tls_config(tls(settings)?).https_or_http();
    let mut client = Client::builder(TokioExecutor::new());
    client.timer(TokioTimer::new()).pool_timer(TokioTimer::new()).pool_max_idle_per_host(1);
    Ok(match settings.protocol {
        Protocol::Grpc => {
            client
                .http2_only(true)
                .http2_keep_alive_interval(KEEP_ALIVE)
                .http2_keep_alive_timeout(KEEP_ALIVE);
            client.build(tls.enable_http2().wrap_connector(tcp))
        }
        Protocol::Http => client.build(tls.enable_http1().wrap_connector(tcp)),
    })
}

/// Without TLS nobody needs to be trusted.
fn tls(settings: &Settings) -> Result<ClientConfig, TransportError> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let secure = settings.endpoint.uri().scheme_str() == Some("https");
    let config = match &settings.ca_file {
        Some(path) => config.with_root_certificates(authorities(path)?),
        None if secure => config.with_native_roots().map_err(TransportError::System)?,
        None => config.with_root_certificates(RootCertStore::empty()),
    };
    Ok(config.with_no_client_auth())
}

fn authorities(path: &Path) -> Result<RootCertStore, TransportError> {
    let pem = |source| TransportError::Pem { path: path.to_owned(), source };
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(pem)? {
        let added = store.add(certificate.map_err(pem)?);
        added.map_err(|source| TransportError::Certificate { path: path.to_owned(), source })?;
    }
    if store.is_empty() {
        return Err(TransportError::NoCertificate { path: path.to_owned() });
    }
    Ok(store)
}
