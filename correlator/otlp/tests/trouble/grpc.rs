//! gRPC's own ways of trouble, and TLS.
use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer},
    },
};
use tonic::Code;
use weft_otlp::{Counts, Exporter, Limits, Protocol, Settings, TransportError};

use crate::{
    backend::grpc::{Backend, Say},
    exporting::{Exporting, settings},
};

fn over_grpc(backend: &Backend) -> Settings {
    Settings { protocol: Protocol::Grpc, ..settings(&format!("http://127.0.0.1:{}", backend.port)) }
}

#[tokio::test]
async fn what_may_be_better_later_is_sent_again() {
    let wait = Duration::from_secs(1);
    let script = vec![
        Say::Status(Code::Unavailable),
        Say::Wait(Code::ResourceExhausted, wait),
        Say::Status(Code::Aborted),
    ];
    let backend = Backend::start(script, None).await;
    let exporting = Exporting::start(over_grpc(&backend));
    exporting.push(10);
    assert_eq!(exporting.settled(10).await, [10, 0, 0, 0]);
    let told = backend.told();
    assert_eq!(told.iter().map(|told| told.spans).collect::<Vec<_>>(), [Some(10); 4]);
    assert!(told[2].at - told[1].at >= wait, "{told:?}");
}

#[tokio::test]
async fn what_is_not_wanted_is_not_sent_again() {
    // Out of resources without a time is for good.
    let script = [Code::InvalidArgument, Code::ResourceExhausted, Code::Unauthenticated].map(Say::Status);
    let backend = Backend::start(script.into(), None).await;
    let exporting = Exporting::start(over_grpc(&backend));
    for settled in 1..=3 {
        exporting.push(1);
        assert_eq!(exporting.settled(settled).await, [0, settled, 0, 0]);
    }
    exporting.push(1);
    assert_eq!(exporting.settled(4).await, [1, 3, 0, 0]);
    assert_eq!(backend.told().len(), 4);
}

/// A file that goes with the test.
struct Pem(PathBuf);

impl Pem {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("weft-otlp-{}-{name}.pem", std::process::id()));
        fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for Pem {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn only_whom_the_authorities_know_is_trusted() {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let stranger = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let ca = Pem::new("own", &own.cert.pem());
    let another = Pem::new("another", &stranger.cert.pem());
    let backend = Backend::start(Vec::new(), Some(acceptor(&own))).await;
    let secure = |ca_file: &Pem| Settings {
        ca_file: Some(ca_file.0.clone()),
        protocol: Protocol::Grpc,
        limits: Limits { retry: Duration::from_secs(1), ..Limits::default() },
        ..settings(&format!("https://localhost:{}", backend.port))
    };
    let trusting = Exporting::start(secure(&ca));
    trusting.push(10);
    assert_eq!(trusting.settled(10).await, [10, 0, 0, 0]);
    let distrusting = Exporting::start(secure(&another));
    distrusting.push(10);
    assert_eq!(distrusting.settled(10).await, [0, 0, 0, 10]);
    assert_eq!(backend.told().len(), 1);
}

fn acceptor(of: &rcgen::CertifiedKey<rcgen::KeyPair>) -> TlsAcceptor {
    let key = PrivateKeyDer::try_from(of.signing_key.serialize_der()).unwrap();
    let certificate = CertificateDer::from(of.cert.der().to_vec());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let mut config = config.with_single_cert(vec![certificate], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

#[test]
fn a_file_without_authorities_is_named() {
    let empty = Pem::new("empty", "");
    let missing = PathBuf::from("/nonexistent/ca.pem");
    for path in [&empty.0, &missing] {
        let settings = Settings { ca_file: Some(path.clone()), ..settings("https://localhost:1") };
        let error: TransportError = Exporter::new(settings, Arc::new(Counts::default())).unwrap_err();
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}
