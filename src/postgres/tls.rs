//! Encryption towards Postgres: which certificates are believed.
//!
//! `prefer` and `require` believe any certificate, as libpq does without a CA file: they keep a listener out, not an
//! impostor. `verify-ca` and `verify-full` need certificates to trust: the CA file, or the bundle of the system.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::TlsMode;

/// Where systems keep the certificates they trust; the first that exists is used.
const SYSTEM_BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/opt/homebrew/etc/openssl@3/cert.pem",
];

/// A connector for `mode`; the error is a sentence that says what to do.
pub(crate) fn connector(
    mode: TlsMode,
    ca_file: Option<&Path>,
) -> Result<MakeRustlsConnect, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let trust = match (mode, ca_file) {
        (TlsMode::VerifyFull, file) => Trust::Full(chain_verifier(&provider, file)?),
        (TlsMode::VerifyCa, file) => Trust::Chain(chain_verifier(&provider, file)?),
        (TlsMode::Require, Some(file)) => Trust::Chain(chain_verifier(&provider, Some(file))?),
        (TlsMode::Disable | TlsMode::Prefer | TlsMode::Require, _) => Trust::Anyone,
    };
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier { trust, provider }))
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn chain_verifier(
    provider: &Arc<CryptoProvider>,
    ca_file: Option<&Path>,
) -> Result<Arc<WebPkiServerVerifier>, String> {
    let file = match ca_file {
        Some(file) => file.to_owned(),
        None => system_bundle().ok_or_else(|| {
            "no certificates to trust: give the CA file of the database (DB_SSL_CA_CERT or sslrootcert)".to_owned()
        })?,
    };
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(&file)
        .map_err(|error| format!("cannot read the CA file {}: {error}", file.display()))?;
    for certificate in certificates {
        let certificate = certificate
            .map_err(|error| format!("the CA file {} is not PEM: {error}", file.display()))?;
        // Bundles of systems hold certificates too old to parse; one of them must not spoil the rest.
        if let Err(error) = roots.add(certificate) {
            tracing::debug!(%error, "a certificate of the CA file is not usable");
        }
    }
    if roots.is_empty() {
        return Err(format!(
            "the CA file {} holds no usable certificate; it must contain -----BEGIN CERTIFICATE-----",
            file.display()
        ));
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| error.to_string())
}

/// What to do about a certificate that was not believed; none when the error is about something else.
pub(crate) fn hint(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    match certificate_error(error)? {
        CertificateError::UnknownIssuer => Some(
            "the database's certificate is not signed by a CA that is trusted here: \
             give the CA certificate that signed it (DB_SSL_CA_CERT or sslrootcert)",
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Some(
                "the database's certificate is for another host name: \
                 connect by a name it has, or use verify-ca (DB_SSL or sslmode)",
            )
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            Some("the database's certificate has expired: renew it, and check this machine's clock")
        }
        _ => Some("the database's certificate cannot be used: check certificate and CA file"),
    }
}

/// The rustls error at the bottom; I/O errors wrap it without naming it as their source.
fn certificate_error<'a>(
    mut error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a CertificateError> {
    loop {
        if let Some(Error::InvalidCertificate(found)) = error.downcast_ref::<Error>() {
            return Some(found);
        }
        error = match error
            .downcast_ref::<std::io::Error>()
            .map(|io| io.get_ref())
        {
            Some(inner) => inner?,
            None => error.source()?,
        };
    }
}

fn system_bundle() -> Option<PathBuf> {
    std::env::var_os("SSL_CERT_FILE")
        .map(PathBuf::from)
        .into_iter()
        .chain(SYSTEM_BUNDLES.iter().map(PathBuf::from))
        .find(|path| path.is_file())
}

#[derive(Debug)]
enum Trust {
    Anyone,
    /// The chain must lead to a trusted CA; the name in it is not looked at.
    Chain(Arc<WebPkiServerVerifier>),
    Full(Arc<WebPkiServerVerifier>),
}

#[derive(Debug)]
struct Verifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let check = |verifier: &WebPkiServerVerifier| {
            verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        };
        match &self.trust {
            Trust::Anyone => Ok(ServerCertVerified::assertion()),
            Trust::Full(verifier) => check(verifier),
            // The name is judged last, after chain and validity, so this error means that all else held.
            Trust::Chain(verifier) => match check(verifier) {
                Err(Error::InvalidCertificate(
                    CertificateError::NotValidForName
                    | CertificateError::NotValidForNameContext { .. },
                )) => Ok(ServerCertVerified::assertion()),
                other => other,
            },
        }
    }

    // The peer proves that it holds the key of the certificate it shows, whoever it is.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
