//! The process of a function behind the HTTP API.

use std::future::Future;

use lambda_http::lambda_runtime::tower::ServiceExt as _;
use lambda_http::lambda_runtime::{self, LambdaEvent};
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, Body, Error, Request, Response, service_fn};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// What may not stand in the query of a URL as it is (RFC 3986, section 3.4), but for the percent sign
/// and characters beyond ASCII, which are always encoded.
const NOT_IN_A_QUERY: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Answers requests until the process ends.
///
/// # Errors
///
/// When Lambda cannot be reached.
pub async fn serve<H, F>(handle: H) -> Result<(), Error>
where
    H: Fn(Request) -> F,
    F: Future<Output = Response<Body>> + Send,
{
    let handler = service_fn(|request| {
        let answer = handle(request);
        async move { Ok::<_, Error>(answer.await) }
    });
    lambda_runtime::run(Adapter::from(handler).map_request(legible)).await
}

/// The event as `lambda_http` can read it: it makes a URL of its parts, and panics when that is none.
/// Clients do send what no URL may contain.
fn legible(mut event: LambdaEvent<LambdaRequest>) -> LambdaEvent<LambdaRequest> {
    if let LambdaRequest::ApiGatewayV2(request) = &mut event.payload {
        if let Some(query) = &mut request.raw_query_string {
            *query = utf8_percent_encode(query, NOT_IN_A_QUERY).to_string();
        }
        // It would be part of the URL, of which nobody reads that part.
        request.headers.remove("x-forwarded-proto");
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_http::{Context, RequestExt as _};

    #[test]
    fn whatever_stands_in_a_query_is_read() {
        let every_character: String = (0..0x250).filter_map(char::from_u32).collect();
        let text = include_str!("../../events/status.json");
        let mut event: serde_json::Value = serde_json::from_str(text).unwrap();
        event["rawQueryString"] = format!("limit=<5>&other={every_character}").into();
        event["headers"]["x-forwarded-proto"] = "://".into();
        let payload = serde_json::from_value(event).unwrap();
        let request: Request = legible(LambdaEvent::new(payload, Context::default()))
            .payload
            .into();
        let query = request.query_string_parameters_ref().unwrap();
        assert_eq!(query.first("limit"), Some("<5>"));
    }

    #[test]
    fn a_query_that_is_in_order_stays_as_it_is() {
        let query = "a=1&b=%20%C3%A4&c='x'!(y)*,;:@/?$+-._~";
        assert_eq!(
            utf8_percent_encode(query, NOT_IN_A_QUERY).to_string(),
            query
        );
    }
}
