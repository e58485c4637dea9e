//! What came back, out of either wire.

use anyhow::Context;
use bytes::Bytes;
use prost::Message;
use serde::Serialize;

use crate::dialect::ext_authz::CheckResponse;
use crate::dialect::ext_authz::proto::envoy::config::core::v3::HeaderValueOption;
use crate::dialect::ext_authz::proto::envoy::service::auth::v3::check_response::HttpResponse;
use crate::telemetry::log::Plain;

/// An answer as the proxy understands it.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Answer {
    pub allowed: bool,
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// Headers the proxy was told to remove.
    pub remove: Vec<String>,
    pub body: String,
}

impl Answer {
    /// For people.
    pub fn text(&self) -> String {
        let mut text = format!("{} {}\n", if self.allowed { "allow" } else { "deny" }, self.status);
        for (name, value) in &self.headers {
            text.push_str(&format!("  {}: {}\n", Plain(name), Plain(value)));
        }
        if !self.remove.is_empty() {
            text.push_str(&format!("  remove: {}\n", Plain(&self.remove.join(", "))));
        }
        for line in self.body.lines() {
            text.push_str(&format!("  {}\n", Plain(line)));
        }
        text
    }

    /// For programs.
    pub fn json(&self) -> anyhow::Result<String> {
        Ok(format!("{}\n", serde_json::to_string_pretty(self)?))
    }

    /// Out of a gRPC message.
    pub(super) fn from_grpc(frame: &Bytes) -> anyhow::Result<Answer> {
        let message = frame.get(5..).context("the answer is not a gRPC message")?;
        let response = CheckResponse::decode(message).context("the answer is not a CheckResponse")?;
        let headers = |options: &[HeaderValueOption]| {
            options
                .iter()
                .filter_map(|option| option.header.as_ref())
                .map(|header| (header.key.clone(), header.value.clone()))
                .collect()
        };
        // The status alone decides; 0 allows (`google.rpc.Code`).
        let allowed = response.status.is_some_and(|status| status.code == 0);
        Ok(match response.http_response {
            Some(HttpResponse::OkResponse(ok)) => Answer {
                allowed,
                status: 200,
                headers: headers(&ok.headers),
                remove: ok.headers_to_remove,
                body: String::new(),
            },
            Some(HttpResponse::DeniedResponse(denied)) => Answer {
                allowed,
                status: denied.status.map_or(403, |status| u16::try_from(status.code).unwrap_or(403)),
                headers: headers(&denied.headers),
                remove: Vec::new(),
                body: denied.body,
            },
            None => Answer { allowed, status: if allowed { 200 } else { 403 }, ..Answer::default() },
        })
    }

    /// Out of an HTTP response.
    pub(super) fn from_http(head: &http::response::Parts, body: &Bytes) -> Answer {
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let skip = ["content-length", "date", "x-envoy-auth-headers-to-remove"];
        Answer {
            allowed: head.status == http::StatusCode::OK,
            status: head.status.as_u16(),
            headers: head
                .headers
                .iter()
                .filter(|(name, _)| !skip.contains(&name.as_str()))
                .map(|(name, value)| (name.to_string(), text(value)))
                .collect(),
            remove: head
                .headers
                .get("x-envoy-auth-headers-to-remove")
                .map(|list| text(list).split(", ").map(str::to_owned).collect())
                .unwrap_or_default(),
            body: String::from_utf8_lossy(body).into_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::ext_authz::proto::google::rpc::Status;

    #[test]
    fn an_http_answer_is_read_as_its_proxy_reads_it() {
        let response = http::Response::builder()
            .header("remote-user", "alice")
            .header("content-length", "0")
            .header("x-envoy-auth-headers-to-remove", "remote-name, x-api-key");
        let (head, ()) = response.body(()).expect("a response").into_parts();
        let answer = Answer::from_http(&head, &Bytes::new());
        assert_eq!(answer.text(), "allow 200\n  remote-user: alice\n  remove: remote-name, x-api-key\n");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&answer.json().expect("JSON")).expect("JSON"),
            serde_json::json!({
                "allowed": true, "status": 200, "headers": [["remote-user", "alice"]],
                "remove": ["remote-name", "x-api-key"], "body": "",
            })
        );
    }

    #[test]
    fn only_status_0_of_a_grpc_answer_allows() {
        let framed = |response: CheckResponse| Bytes::from([&[0; 5][..], &response.encode_to_vec()].concat());
        for (code, want) in [(Some(0), "allow 200\n"), (Some(7), "deny 403\n"), (None, "deny 403\n")] {
            let status = code.map(|code| Status { code, ..Status::default() });
            let answer = Answer::from_grpc(&framed(CheckResponse { status, ..CheckResponse::default() }));
            assert_eq!(answer.expect("an answer").text(), want, "{code:?}");
        }
        assert!(Answer::from_grpc(&Bytes::from_static(b"abc")).is_err());
    }

    #[test]
    fn what_an_upstream_says_cannot_steer_the_terminal() {
        let answer = Answer { body: "\u{1b}[2Jgone\nstill".to_owned(), ..Answer::default() };
        assert_eq!(answer.text(), "deny 0\n  \\u{1b}[2Jgone\n  still\n");
    }
}
