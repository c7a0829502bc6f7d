//! Signs calls to AWS services. The emulator checks signatures, because it enforces the functions' permissions.

use std::time::SystemTime;

use anyhow::{Context, Result};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SigningSettings, sign as sign_request,
};
use aws_sigv4::sign::v4::SigningParams;

/// The emulator takes this pair for the account's root user.
const ROOT: &str = "test";

/// The headers of a call, with those that sign it.
pub(crate) fn sign(
    method: &str,
    url: &str,
    region: &str,
    service: &str,
    mut headers: Vec<(String, String)>,
    body: &[u8],
) -> Result<Vec<(String, String)>> {
    let identity = Credentials::new(ROOT, ROOT, None, None, "e2e").into();
    let parameters = SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()?
        .into();
    let to_sign = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let request = SignableRequest::new(method, url, to_sign, SignableBody::Bytes(body))?;
    let (instructions, _) = sign_request(request, &parameters)
        .context("cannot sign")?
        .into_parts();
    let signed: Vec<_> = instructions
        .headers()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    headers.extend(signed);
    Ok(headers)
}
