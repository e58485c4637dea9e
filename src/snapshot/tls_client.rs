//! TLS to a server that the policy names, from the keys in which it says how.

use crate::config::at::At;
use crate::config::load::Surroundings;
use crate::config::tree::SecretRef;
use crate::model::problem::Problem;
use crate::model::problem::Problems;
use crate::outbound::tls::TlsClient;
use crate::outbound::tls::TlsError;
use crate::outbound::tls::TlsFiles;

/// What is written beside an address.
pub(super) struct TlsKeys<'a> {
    pub(super) of: &'a At<String>,
    pub(super) ca_file: Option<&'a At<String>>,
    pub(super) server_name: Option<&'a At<String>>,
    pub(super) certificate: Option<&'a At<String>>,
    pub(super) key: Option<&'a At<SecretRef>>,
}

impl TlsKeys<'_> {
    /// A client for this host, or problems.
    pub(super) fn client(
        &self,
        host: &str,
        surroundings: &Surroundings<'_>,
        problems: &mut Problems,
    ) -> Option<TlsClient> {
        let Some(ca_file) = self.ca_file else {
            let message = "nothing says which authority the receiver's certificate is from";
            let help = "name a PEM file of CA certificates in `ca_file`";
            problems.push(Problem::error(self.of.place.clone(), "", message).help(help));
            return None;
        };
        let own = match (self.certificate, self.key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => {
                let read = surroundings.file(certificate).and_then(|chain| Ok((chain, surroundings.secret(key)?)));
                Some(read.map_err(|problem| problems.push(problem)).ok()?)
            }
            (Some(At { place, .. }), None) | (None, Some(At { place, .. })) => {
                let message = "a certificate is shown with its key, or not at all";
                problems.push(Problem::error(place.clone(), "", message).help("write `certificate` and `key`"));
                return None;
            }
        };
        let authorities = surroundings.file(ca_file).map_err(|problem| problems.push(problem)).ok()?;
        let any_host = self.server_name.is_some();
        let server_name = self.server_name.map_or_else(|| host.to_owned(), |name| name.value.clone());
        let built = TlsClient::build(TlsFiles { authorities, server_name, any_host, own });
        built.map_err(|error| problems.push(self.problem(&error, ca_file))).ok()
    }

    /// None of it means anything without TLS.
    pub(super) fn say_nothing(&self, help: &str, problems: &mut Problems) {
        let files = [self.ca_file, self.server_name, self.certificate].into_iter().flatten().map(|at| &at.place);
        for place in files.chain(self.key.map(|at| &at.place)) {
            problems.push(Problem::error(place.clone(), "", "this says nothing without TLS").help(help));
        }
    }

    fn problem(&self, error: &TlsError, ca_file: &At<String>) -> Problem {
        let place = match error {
            TlsError::Authorities | TlsError::Setup(_) => Some(&ca_file.place),
            TlsError::ServerName(_) => self.server_name.map(|name| &name.place),
            TlsError::Certificate | TlsError::Pair(_) => self.certificate.map(|file| &file.place),
            TlsError::Key => self.key.map(|key| &key.place),
        };
        let help = match error {
            TlsError::Authorities | TlsError::Setup(_) => "name a PEM file of CA certificates",
            TlsError::ServerName(_) => "write a host name or an address",
            TlsError::Certificate => "name a PEM file of certificates",
            TlsError::Pair(_) => "name the key that the certificate was made for",
            TlsError::Key => "name a PEM file with an unencrypted key",
        };
        Problem::error(place.unwrap_or(&self.of.place).clone(), "", error.to_string()).help(help)
    }
}
