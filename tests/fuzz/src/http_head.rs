//! The head of a check as it comes, to every HTTP dialect. Input: method and target, then header fields, one a line.

use http::request::Parts;
use postern::dialect::forward_auth;
use postern::model::dialect::Dialect;

use super::oracle;
use super::world::{authorize, substitute};

pub fn run(input: &[u8]) {
    let input = substitute(input);
    let Some(parts) = head(&input) else { return };
    let _ = forward_auth::of_path(parts.uri.path());
    for dialect in Dialect::ALL {
        let decoded = forward_auth::decode(dialect, &parts);
        let stated = decoded.as_ref().ok().map(|attributes| (attributes.host.to_owned(), attributes.target.to_owned()));
        if let Ok(attributes) = &decoded {
            stands_written(dialect, &parts, attributes.host, attributes.target);
        }
        let response = authorize(decoded);
        let answer = oracle::over_http(dialect, &parts.method, &response);
        match stated {
            Some((host, target)) => oracle::judge(&answer, &host, &target, &input),
            None => assert!(!answer.allowed),
        }
    }
}

/// Host and target come out of the fields the dialect reads, each of which stands once, and are not changed.
fn stands_written(dialect: Dialect, parts: &Parts, host: &str, target: &str) {
    let only = |name: &str| {
        let mut values = parts.headers.get_all(name).iter();
        let value = values.next().and_then(|value| value.to_str().ok());
        assert!(values.next().is_none(), "{dialect:?}: several {name}");
        value.unwrap_or_default().to_owned()
    };
    match dialect {
        Dialect::IngressNginx => {
            let url = only("x-original-url");
            assert!(url.split_once("://").is_some_and(|(_, rest)| rest == format!("{host}{target}")), "{url}");
        }
        Dialect::EnvoyHttp => {
            assert_eq!(parts.uri.path_and_query().map(|own| own.as_str()), Some(&*format!("/auth/envoy{target}")));
        }
        Dialect::ExtAuthz => panic!("not over HTTP"),
        Dialect::Caddy | Dialect::Traefik | Dialect::Nginx | Dialect::Haproxy => {
            assert_eq!((only("x-forwarded-host").as_str(), only("x-forwarded-uri").as_str()), (host, target));
        }
    }
}

fn head(input: &[u8]) -> Option<Parts> {
    let mut lines = input.split(|octet| *octet == b'\n');
    let mut words = lines.next()?.split(|octet| *octet == b' ');
    let mut request = http::Request::builder().method(words.next()?).uri(words.next()?);
    for line in lines {
        let Some(colon) = line.iter().position(|octet| *octet == b':') else { continue };
        let (name, value) = line.split_at(colon);
        request = request.header(name, value.get(1..)?.trim_ascii());
    }
    Some(request.body(()).ok()?.into_parts().0)
}
