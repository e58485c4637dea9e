use super::*;
use crate::authn::jwt::Algorithm;
use crate::authn::testing::NOW;
use crate::authn::testing::Signer;
use crate::authn::testing::at;
use crate::authn::testing::set;

/// No spread either way.
const EVEN: u32 = u32::MAX / 2;

fn good(kid: &str) -> Result<KeySet, String> {
    Ok(Signer::new(Algorithm::EdDsa).set(kid))
}

fn bad() -> Result<KeySet, String> {
    Err("down".into())
}

fn seconds(step: Step) -> Option<i64> {
    match step {
        Step::Fetch => None,
        Step::Wait(delay) => Some(delay.as_secs_f64().round() as i64),
    }
}

fn serves(cache: &Cache, second: i64, kid: &str) -> bool {
    cache.held().is_some_and(|held| held.serve(at(second)).is_some_and(|set| set.has(kid)))
}

/// A cache that fetched a good set at `NOW`.
fn filled() -> Cache {
    let mut cache = Cache::new(Times::default(), vec![]);
    assert_eq!(cache.step(at(NOW)), Step::Fetch);
    assert!(cache.finished(good("one"), at(NOW), EVEN));
    cache
}

#[test]
fn a_new_cache_fetches_at_once_then_every_ten_minutes() {
    let mut cache = filled();
    assert_eq!(seconds(cache.step(at(NOW))), Some(600));
    assert_eq!(seconds(cache.step(at(NOW + 599))), Some(1));
    assert_eq!(cache.step(at(NOW + 601)), Step::Fetch);
    assert!(cache.finished(good("two"), at(NOW + 602), EVEN));
    assert!(serves(&cache, NOW + 602, "two"));
    assert!(!serves(&cache, NOW + 602, "one"), "the rotated key is gone");
}

#[test]
fn refreshes_are_spread_by_a_tenth() {
    for (random, want) in [(0, 540), (EVEN, 600), (u32::MAX, 660)] {
        let mut cache = Cache::new(Times::default(), vec![]);
        cache.step(at(NOW));
        cache.finished(good("one"), at(NOW), random);
        assert_eq!(seconds(cache.step(at(NOW))), Some(want));
    }
}

#[test]
fn failures_back_off_from_five_seconds_to_five_minutes() {
    let mut cache = Cache::new(Times::default(), vec![]);
    let mut second = NOW;
    for (count, want) in [5, 10, 20, 40, 80, 160, 300, 300].into_iter().enumerate() {
        assert_eq!(cache.step(at(second)), Step::Fetch);
        assert!(!cache.finished(bad(), at(second), EVEN));
        assert_eq!(cache.failures(), (count as u32 + 1, Some("down")));
        assert_eq!(seconds(cache.step(at(second))), Some(want), "after failure {count}");
        second += want + 1;
    }
    for _ in 0..100 {
        cache.step(at(second));
        cache.finished(bad(), at(second), EVEN);
        assert_eq!(seconds(cache.step(at(second))), Some(300));
        second += 301;
    }
    cache.step(at(second));
    assert!(cache.finished(good("one"), at(second), EVEN));
    assert_eq!(cache.failures(), (0, None));
    assert_eq!(seconds(cache.step(at(second))), Some(600));
}

/// How many fetches ten thousand questions a tenth of a second apart cause, the background's own left out.
fn storm(outcome: fn() -> Result<KeySet, String>) -> (Cache, Vec<i64>) {
    let mut cache = filled();
    let mut fetches = vec![];
    for question in 0..10_000 {
        let second = NOW + 1 + question / 10;
        match cache.ask(None, at(second)) {
            Ask::Ordered => {
                fetches.push(second);
                assert_eq!(cache.step(at(second)), Step::Fetch);
                assert_eq!(cache.ask(None, at(second)), Ask::Join, "one fetch at a time");
                cache.finished(outcome(), at(second), EVEN);
            }
            Ask::Join => panic!("no fetch is running"),
            Ask::Cooldown => {}
        }
        assert!(serves(&cache, second, "one"), "known keys stay usable");
    }
    (cache, fetches)
}

#[test]
fn k1_unknown_key_ids_force_one_fetch_in_thirty_seconds() {
    let outcomes: [fn() -> Result<KeySet, String>; 3] = [|| good("one"), bad, || Ok(set(&[]))];
    for outcome in outcomes {
        let (_, fetches) = storm(outcome);
        assert_eq!(fetches.first(), Some(&(NOW + 30)), "the cooldown counts from any fetch");
        assert!(fetches.windows(2).all(|pair| pair[1] - pair[0] >= 30), "{fetches:?}");
        // Five out of the bucket, then one a minute.
        assert!((15..=21).contains(&fetches.len()), "{fetches:?}");
    }
}

#[test]
fn k1_the_cooldown_holds_before_the_first_keys_too() {
    let mut cache = Cache::new(Times::default(), vec![]);
    assert_eq!(cache.ask(None, at(NOW)), Ask::Ordered);
    assert_eq!(cache.ask(None, at(NOW)), Ask::Join);
    assert_eq!(cache.step(at(NOW)), Step::Fetch);
    assert_eq!(cache.ask(None, at(NOW + 1)), Ask::Join);
    cache.finished(bad(), at(NOW + 1), EVEN);
    assert_eq!(cache.ask(None, at(NOW + 29)), Ask::Cooldown);
    assert_eq!(cache.ask(None, at(NOW + 30)), Ask::Ordered);
}

#[test]
fn k1_a_fresh_set_is_the_answer_whatever_is_under_way() {
    let mut cache = filled();
    cache.due = None;
    assert_eq!(cache.step(at(NOW + 10)), Step::Fetch);
    assert_eq!(cache.ask(Some("ghost"), at(NOW + 10)), Ask::Cooldown, "the set is ten seconds old");
    assert_eq!(cache.ask(Some("ghost"), at(NOW + 30)), Ask::Join);
}

#[test]
fn k1_a_key_id_known_to_be_absent_orders_and_joins_nothing() {
    let mut cache = filled();
    assert_eq!(cache.ask(Some("ghost"), at(NOW + 30)), Ask::Ordered);
    cache.step(at(NOW + 30));
    cache.finished(good("one"), at(NOW + 31), EVEN);
    // Half a minute later another key id may order a fetch; the ghost may once more, then only after a minute.
    assert_eq!(cache.ask(Some("ghost"), at(NOW + 61)), Ask::Ordered);
    cache.step(at(NOW + 61));
    cache.finished(good("one"), at(NOW + 62), EVEN);
    assert_eq!(cache.ask(Some("ghost"), at(NOW + 93)), Ask::Cooldown);
    assert_eq!(cache.ask(Some("other"), at(NOW + 93)), Ask::Ordered);
    assert_eq!(cache.ask(Some("ghost"), at(NOW + 93)), Ask::Cooldown, "nothing is waited for");
    assert_eq!(cache.ask(None, at(NOW + 93)), Ask::Join);
    cache.step(at(NOW + 93));
    cache.finished(good("ghost"), at(NOW + 94), EVEN);
    assert!(serves(&cache, NOW + 94, "ghost"));
}

#[test]
fn a_set_of_the_same_document_is_the_same_set() {
    let signer = Signer::new(Algorithm::EdDsa);
    let held = |cache: &Cache| cache.held().expect("a set").set.clone();
    let mut cache = Cache::new(Times::default(), vec![]);
    cache.finished(Ok(signer.set("one")), at(NOW), EVEN);
    let first = held(&cache);
    cache.finished(Ok(signer.set("one")), at(NOW + 600), EVEN);
    assert!(Arc::ptr_eq(&first, &held(&cache)));
    assert_eq!(cache.held().expect("a set").fetched, at(NOW + 600), "its age begins anew");
    cache.finished(Ok(signer.set("two")), at(NOW + 1200), EVEN);
    assert!(!Arc::ptr_eq(&first, &held(&cache)));
    assert_eq!(cache.counts(), Counts { good: 3, failed: 0, changes: 2 });
}

#[test]
fn k5_a_set_without_a_key_for_the_source_never_replaces_a_good_one() {
    let mut cache = Cache::new(Times::default(), vec![Algorithm::EdDsa]);
    assert!(cache.finished(good("one"), at(NOW), EVEN));
    assert!(!cache.finished(Ok(Signer::new(Algorithm::Es256).set("two")), at(NOW + 600), EVEN));
    assert_eq!(cache.failures().1, Some("the key set has no key for any algorithm of the source"));
    assert!(serves(&cache, NOW + 601, "one"));
    assert!(cache.finished(good("three"), at(NOW + 1200), EVEN));
}

#[test]
fn an_order_is_fetched_at_once_and_only_once() {
    let mut cache = filled();
    assert_eq!(cache.ask(None, at(NOW + 30)), Ask::Ordered);
    assert_eq!(cache.step(at(NOW + 30)), Step::Fetch);
    cache.finished(good("two"), at(NOW + 31), EVEN);
    assert!(serves(&cache, NOW + 31, "two"));
    assert_eq!(seconds(cache.step(at(NOW + 31))), Some(600));
}

#[test]
fn k4_a_set_is_used_for_a_day_without_success() {
    let mut cache = filled();
    let day = 24 * 3600;
    let mut second = NOW;
    while second < NOW + day + 1000 {
        if cache.step(at(second)) == Step::Fetch {
            cache.finished(bad(), at(second), EVEN);
        }
        assert_eq!(serves(&cache, second, "one"), second < NOW + day, "{}", second - NOW);
        second += 100;
    }
    cache.step(at(second));
    cache.finished(good("two"), at(second), EVEN);
    assert!(serves(&cache, second, "two"));
}

#[test]
fn k5_an_empty_set_never_replaces_a_good_one() {
    let mut cache = filled();
    let unusable = set(&[Signer::new(Algorithm::Hs256).jwk("shared")]);
    for (empty, says) in [
        (set(&[]), "the key set is empty"),
        (
            unusable,
            "the key set has no usable key: key \"shared\" is left out: it is a shared secret in a published set",
        ),
    ] {
        assert!(!cache.finished(Ok(empty), at(NOW + 600), EVEN));
        assert_eq!(cache.failures().1, Some(says));
        assert!(serves(&cache, NOW + 601, "one"));
    }
}

#[test]
fn a_clock_set_back_stops_nothing() {
    let mut cache = filled();
    assert_eq!(cache.ask(None, at(NOW - 1000)), Ask::Ordered);
    assert_eq!(cache.step(at(NOW - 1000)), Step::Fetch);
    cache.finished(good("two"), at(NOW - 1000), EVEN);
    assert!(serves(&cache, NOW - 999, "two"));
}

#[test]
fn a_fetch_that_never_ended_is_begun_anew() {
    let mut cache = filled();
    assert_eq!(cache.step(at(NOW + 700)), Step::Fetch);
    assert_eq!(cache.ask(None, at(NOW + 701)), Ask::Join);
    cache.abandoned();
    assert_eq!(cache.step(at(NOW + 702)), Step::Fetch);
}
