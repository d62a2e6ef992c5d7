//! Encryption of a connection, and the certificates that a server is held against.

use crate::config::Smtp;
use rustls_platform_verifier::BuilderVerifierExt;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, CertificateError, ClientConfig, RootCertStore, crypto};

/// The certificates that servers are held against. Errors: a sentence that names the file.
pub(in crate::services::mailer) fn tls_config(smtp: &Smtp) -> Result<Arc<ClientConfig>, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match &smtp.ca_pem {
        None => builder.with_platform_verifier().map_err(|error| format!("the system's certificates: {error}"))?,
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|error| format!("the certificates in ca_file: {error}"))?;
                roots.add(certificate).map_err(|error| format!("the certificates in ca_file: {error}"))?;
            }
            if roots.is_empty() {
                return Err("the certificates in ca_file: there are none".into());
            }
            builder.with_root_certificates(roots)
        }
    };
    Ok(Arc::new(builder.with_no_client_auth()))
}

/// `stream`, encrypted to the server that `smtp` names. Errors: a sentence for the log.
pub(super) async fn encrypt(
    stream: TcpStream,
    smtp: &Smtp,
    tls: Option<&Arc<ClientConfig>>,
) -> Result<TlsStream<TcpStream>, String> {
    let tls = tls.ok_or("no certificates are loaded")?;
    let name = ServerName::try_from(smtp.host.clone()).map_err(|error| error.to_string())?;
    let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await;
    stream.map_err(|error| format!("encrypting: {error}{}", advice(&error)))
}

/// What to do about a certificate that is refused, where its reason alone would leave people puzzled.
fn advice(error: &std::io::Error) -> &'static str {
    let refused = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match refused {
        Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "; whoever has signed it can be named by `mail.smtp.ca_file`"
        }
        // The verifier's own reason is wrapped, and known by its name alone.
        Some(error) if error.to_string().contains("CaUsedAsEndEntity") => {
            "; it was made for an authority: one for a server says CA:FALSE (`openssl req -x509 -addext \
             basicConstraints=CA:FALSE`)"
        }
        Some(_) | None => "",
    }
}
