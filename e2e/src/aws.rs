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

/// The headers of a signed call of an operation such as `DynamoDB_20120810.Query`.
pub(crate) fn sign(
    url: &str,
    region: &str,
    service: &str,
    target: &str,
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
    let version = if service == "cognito-idp" {
        "application/x-amz-json-1.1"
    } else {
        "application/x-amz-json-1.0"
    };
    let mut headers = vec![
        ("content-type".to_owned(), version.to_owned()),
        ("x-amz-target".to_owned(), target.to_owned()),
    ];
    let to_sign = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let request = SignableRequest::new("POST", url, to_sign, SignableBody::Bytes(body))?;
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
