//! The admin address: is it alive, is it ready, what has it counted.

use super::App;
use super::problem::ApiProblem;
use crate::telemetry;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// `GET /healthz`: the process answers.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: the store answers, and takes changes. A load balancer sends requests while this is 200.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Result<&'static str, ApiProblem> {
    app.store.is_writable()?;
    Ok("ready\n")
}

/// `GET /metrics`: Prometheus text format, version 0.0.4.
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Response {
    metrics::gauge!(telemetry::FEEDS_BYTES).set(app.feeds.bytes() as f64);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.metrics.render()).into_response()
}
