//! The authority behind the certificates that the endpoints show, made anew for each run.

use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// A server's certificate, and who vouches for it.
#[derive(Debug)]
pub struct Authority {
    /// What a client has to trust, PEM.
    pub pem: String,
    /// What the endpoints show.
    pub tls: Arc<ServerConfig>,
}

impl Authority {
    /// An authority, and a certificate of it for this machine.
    ///
    /// # Errors
    ///
    /// When no certificate can be made.
    pub fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "Longhaul's bench");
        let key = KeyPair::generate()?;
        let root = params.self_signed(&key)?;
        let issuer = Issuer::new(params, key);

        let names = [Ipv4Addr::LOCALHOST.to_string(), "localhost".to_owned()];
        let key = KeyPair::generate()?;
        let leaf = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
        Ok(Self {
            pem: root.pem(),
            tls: Arc::new(tls(leaf.der().clone(), &key)?),
        })
    }
}

fn tls(leaf: CertificateDer<'static>, key: &KeyPair) -> Result<ServerConfig> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    // Chosen here: with two providers in one build rustls would not know which.
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let mut tls = builder
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![leaf], key)?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(tls)
}
