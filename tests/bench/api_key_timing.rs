//! Does the time an API key is refused in tell whether its id exists (R1)? A measurement after dudect (Reparaz, Balasch
//! and Verbauwhede 2017): two classes of requests in random order, and Welch's t between their times. It prints numbers
//! and judges nothing, since a busy machine tells tales. Above 4.5 in every percentile, again and again, look closer.
//!
//! `cargo bench --bench api_key_timing`

#![expect(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a measurement reads the clock and prints")]

use std::hash::BuildHasher;
use std::hash::RandomState;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use postern::authn::Answers;
use postern::authn::Attempt;
use postern::authn::Kind;
use postern::authn::Presented;
use postern::authn::Source;
use postern::authn::TokenPlace;
use postern::authn::api_key::ApiKey;
use postern::authn::api_key::ApiKeySettings;
use postern::authn::api_key::ApiKeySource;
use postern::authn::api_key::KeyHasher;
use postern::authn::api_key::KeyText;
use postern::authn::api_key::generate;
use postern::authn::authenticate;
use postern::authn::quiet;
use postern::model::header::Headers;
use postern::model::secret::Secret;

const ROUNDS: usize = 400_000;
const TEXTS: usize = 64;

fn main() {
    let Some((sources, known)) = setting() else { return println!("the system gives no random numbers") };
    // The same length for both, and a new secret for each.
    let texts = |prefix: &str| -> Vec<String> {
        (0..TEXTS).filter_map(|n| Some(generate(&format!("{prefix}-{n:02}"))?.expose().clone())).collect()
    };
    let classes = [texts(known), texts("none")];
    let coin = RandomState::new();
    let mut times: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        let random = coin.hash_one(round);
        let class = usize::from(random & 1 == 1);
        let Some(text) = classes.get(class).and_then(|texts| texts.get((random >> 8) as usize % TEXTS)) else {
            continue;
        };
        let mut headers = Headers::new(false);
        headers.push("x-api-key", text.as_bytes());
        let begin = Instant::now();
        let attempt = black_box(ask(&sources, black_box(&headers)));
        let took = begin.elapsed().as_nanos() as f64;
        if matches!(attempt, Attempt::Rejected(_))
            && let Some(times) = times.get_mut(class)
        {
            times.push(took);
        }
    }
    println!("class            count       mean ns   (known id, wrong secret / unknown id)");
    for (name, times) in ["known id", "unknown id"].iter().zip(&times) {
        println!("{name:<12} {:>9} {:>13.1}", times.len(), mean(times));
    }
    println!("percentile cut   Welch's t");
    let mut all: Vec<f64> = times.iter().flatten().copied().collect();
    all.sort_by(f64::total_cmp);
    for percentile in [50, 75, 90, 95, 99, 100] {
        let cut = all.get((all.len() * percentile / 100).saturating_sub(1)).copied().unwrap_or(f64::MAX);
        let [known, unknown]: [Vec<f64>; 2] =
            times.each_ref().map(|times| times.iter().copied().filter(|time| *time <= cut).collect());
        println!("{percentile:>14} {:>11.2}", welch(&known, &unknown));
    }
}

fn ask(sources: &[Arc<Source>], headers: &Headers<'_>) -> Attempt {
    authenticate(sources, &Presented::headers(headers), Timestamp::UNIX_EPOCH, &Answers::none(), &mut quiet)
}

fn setting() -> Option<(Vec<Arc<Source>>, &'static str)> {
    let hasher = KeyHasher::peppered(&Secret::new(vec![7; 32])).ok()?;
    let key = |number: usize| {
        let id = format!("some-{number:02}");
        let text = generate(&id)?;
        let hash = hasher.hash(&KeyText::parse(text.expose()).ok()?);
        let (groups, scopes) = (Vec::new(), Vec::new());
        Some(ApiKey { id, hash, owner: "deploy".to_owned(), groups, scopes, expires: None, networks: None })
    };
    let keys = (0..TEXTS).map(key).collect::<Option<Vec<_>>>()?;
    let places = vec![TokenPlace::Header("x-api-key".to_owned())];
    let settings = ApiKeySettings { source: "machines".into(), places, hasher: hasher.clone(), keys };
    let kind = Kind::ApiKey(ApiKeySource::build(settings).ok()?);
    Some((vec![Arc::new(Source { name: "machines".into(), kind })], "some"))
}

fn mean(times: &[f64]) -> f64 {
    times.iter().sum::<f64>() / times.len().max(1) as f64
}

fn variance(times: &[f64]) -> f64 {
    let mean = mean(times);
    times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / times.len().saturating_sub(1).max(1) as f64
}

fn welch(one: &[f64], other: &[f64]) -> f64 {
    let spread = variance(one) / one.len().max(1) as f64 + variance(other) / other.len().max(1) as f64;
    if spread == 0.0 { 0.0 } else { (mean(one) - mean(other)) / spread.sqrt() }
}
