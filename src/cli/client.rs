//! A client of the HTTP API for the commands, which turns problem documents into errors that say what to do next.

use std::{env, time::Duration};

use anyhow::Context;
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::Serialize;
use serde_json::Value;

use crate::{Secret, tls::install_crypto_provider};

/// Timeout of connecting to a server.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Timeout of an answer, in addition to requested waits.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// The longest wait in one request.
pub const WAIT: Duration = Duration::from_secs(30);

/// The server and the API key.
#[derive(Clone, Debug, clap::Args)]
pub struct ServerArgs {
    /// The server's URL
    #[arg(long, global = true, value_name = "URL", env = "BACKSTITCH_URL", default_value = "http://127.0.0.1:8080")]
    pub url: Url,
    /// The API key, sent as a bearer token
    #[arg(long, global = true, value_name = "KEY", env = "BACKSTITCH_API_KEY", hide_env_values = true)]
    pub api_key: Option<Secret>,
}

/// A problem document or other failed answer.
#[derive(Clone, Debug, thiserror::Error)]
pub struct ApiError {
    /// The HTTP status.
    pub status: u16,
    /// The stable code.
    pub code: String,
    /// Describes this case.
    pub detail: String,
    /// The request's id in the server's log.
    pub request_id: Option<String>,
    /// A hint on what to do next.
    pub hint: Option<String>,
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}", self.detail, self.code)?;
        if let Some(id) = self.request_id.as_ref().filter(|_| self.status >= 500) {
            write!(f, ", request id {id}")?;
        }
        write!(f, ")")?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "\n{hint}"))
    }
}

/// The client.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    key: Option<Secret>,
    actor: String,
}

impl Client {
    /// A client of this server.
    ///
    /// # Errors
    /// When TLS can't be set up.
    pub fn new(args: &ServerArgs) -> anyhow::Result<Self> {
        install_crypto_provider();
        let mut builder = reqwest::Client::builder().connect_timeout(CONNECT_WITHIN);
        if args.url.host_str().is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]")) {
            builder = builder.no_proxy();
        }
        let user = env::var("USER").unwrap_or_default();
        Ok(Self {
            http: builder.build().context("the HTTP client can't be set up")?,
            base: args.url.as_str().trim_end_matches('/').to_owned(),
            key: args.api_key.clone(),
            actor: if user.is_ascii() && !user.is_empty() { format!("cli:{user}") } else { "cli".to_owned() },
        })
    }

    /// Reads.
    pub async fn get(&self, path: &str, query: &[(&str, String)]) -> anyhow::Result<Value> {
        self.find(path, query).await
    }

    /// The id of the run that is meant by an id, or by the beginning of one: only reading takes beginnings, so that nothing is
    /// done to a run that has not been named whole.
    pub async fn run_id(&self, given: &str) -> anyhow::Result<String> {
        let is_beginning = given.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        if uuid::Uuid::try_parse(given).is_ok() || !is_beginning {
            return Ok(encoded(given));
        }
        let run = self.get(&format!("/v1/runs/{given}"), &[]).await?;
        run["id"].as_str().map(str::to_owned).context("the server's answer is not a run")
    }

    /// Reads what fits a filter.
    pub async fn find<Q: Serialize + ?Sized>(&self, path: &str, filter: &Q) -> anyhow::Result<Value> {
        self.answer(self.request(Method::GET, path).query(filter)).await
    }

    /// Writes; `key` is the idempotency key.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        key: Option<&str>,
    ) -> anyhow::Result<Value> {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        self.answer(request).await
    }

    /// Opens an event stream; none if no more events will follow.
    pub async fn events(&self, path: &str, last: Option<&str>) -> anyhow::Result<Option<Response>> {
        let mut request = self.request(Method::GET, path).header("accept", "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = self.checked(request).await?;
        Ok(Some(response).filter(|response| response.status() != StatusCode::NO_CONTENT))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base)).header("x-actor", &self.actor);
        match &self.key {
            Some(key) => request.bearer_auth(key.expose()),
            None => request,
        }
    }

    async fn answer(&self, request: RequestBuilder) -> anyhow::Result<Value> {
        let response = self.checked(request.timeout(WAIT + ANSWER_WITHIN)).await?;
        let text = response.text().await.context("the server's answer broke off")?;
        serde_json::from_str(&text).with_context(|| format!("{} answered something that is not JSON", self.base))
    }

    async fn checked(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let path = response.url().path().to_owned();
        let text = response.text().await.unwrap_or_default();
        Err(read_problem(status, &path, &text).into())
    }

    fn unreachable(&self, error: &reqwest::Error) -> anyhow::Error {
        let cause = if error.is_timeout() { "it did not answer in time" } else { "no connection" };
        anyhow::anyhow!(
            "the server at {} can't be reached: {cause}\n\
             Is one running? `backstitch dev` starts one; --url (BACKSTITCH_URL) says where it is.",
            self.base
        )
    }
}

/// Escapes a text for a path or query.
pub fn encoded(text: &str) -> String {
    let escaped = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(escaped).collect()
}

fn read_problem(status: StatusCode, path: &str, text: &str) -> ApiError {
    let problem: Value = serde_json::from_str(text).unwrap_or_default();
    let field = |name: &str| problem[name].as_str().map(str::to_owned);
    let code = field("code").unwrap_or_else(|| format!("http_{}", status.as_u16()));
    let detail = field("detail").unwrap_or_else(|| format!("the server answered {status} and no problem document"));
    ApiError {
        status: status.as_u16(),
        hint: hint(&code, path, field("run_id").as_deref()),
        request_id: field("request_id"),
        code,
        detail,
    }
}

/// Suggests the next command. The run's or order's id is in the path: `/v1/runs/{id}/…`.
fn hint(code: &str, path: &str, run_id: Option<&str>) -> Option<String> {
    let mut parts = path.trim_start_matches("/v1/").split('/');
    let (noun, id) = (parts.next().unwrap_or_default(), run_id.or(parts.next()).unwrap_or("ID"));
    let noun = if run_id.is_some() { "run" } else { noun.strip_suffix('s').unwrap_or(noun) };
    Some(match code {
        "unknown_workflow" => "Workers register their workflows: is one running? (`backstitch worker`)".to_owned(),
        "key_conflict" if run_id.is_some() => format!("`backstitch run show {id}` shows its input."),
        "past_pivot" => {
            format!("`backstitch run compensate {id} --reason TEXT --dry-run` shows what would be undone.")
        }
        "held_by_worker" => format!("`backstitch run pause {id}` stops it after its current attempts; then try again."),
        "unknown_step" => format!("`backstitch run show {id}` lists its steps."),
        "wrong_state" if noun == "run" => format!("`backstitch run why {id}` explains its state."),
        "wrong_state" | "window_closed" if matches!(noun, "order" | "operation") => {
            format!("`backstitch {noun} show {id}` shows its state.")
        }
        "run_ended" => format!("`backstitch run show {id}` shows how it ended."),
        "reason_required" => "Give a reason with --reason TEXT; it is kept in the audit log.".to_owned(),
        "unknown_schedule" => "`backstitch schedule list` lists schedules.".to_owned(),
        "unknown_run" => "`backstitch run list` lists runs.".to_owned(),
        "database_unavailable" => {
            "The server runs, but its Postgres can't do it just now: try again shortly.".to_owned()
        }
        "outcome_unknown" => "It may have happened: look, or send the same again with the same key.".to_owned(),
        "unauthorized" | "forbidden" => "Give an API key with --api-key or BACKSTITCH_API_KEY.".to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_becomes_an_error_that_names_the_next_command() {
        let text = r#"{"code":"past_pivot","detail":"run r1 is past its pivot","request_id":"q"}"#;
        let error = read_problem(StatusCode::CONFLICT, "/v1/runs/r1/cancel", text);
        insta::assert_snapshot!(error, @r"
        run r1 is past its pivot (past_pivot)
        `backstitch run compensate r1 --reason TEXT --dry-run` shows what would be undone.
        ");
    }

    #[test]
    fn a_failure_of_the_server_names_the_request_id() {
        let text = r#"{"code":"database_error","detail":"it failed","request_id":"q1"}"#;
        let error = read_problem(StatusCode::INTERNAL_SERVER_ERROR, "/v1/runs", text);
        insta::assert_snapshot!(error, @"it failed (database_error, request id q1)");
    }

    #[test]
    fn an_answer_that_is_no_problem_is_told_as_such() {
        let error = read_problem(StatusCode::BAD_GATEWAY, "/v1/runs", "<html>");
        insta::assert_snapshot!(error, @"the server answered 502 Bad Gateway and no problem document (http_502)");
    }

    #[test]
    fn a_key_conflict_names_the_run_that_has_the_key() {
        let error = read_problem(StatusCode::CONFLICT, "/v1/runs", r#"{"code":"key_conflict","run_id":"r7"}"#);
        assert!(error.hint.is_some_and(|hint| hint.contains("run show r7")));
    }
}
