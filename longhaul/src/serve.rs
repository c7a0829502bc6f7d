//! The process of a function behind the HTTP API: from an event to a request, and from a response to an answer.
//!
//! Whatever a client sends and whatever becomes of it, it gets an answer of the contract. What went wrong inside is for
//! the log: Lambda's runtime would hand the text of a panic on to whoever invoked the function.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use http::HeaderValue;
use http::header::{HOST, X_CONTENT_TYPE_OPTIONS};
use lambda_http::aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use lambda_http::aws_lambda_events::query_map::QueryMap;
use lambda_http::lambda_runtime::{self, LambdaEvent};
use lambda_http::request::LambdaRequest;
use lambda_http::{Body, Error, Request, RequestExt as _, Response, service_fn};
use serde_json::value::RawValue;

use crate::api::ApiError;

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
    let handle = &handle;
    // Read here and not by the runtime, which answers with why it cannot read an event.
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Box<RawValue>>| {
        Ok::<_, Error>(answer(handle, event.payload.get()).await)
    }))
    .await
}

/// What the function answers to an event of API Gateway (payload format 2.0).
pub async fn answer<H, F>(handle: H, event: &str) -> ApiGatewayV2httpResponse
where
    H: Fn(Request) -> F,
    F: Future<Output = Response<Body>>,
{
    let work = async {
        match request(event) {
            // On the heap, for the compiler, too, has its limits in depth.
            Ok(request) => Box::pin(handle(request)).await,
            Err(error) => error.into_response(),
        }
    };
    let response = caught(work).await.unwrap_or_else(|panic| {
        tracing::error!(panic, "a request could not be answered");
        ApiError::Internal.into_response()
    });
    let (mut head, body) = response.into_parts();
    // Whatever it is, it is what it says that it is.
    let nosniff = HeaderValue::from_static("nosniff");
    head.headers.insert(X_CONTENT_TYPE_OPTIONS, nosniff);
    let mut answer = ApiGatewayV2httpResponse::default();
    answer.status_code = head.status.as_u16().into();
    answer.headers = head.headers;
    answer.is_base64_encoded = matches!(body, Body::Binary(_));
    answer.body = Some(body).filter(|body| *body != Body::Empty);
    answer
}

/// The request that the event stands for.
///
/// `lambda_http` makes a URL of what the event says of protocol, host, stage, path and query, and decodes the body, and it
/// panics where there is none or where that cannot be. So it is not given any of them: path, query and body are taken
/// from the event as they are, and nobody needs the URL.
///
/// # Errors
///
/// [`ApiError::Malformed`] when no request can look like this.
pub fn request(event: &str) -> Result<Request, ApiError> {
    let unreadable = || ApiError::Malformed("The request cannot be read.".to_owned());
    let mut event: ApiGatewayV2httpRequest = serde_json::from_str(event).map_err(|error| {
        // Without what is wrong: that may be the value of a header.
        tracing::warn!(column = error.column(), "an event is no request");
        unreadable()
    })?;
    // Where there is no host, the protocol is not looked at.
    event.headers.remove(HOST);
    event.request_context.domain_name = None;
    event.request_context.stage = None;
    let path = event.raw_path.take().unwrap_or_default();
    let query = event.raw_query_string.take().unwrap_or_default();
    let Ok(query) = query.parse::<QueryMap>();
    let body = match event.body.take() {
        None => Body::Empty,
        Some(text) if event.is_base64_encoded => {
            let bytes = aws_smithy_types::base64::decode(text).map_err(|_| unreadable())?;
            Body::Binary(bytes)
        }
        Some(text) => Body::Text(text),
    };
    let mut request = Request::from(LambdaRequest::ApiGatewayV2(event));
    *request.body_mut() = body;
    Ok(request
        .with_raw_http_path(&path)
        .with_query_string_parameters(query))
}

/// What `work` comes to or, where it panics, what the panic says.
async fn caught<T>(work: impl Future<Output = T>) -> Result<T, String> {
    let mut work = pin!(work);
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        match polled {
            Ok(polled) => polled.map(Ok),
            Err(panic) => Poll::Ready(Err(text_of(&*panic))),
        }
    })
    .await
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const STATUS: &str = include_str!("../../events/status.json");
    const SUBMIT: &str = include_str!("../../events/submit.json");

    /// The sample event with something else at one place.
    fn with(event: &str, at: &str, value: impl Into<Value>) -> String {
        let mut event: Value = serde_json::from_str(event).unwrap();
        let (parent, name) = at.rsplit_once('/').unwrap();
        event.pointer_mut(parent).unwrap()[name] = value.into();
        event.to_string()
    }

    #[test]
    fn a_request_is_read_as_it_was_sent() {
        let request = request(SUBMIT).unwrap();
        assert_eq!(request.method(), "POST");
        assert_eq!(request.headers()["content-type"], "application/json");
        assert_eq!(request.raw_http_path(), "/api/tuned-long-running-task/");
        assert_eq!(request.body(), &Body::from("{\"number_of_items\": 5}"));
        assert!(crate::api::user(&request).is_ok());
        let encoded = with(SUBMIT, "/body", "eyJ4IjogMX0=");
        let request = self::request(&with(&encoded, "/isBase64Encoded", true)).unwrap();
        assert_eq!(request.body(), &Body::from(&b"{\"x\": 1}"[..]));
    }

    #[test]
    fn whatever_stands_in_a_query_is_read() {
        let every_character: String = (0..0x250).filter_map(char::from_u32).collect();
        let query = format!(
            "limit=<5>&other={every_character}&%ff=%zz&long={}",
            "x".repeat(100_000)
        );
        let request = request(&with(STATUS, "/rawQueryString", query)).unwrap();
        assert_eq!(crate::api::query(&request, "limit"), Some("<5>"));
    }

    #[test]
    fn what_no_url_can_be_made_of_does_not_matter() {
        for (at, value) in [
            ("/headers/host", "a b"),
            ("/headers/host", ""),
            ("/headers/host", "[::1"),
            ("/headers/host", "x:99999"),
            ("/headers/x-forwarded-proto", "://"),
            ("/requestContext/domainName", "a b"),
            ("/rawPath", ":99999"),
            ("/rawPath", "//[/items"),
            ("/rawPath", "\u{0}<>\"{}|\\^`%"),
        ] {
            let request = request(&with(STATUS, at, value)).unwrap();
            assert!(crate::api::task_id(&request).is_ok(), "{at}: {value}");
        }
        let long = "x".repeat(100_000);
        for at in ["/rawPath", "/requestContext/stage", "/headers/host"] {
            assert!(request(&with(STATUS, at, &*long)).is_ok(), "{at}");
        }
    }

    async fn answer_of(handle: impl AsyncFn(Request) -> Response<Body>, event: &str) -> Value {
        let answer = answer(|request| handle(request), event).await;
        serde_json::to_value(answer).unwrap()
    }

    #[tokio::test]
    async fn what_is_no_request_is_refused_without_a_word_about_why() {
        let base64 = with(SUBMIT, "/isBase64Encoded", true);
        for event in [
            "{}".to_owned(),
            "5".to_owned(),
            with(SUBMIT, "/headers/x", "a\nb"),
            with(SUBMIT, "/headers/a b", "x"),
            with(SUBMIT, "/requestContext/http/method", "a b"),
            with(&base64, "/body", "secret"),
        ] {
            let answer = answer_of(async |_| panic!("handled"), &event).await;
            let body = r#"{"success":false,"message":"The request cannot be read."}"#;
            assert_eq!(answer["statusCode"], 400, "{event}");
            assert_eq!(answer["body"], body, "{event}");
        }
    }

    #[tokio::test]
    async fn a_panic_is_answered_and_its_text_is_not() {
        let expected = json!({
            "statusCode": 500,
            "headers": {
                "content-type": "application/json",
                "cache-control": "no-store",
                "x-content-type-options": "nosniff",
            },
            "multiValueHeaders": {},
            "body": r#"{"success":false,"message":"Internal server error"}"#,
            "isBase64Encoded": false,
            "cookies": [],
        });
        let at_once = answer_of(async |_| panic!("secret"), STATUS).await;
        assert_eq!(at_once, expected);
        let later = async |_| {
            tokio::task::yield_now().await;
            panic!("{}", "secret")
        };
        assert_eq!(answer_of(later, STATUS).await, expected);
        let before_there_is_a_future = answer(
            |_| -> std::future::Ready<Response<Body>> { panic!("secret") },
            STATUS,
        );
        let answer = serde_json::to_value(before_there_is_a_future.await);
        assert_eq!(answer.unwrap(), expected);
    }

    #[test]
    fn a_panic_says_what_it_says() {
        let of = |panic: fn()| text_of(&*catch_unwind(panic).unwrap_err());
        assert_eq!(of(|| panic!("why")), "why");
        assert_eq!(of(|| panic!("{}", 5)), "5");
        assert_eq!(of(|| std::panic::panic_any(5)), "");
    }
}
