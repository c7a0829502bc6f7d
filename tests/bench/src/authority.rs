//! The authority behind the certificates that the endpoints show, made anew for each run, and alike to Amazon's.
//!
//! Those of AWS's endpoints are issued by an intermediate authority of Amazon Root CA 1, both with keys of RSA-2048 (AWS
//! Security Blog, "Amazon introduces dynamic intermediate certificate authorities"). So a client checks three signatures of
//! RSA, which take it four fifths of what two of ECDSA would.

use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::Result;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// Keys that everybody may know: they are trusted by who is told to, for as long as a run takes. They are not made anew, for
/// nothing that is built here makes keys of RSA.
mod keys {
    pub(super) const ROOT: &str = include_str!("authority/root.pem");
    pub(super) const INTERMEDIATE: &str = include_str!("authority/intermediate.pem");
    pub(super) const LEAF: &str = include_str!("authority/leaf.pem");
}

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
        let key = KeyPair::from_pem(keys::ROOT)?;
        let params = authority("Longhaul's bench: root");
        let root = params.self_signed(&key)?;
        let by_root = Issuer::new(params, key);

        let key = KeyPair::from_pem(keys::INTERMEDIATE)?;
        let params = authority("Longhaul's bench");
        let intermediate = params.signed_by(&key, &by_root)?;
        let by_intermediate = Issuer::new(params, key);

        let key = KeyPair::from_pem(keys::LEAF)?;
        let names = [Ipv4Addr::LOCALHOST.to_string(), "localhost".to_owned()];
        let mut params = CertificateParams::new(names)?;
        params.use_authority_key_identifier_extension = true;
        let leaf = params.signed_by(&key, &by_intermediate)?;
        Ok(Self {
            pem: root.pem(),
            tls: Arc::new(tls(&[leaf, intermediate], &key)?),
        })
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn tls(chain: &[Certificate], key: &KeyPair) -> Result<ServerConfig> {
    let chain = chain.iter().map(|of| of.der().clone()).collect();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    // Chosen here: with two providers in one build rustls would not know which.
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let mut tls = builder
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(tls)
}
