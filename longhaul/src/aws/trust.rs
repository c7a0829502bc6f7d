//! Whose certificates are trusted: Amazon's, and those of a bundle that the environment names.
//!
//! A proxy that looks into what passes shows a certificate of its own. Who has to live behind one names its authority
//! as to every SDK and to the AWS CLI, by `AWS_CA_BUNDLE`.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aws_smithy_http_client::tls::TrustStore;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject as _};
use thiserror::Error;

/// The roots that every AWS service's certificate leads to: Amazon Root CA 1 to 4 and Starfield
/// Services Root CA - G2 (Amazon Trust Services repository).
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon-roots.pem");

/// The variable that names a file of certificates, PEM.
const BUNDLE: &str = "AWS_CA_BUNDLE";

/// Why a bundle is of no use.
#[derive(Debug, Error)]
pub(crate) enum BundleError {
    /// There is no such file, or it may not be read.
    #[error("{BUNDLE}: {} cannot be read", .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
    /// It is no PEM.
    #[error("{BUNDLE}: {} is no PEM file", .0.display())]
    Malformed(PathBuf, #[source] pem::Error),
    /// It is one of something else, such as a key.
    #[error("{BUNDLE}: {} has no certificate", .0.display())]
    Empty(PathBuf),
    /// Its certificate of this number, counted from 1, is none that anybody could be trusted by.
    #[error("{BUNDLE}: certificate {number} of {} cannot be used", .path.display())]
    Unusable {
        path: PathBuf,
        number: usize,
        source: rustls::Error,
    },
}

/// The certificates that are trusted.
///
/// # Errors
///
/// [`BundleError`], when the environment names a bundle that is of no use. Without it every call would fail, and less
/// clearly.
pub(super) fn store() -> Result<TrustStore, BundleError> {
    let amazon = TrustStore::empty().with_pem_certificate(AMAZON_ROOTS);
    match env::var_os(BUNDLE).filter(|path| !path.is_empty()) {
        Some(path) => Ok(amazon.with_pem_certificate(read(Path::new(&path))?)),
        None => Ok(amazon),
    }
}

/// Reads a bundle. The SDK does not look at certificates before the first call, and then panics.
fn read(path: &Path) -> Result<Vec<u8>, BundleError> {
    let bundle = fs::read(path).map_err(|error| BundleError::Unreadable(path.into(), error))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&bundle) {
        let certificate =
            certificate.map_err(|error| BundleError::Malformed(path.into(), error))?;
        let number = roots.len() + 1;
        let added = roots.add(certificate);
        added.map_err(|source| BundleError::Unusable {
            path: path.into(),
            number,
            source,
        })?;
    }
    if roots.is_empty() {
        return Err(BundleError::Empty(path.into()));
    }
    Ok(bundle)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of a file with this content.
    fn read_of(name: &str, content: &[u8]) -> Result<Vec<u8>, String> {
        let path = env::temp_dir().join(format!("longhaul-{name}-{}", std::process::id()));
        fs::write(&path, content).unwrap();
        let bundle = read(&path);
        fs::remove_file(&path).unwrap();
        bundle.map_err(|error| error.to_string().replace(path.to_str().unwrap(), "FILE"))
    }

    #[test]
    fn a_bundle_is_taken_with_all_that_stands_around_its_certificates() {
        let commented = [b"# proxy\n".as_slice(), AMAZON_ROOTS].concat();
        assert_eq!(read_of("bundle", &commented), Ok(commented));
    }

    #[test]
    fn a_bundle_that_is_of_no_use_is_refused_and_why_is_said() {
        let block = |kind: &str, content: &str| {
            format!("-----BEGIN {kind}-----\n{content}\n-----END {kind}-----\n").into_bytes()
        };
        let second = [AMAZON_ROOTS, &block("CERTIFICATE", "AAAA")].concat();
        for (name, content, problem) in [
            ("empty", vec![], "FILE has no certificate"),
            ("text", b"no PEM".to_vec(), "FILE has no certificate"),
            (
                "key",
                block("PRIVATE KEY", "AAAA"),
                "FILE has no certificate",
            ),
            ("torn", block("CERTIFICATE", "?"), "FILE is no PEM file"),
            ("odd", second, "certificate 6 of FILE cannot be used"),
        ] {
            let expected = format!("{BUNDLE}: {problem}");
            assert_eq!(read_of(name, &content), Err(expected));
        }
        let missing = read(Path::new("/no/such/file")).unwrap_err();
        assert_eq!(
            missing.to_string(),
            "AWS_CA_BUNDLE: /no/such/file cannot be read"
        );
    }
}
