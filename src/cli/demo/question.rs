//! The questions the demo asks, and the lines to ask them again.

use anyhow::Context;

use crate::cli::demo::issuer::Person;
use crate::cli::request::ClientRequest;
use crate::model::listen::Listen;

/// One question.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question {
    title: &'static str,
    path: &'static str,
    /// Whose token goes along.
    who: Option<&'static str>,
    header: Option<(&'static str, &'static str)>,
}

/// An allow, a 401, a 403 and a spoof.
pub(super) const QUESTIONS: [Question; 4] = [
    Question {
        title: "allowed: alice is in it-admins, whose role `admin` includes `operator`",
        path: "/admin/users",
        who: Some("alice"),
        header: None,
    },
    Question { title: "401: nobody says who is asking", path: "/admin/users", who: None, header: None },
    Question { title: "403: bob is staff, but no operator", path: "/admin/users", who: Some("bob"), header: None },
    Question {
        title: "400: bob claims to be root in an identity header",
        path: "/",
        who: Some("bob"),
        header: Some(("Remote-User", "root")),
    },
];

const HOST: &str = "app.example.test";
const CLIENT: &str = "198.51.100.9";

impl Question {
    /// The request, with the token itself.
    pub(super) fn client_request(&self, tokens: &[(Person, String)]) -> ClientRequest {
        let mut headers: Vec<(String, String)> =
            self.header.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        if let Some((_, token)) = tokens.iter().find(|(person, _)| Some(person.user) == self.who) {
            headers.push(("authorization".to_owned(), format!("Bearer {token}")));
        }
        ClientRequest {
            method: "GET".to_owned(),
            scheme: "https".to_owned(),
            host: HOST.to_owned(),
            target: self.path.to_owned(),
            from: CLIENT.to_owned(),
            headers,
            certificate: None,
        }
    }

    /// The title, and the same question for a shell: once by `postern ask`, once by curl.
    pub(super) fn text(&self, listen: &Listen) -> anyhow::Result<String> {
        let grpc = listen.grpc.as_ref().context("no gRPC listener")?;
        let http = listen.http.as_ref().context("no HTTP listener")?;
        let program = std::env::args().next().unwrap_or_else(|| "postern".to_owned());
        let variable = self.who.map(str::to_uppercase);
        let token = variable.as_ref().map(|name| format!(" --token \"${name}\"")).unwrap_or_default();
        let header = self.header.map(|(name, value)| format!(" -H '{name}: {value}'")).unwrap_or_default();
        let bearer = variable.map(|name| format!(" -H \"Authorization: Bearer ${name}\"")).unwrap_or_default();
        Ok(format!(
            "\n# {title}\n{program} ask --to {grpc} --from {CLIENT} --url https://{HOST}{path}{token}{header}\ncurl -si \
             http://{http}/auth/traefik -H 'X-Forwarded-Method: GET' -H 'X-Forwarded-Proto: https' -H 'X-Forwarded-Host: \
             {HOST}' -H 'X-Forwarded-Uri: {path}' -H 'X-Forwarded-For: {CLIENT}'{bearer}{header}\n",
            title = self.title,
            path = self.path,
        ))
    }
}
