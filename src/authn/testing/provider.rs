//! A provider for tests that knows some tokens, and misbehaves when told to.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;

use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::sync::watch;

/// What it does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Mood {
    /// Says of each token what it knows, and of all others that they are not active.
    Honest,
    /// This very octet string, then the end.
    Says(Vec<u8>),
    /// Takes requests and answers when [`Provider::release`] is called.
    Slow,
    /// Takes requests and never answers.
    Silent,
}

/// A provider on loopback that speaks introspection at `/introspect` and userinfo at `/userinfo`.
pub(crate) struct Provider {
    pub(crate) url: String,
    state: Mutex<State>,
    asked: watch::Sender<usize>,
    released: Notify,
}

struct State {
    mood: Mood,
    tokens: HashMap<String, Value>,
    requests: Vec<String>,
}

impl Provider {
    pub(crate) async fn start() -> Arc<Provider> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let url = format!("http://{}", listener.local_addr().expect("address"));
        let state = State { mood: Mood::Honest, tokens: HashMap::new(), requests: vec![] };
        let provider =
            Arc::new(Provider { url, state: Mutex::new(state), asked: watch::Sender::new(0), released: Notify::new() });
        let serving = provider.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        provider
    }

    /// What is said of a token from now on; `None`: that it is not active.
    pub(crate) fn knows(&self, token: &str, answer: Option<Value>) {
        let mut state = self.state();
        match answer {
            Some(answer) => state.tokens.insert(token.to_owned(), answer),
            None => state.tokens.remove(token),
        };
    }

    pub(crate) fn is(&self, mood: Mood) {
        self.state().mood = mood;
    }

    /// The requests so far, head and body.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state().requests.clone()
    }

    /// How many requests there were.
    pub(crate) fn asked(&self) -> usize {
        *self.asked.borrow()
    }

    /// Wait until there were so many requests.
    pub(crate) async fn was_asked(&self, times: usize) {
        self.asked.subscribe().wait_for(|asked| *asked >= times).await.expect("a provider");
    }

    /// Let a slow provider answer one request.
    pub(crate) fn release(&self) {
        self.released.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics with it")
    }

    async fn serve(self: Arc<Provider>, mut stream: TcpStream) {
        let Some(request) = read(&mut stream).await else { return };
        let mood = {
            let mut state = self.state();
            state.requests.push(request.clone());
            state.mood.clone()
        };
        self.asked.send_modify(|asked| *asked += 1);
        let answer = match mood {
            Mood::Honest => self.honest(&request),
            Mood::Says(octets) => octets,
            Mood::Slow => {
                self.released.notified().await;
                self.honest(&request)
            }
            Mood::Silent => std::future::pending().await,
        };
        let _ = stream.write_all(&answer).await;
    }

    fn honest(&self, request: &str) -> Vec<u8> {
        let tokens = &self.state().tokens;
        if request.starts_with("GET /userinfo ") {
            let token = request.lines().find_map(|line| line.strip_prefix("authorization: Bearer "));
            return match token.and_then(|token| tokens.get(token)) {
                Some(answer) => says(200, &answer.to_string()),
                None => says(401, ""),
            };
        }
        assert!(request.starts_with("POST /introspect "), "{request}");
        let form = request.rsplit("\r\n\r\n").next().expect("a form");
        let form: HashMap<_, _> = url::form_urlencoded::parse(form.as_bytes()).collect();
        match form.get("token").and_then(|token| tokens.get(&**token)) {
            Some(answer) => says(200, &answer.to_string()),
            None => says(200, r#"{"active":false}"#),
        }
    }
}

/// A whole answer.
pub(crate) fn says(status: u16, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut octets = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(length) => octets.extend_from_slice(&buffer[..length]),
        }
        let text = String::from_utf8_lossy(&octets);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return Some(text.into_owned());
        }
    }
}
