//! Postern asked past the proxy.

use std::net::Ipv4Addr;

use super::client;
use super::people::Tokens;
use super::postern::Postern;

/// A client that finds Postern's port and asks for itself, in the words of a proxy, gets no answer at all.
#[test]
fn a_client_that_asks_by_itself_is_hung_up_on() {
    let tokens = Tokens::mint();
    let postern = Postern::start(&tokens);
    let question = format!(
        "GET /auth/ingress-nginx HTTP/1.1\r\nHost: postern.example.test\r\nX-Original-Method: GET\r\n\
         X-Original-URL: http://app.example.test/desk\r\nAuthorization: Bearer {}\r\n\r\n",
        tokens.fill("{alice}")
    );
    let answer = client::send_from(Ipv4Addr::LOCALHOST, postern.http, question.as_bytes());
    assert_eq!(answer.expect("a proxy's answer").status, 200, "{}", postern.log());
    let answer = client::send(postern.http, question.as_bytes());
    assert!(answer.is_err(), "a client was answered: {answer:?}");
}
