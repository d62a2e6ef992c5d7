//! Certificates that a test's own authority has signed.

use rcgen::{Certificate, CertificateParams, CertifiedIssuer, KeyPair};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// A certificate for `localhost` by an authority whose own is written into `folder`; returns that file too.
pub(crate) fn certificates(folder: &Path) -> (TlsAcceptor, std::path::PathBuf) {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    // Two authorities of one name would be taken for one, whose signature is wrong.
    params.distinguished_name.push(rcgen::DnType::CommonName, folder.display().to_string());
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let ca_file = folder.join("ca.pem");
    std::fs::write(&ca_file, issuer.pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    (acceptor(&own, &key), ca_file)
}

/// As openssl makes one if nothing else is said: it has signed itself, and calls itself an authority.
pub(crate) fn of_an_authority(folder: &Path) -> (TlsAcceptor, std::path::PathBuf) {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let own = params.self_signed(&key).unwrap();
    let file = folder.join("own.pem");
    std::fs::write(&file, own.pem()).unwrap();
    (acceptor(&own, &key), file)
}

fn acceptor(own: &Certificate, key: &KeyPair) -> TlsAcceptor {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}
