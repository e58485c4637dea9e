//! The client against a bare loopback server that answers with the octets it is told to.

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::*;

/// Serve every connection with these octets; `keep_open` never ends the answer.
async fn serve(answer: Vec<u8>, keep_open: bool) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    tokio::spawn(async move {
        let mut held = vec![];
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(&answer).await;
            if keep_open {
                held.push(stream);
            }
        }
    });
    Url::parse(&format!("http://{address}/keys")).expect("url")
}

fn near() -> Limits {
    Limits { reach: Reach::Any, insecure_http: true, ..Limits::default() }
}

fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    [head.as_bytes(), b"\r\n", body].concat()
}

async fn get(url: &Url, limits: &Limits) -> Result<Bytes, OutboundError> {
    Client::new(&Settings::default()).expect("client").get(url, HeaderMap::new(), limits).await
}

#[tokio::test]
async fn a_plain_answer_is_read_whole() {
    let url = serve(answer("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n", b"hello"), false).await;
    assert_eq!(get(&url, &near()).await.expect("answer"), "hello");
}

#[tokio::test]
async fn k3_too_much_is_refused_by_length_and_while_reading() {
    let limits = Limits { size: 10, ..near() };
    let declared = serve(answer("HTTP/1.1 200 OK\r\ncontent-length: 11\r\n", b"01234567890"), false).await;
    let streamed = serve(answer("HTTP/1.1 200 OK\r\nconnection: close\r\n", b"01234567890"), false).await;
    let fits = serve(answer("HTTP/1.1 200 OK\r\nconnection: close\r\n", b"0123456789"), false).await;
    assert!(matches!(get(&declared, &limits).await, Err(OutboundError::TooLarge { size: 10, .. })));
    assert!(matches!(get(&streamed, &limits).await, Err(OutboundError::TooLarge { size: 10, .. })));
    assert_eq!(get(&fits, &limits).await.expect("answer"), "0123456789");
}

#[tokio::test]
async fn k3_a_stalled_answer_ends_at_the_deadline() {
    let limits = Limits { total: Duration::from_millis(100), ..near() };
    let silent = serve(vec![], true).await;
    let halfway = serve(answer("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n", b"hel"), true).await;
    for url in [silent, halfway] {
        assert!(matches!(get(&url, &limits).await, Err(OutboundError::TooSlow { .. })));
    }
}

#[tokio::test]
async fn k2_redirects_are_errors() {
    let trap = serve(answer("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n", b"trap"), false).await;
    let head = format!("HTTP/1.1 302 Found\r\nlocation: {trap}\r\ncontent-length: 0\r\n");
    let url = serve(answer(&head, b""), false).await;
    assert!(matches!(get(&url, &near()).await, Err(OutboundError::Redirect { status: 302, .. })));
}

#[tokio::test]
async fn other_statuses_are_errors() {
    for status in [204, 206, 404, 500] {
        let head = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n");
        let url = serve(answer(&head, b""), false).await;
        let error = get(&url, &near()).await.expect_err("an error");
        assert!(matches!(error, OutboundError::Status { status: got, .. } if got == status), "{status}: {error}");
    }
}

#[tokio::test]
async fn a_form_is_posted_and_any_status_but_a_redirect_is_heard() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let url = Url::parse(&format!("http://{}/x", listener.local_addr().expect("address"))).expect("url");
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut request = Vec::new();
        while !request.ends_with(b"token=a%2Bb") {
            let mut buffer = [0; 1024];
            let length = stream.read(&mut buffer).await.expect("a request");
            assert_ne!(length, 0, "{}", String::from_utf8_lossy(&request));
            request.extend_from_slice(&buffer[..length]);
        }
        let _ = stream.write_all(b"HTTP/1.1 401 x\r\ncontent-length: 4\r\n\r\noops").await;
        String::from_utf8(request).expect("text").to_ascii_lowercase()
    });
    let client = Client::new(&Settings::default()).expect("client");
    let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, HeaderValue::from_static("Basic eDp5"))]);
    let reply = client.ask(&url, Asked::Form("token=a%2Bb".to_owned()), headers, &near()).await.expect("a reply");
    assert_eq!(reply, Reply { status: StatusCode::UNAUTHORIZED, body: Bytes::new() });
    let request = server.await.expect("a request");
    assert!(request.starts_with("post /x http/1.1\r\n"), "{request}");
    for line in ["content-type: application/x-www-form-urlencoded", "authorization: basic edp5", "content-length: 11"] {
        assert!(request.contains(&format!("{line}\r\n")), "{request}");
    }
}

#[tokio::test]
async fn k2_plain_http_private_targets_and_credentials_are_refused() {
    let url = serve(answer("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n", b"trap"), false).await;
    let guarded = Limits { insecure_http: true, ..Limits::default() };
    assert!(matches!(get(&url, &Limits::default()).await, Err(OutboundError::NotHttps(_))));
    assert!(matches!(get(&url, &guarded).await, Err(OutboundError::NotPublic(_))));

    let mut spelled = url.clone();
    for host in ["2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "[::1]"] {
        spelled.set_host(Some(host)).expect("host");
        assert!(matches!(get(&spelled, &guarded).await, Err(OutboundError::NotPublic(_))), "{spelled}");
    }

    let mut named = url.clone();
    named.set_host(Some("localhost")).expect("host");
    match get(&named, &guarded).await {
        Err(OutboundError::Failed { cause, .. }) => {
            assert_eq!(
                cause,
                "`localhost` has no public address, and only those may be reached unless the host is listed"
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(get(&named, &near()).await.expect("answer"), "trap");

    let mut with_password = url.clone();
    with_password.set_password(Some("hunter2")).expect("password");
    assert!(matches!(get(&with_password, &near()).await, Err(OutboundError::Credentials)));

    let other = Url::parse("file:///etc/passwd").expect("url");
    assert!(matches!(get(&other, &near()).await, Err(OutboundError::NotHttps(_))));
}

#[tokio::test]
async fn https_to_a_plain_server_fails_without_falling_back() {
    let mut url = serve(answer("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n", b"trap"), false).await;
    url.set_scheme("https").expect("scheme");
    let error = get(&url, &near()).await.expect_err("an error");
    assert!(matches!(error, OutboundError::Failed { .. } | OutboundError::NoRoots), "{error}");
}

#[tokio::test]
async fn f6_no_error_tells_what_the_query_of_a_url_holds() {
    let with_key = |mut url: Url| {
        url.set_query(Some("key=canary"));
        url
    };
    let quick = Limits { total: Duration::from_millis(100), size: 1, ..near() };
    let urls = [
        serve(vec![], true).await,
        serve(vec![], false).await,
        serve(answer("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n", b"hello"), false).await,
        serve(answer("HTTP/1.1 302 Found\r\ncontent-length: 0\r\nlocation: /\r\n", b""), false).await,
        serve(answer("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n", b""), false).await,
        Url::parse("ftp://logs.test/").expect("url"),
    ];
    for url in urls.map(with_key) {
        let error = get(&url, &quick).await.expect_err("no answer").to_string();
        assert!(!error.contains("canary"), "{error}");
        let uplink = upload::Uplink::new(&upload::Way { plain: true, ..upload::Way::default() }).expect("uplink");
        if let Err(error) = uplink.post(&url, HeaderMap::new(), Bytes::new(), quick.total).await {
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }
}
