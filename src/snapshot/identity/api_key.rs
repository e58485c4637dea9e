//! API-key sources: the settings, and the lines of their key file.

use std::sync::Arc;

use crate::authn::TokenPlace;
use crate::authn::api_key::ApiKey;
use crate::authn::api_key::ApiKeySettings;
use crate::authn::api_key::ApiKeySource;
use crate::authn::api_key::KeyHash;
use crate::authn::api_key::KeyHasher;
use crate::authn::api_key::MAX_ID;
use crate::authn::api_key::is_id;
use crate::config::at::At;
use crate::config::at::OneOrMany;
use crate::config::key_file;
use crate::config::load::Surroundings;
use crate::config::tree;
use crate::model::problem::Problem;
use crate::model::problem::Problems;
use crate::snapshot::identity::place::TAKEN;
use crate::snapshot::limit::OfKey;
use crate::snapshot::network::NetworkNames;

/// Build a source from its table and its file.
pub(super) fn source(
    name: &Arc<str>,
    written: &At<tree::ApiKeys>,
    networks: &NetworkNames,
    surroundings: &Surroundings<'_>,
    limits: &mut Vec<OfKey>,
    problems: &mut Problems,
) -> Option<ApiKeySource> {
    let places = places(written, problems);
    let hasher = hasher(written, surroundings, problems);
    let lines = lines(&written.keys, surroundings, problems)?;
    let hasher = hasher?;
    let limit = |line: &At<tree::KeyLine>| {
        Some(OfKey { source: Arc::clone(name), id: line.id.value.clone(), limit: line.limit.clone()? })
    };
    limits.extend(lines.iter().filter_map(limit));
    let keys: Vec<Option<ApiKey>> = lines.iter().map(|line| key(line, &hasher, networks, problems)).collect();
    let keys = keys.into_iter().collect::<Option<Vec<ApiKey>>>()?;
    let built = ApiKeySource::build(ApiKeySettings { source: name.clone(), places, hasher, keys });
    built.map_err(|error| problems.push(Problem::error(written.place.clone(), "", error.to_string()))).ok()
}

/// Where keys are looked for.
pub(super) fn places(written: &tree::ApiKeys, problems: &mut Problems) -> Vec<TokenPlace> {
    let mut header = |written: &str, place| {
        let name = written.to_ascii_lowercase();
        if TAKEN.contains(&name.as_str()) || http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            let message = format!("an API key cannot stand in the header `{written}`");
            let help = "write `bearer`, `basic`, or a header of its own as `{header: X-Api-Key}`";
            problems.push(Problem::error(place, "", message).help(help));
        }
        TokenPlace::Header(name)
    };
    match (&written.header, &written.token) {
        (None, None) => vec![TokenPlace::Bearer],
        (Some(name), None) => vec![header(name, name.place.clone())],
        (None, Some(token)) => {
            let mut places: Vec<TokenPlace> = Vec::with_capacity(token.len());
            for place in token.iter() {
                let built = match &place.value {
                    tree::KeyPlace::Bearer => TokenPlace::Bearer,
                    tree::KeyPlace::Basic => TokenPlace::Basic,
                    tree::KeyPlace::Header(name) => header(name, place.place.clone()),
                };
                places.push(built);
            }
            for (index, place) in token.iter().enumerate() {
                if places.iter().take(index).any(|earlier| Some(earlier) == places.get(index)) {
                    problems.push(Problem::error(place.place.clone(), "", "this token place is listed twice"));
                }
            }
            places
        }
        (Some(name), Some(_)) => {
            let message = "`header` and `token` both say where the keys stand";
            let help = format!("write `token: [{{header: {}}}, …]`", name.value);
            problems.push(Problem::error(name.place.clone(), "", message).help(help));
            vec![TokenPlace::Bearer]
        }
    }
}

fn hasher(written: &tree::ApiKeys, surroundings: &Surroundings<'_>, problems: &mut Problems) -> Option<KeyHasher> {
    let Some(pepper) = &written.pepper else { return Some(KeyHasher::plain()) };
    let secret = surroundings.secret(pepper).map_err(|problem| problems.push(problem)).ok()?;
    let short = |error: crate::authn::api_key::ShortPepper| {
        let problem = Problem::error(pepper.place.clone(), "", error.to_string());
        problems.push(problem.help("`postern key pepper` makes one"));
    };
    KeyHasher::peppered(&secret).map_err(short).ok()
}

fn lines(
    file: &At<String>,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<Vec<At<tree::KeyLine>>> {
    let (name, text) = surroundings.text(file).map_err(|problem| problems.push(problem)).ok()?;
    problems.0.extend(surroundings.open_to_others(file));
    match key_file::parse(&name, &text) {
        Ok((lines, warnings)) => {
            problems.0.extend(warnings.0);
            Some(lines)
        }
        Err(found) => {
            problems.0.extend(found.0);
            None
        }
    }
}

fn key(
    line: &At<tree::KeyLine>,
    hasher: &KeyHasher,
    networks: &NetworkNames,
    problems: &mut Problems,
) -> Option<ApiKey> {
    let before = problems.0.len();
    let mut error = |at: &At<String>, message: String, help: &str| {
        problems.push(Problem::error(at.place.clone(), "", message).help(help));
    };
    if !is_id(&line.id) {
        let message = format!("a key cannot be called `{}`", line.id.value);
        error(&line.id, message, &format!("1 to {MAX_ID} of `a` to `z`, `0` to `9` and `-`"));
    }
    if line.owner.is_empty() || line.owner.trim() != line.owner.value || line.owner.contains(char::is_control) {
        error(&line.owner, "this is no name of a user".to_owned(), "write the user the key acts for");
    }
    let hash = KeyHash::parse(&line.hash);
    match hash {
        // The text is not shown: it may be a key that somebody forgot to hash.
        None => error(&line.hash, "this is not the hash of a key".to_owned(), "`postern key new` makes keys"),
        Some(hash) => match (hash.is_peppered(), hasher.is_peppered()) {
            (true, true) | (false, false) => {}
            (true, false) => error(
                &line.hash,
                format!("the key `{}` was made with a pepper, and the policy names none", line.id.value),
                "write `pepper: {file: …}` beside `keys`",
            ),
            (false, true) => error(
                &line.hash,
                format!("the key `{}` was made without the pepper that the policy names", line.id.value),
                "make another one with `--pepper-file` or `--pepper-env`",
            ),
        },
    }
    let networks = line.networks.as_ref().map(|list| (*networks.union(list, problems).set).clone());
    if problems.0.iter().skip(before).any(|problem| problem.severity == crate::model::problem::Severity::Error) {
        return None;
    }
    Some(ApiKey {
        id: line.id.value.clone(),
        hash: hash?,
        owner: line.owner.value.clone(),
        groups: texts(line.groups.as_ref()),
        scopes: texts(line.scopes.as_ref()),
        // A moment that does not parse was refused with the file.
        expires: line.expires.as_ref().and_then(|moment| key_file::parse_moment(moment)),
        networks,
    })
}

/// The values of a list, each once, in their order.
pub(super) fn texts(list: Option<&At<OneOrMany<At<String>>>>) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for text in list.into_iter().flat_map(|list| list.iter()) {
        if !texts.contains(&text.value) {
            texts.push(text.value.clone());
        }
    }
    texts
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::authn::api_key::KeyText;
    use crate::authn::api_key::generate;
    use crate::config::load::Pretend;
    use crate::config::load::load;
    use crate::model::secret::Secret;
    use crate::snapshot::Snapshot;
    use crate::snapshot::build;
    use crate::snapshot::judge;

    const PEPPER: &str = "a pepper that is long enough for all of them";

    fn hash(id: &str, pepper: Option<&str>) -> String {
        let hasher = pepper.map_or_else(KeyHasher::plain, |pepper| {
            KeyHasher::peppered(&Secret::new(pepper.into())).expect("a pepper")
        });
        let text = generate(id).expect("a key");
        hasher.hash(&KeyText::parse(text.expose()).expect("a sound key")).to_string()
    }

    /// Build a policy with this identity table and these lines in `keys.yaml`.
    fn built(identity: &str, keys: &str) -> Result<(Snapshot, Vec<String>), Vec<String>> {
        let policy = format!(
            "version: 1\nnetworks: {{office: [192.0.2.0/24]}}\nidentity: {{{identity}}}\n\
             hosts: {{h.test: {{routes: [{{path: /**, require: {{identity: machines}}}}]}}}}\n...\n"
        );
        let world = Pretend::new()
            .file("p.yaml", policy)
            .file("keys.yaml", format!("{keys}...\n"))
            .file("half.yaml", keys)
            .variable("PEPPER", PEPPER)
            .variable("SHORT", "short");
        let said = |problems: Problems| problems.to_string().lines().map(str::to_owned).collect::<Vec<_>>();
        let loaded =
            load(Path::new("p.yaml"), &world).map_err(|refused| said(judge(refused, &world).into_problems()))?;
        match build(&loaded, &world) {
            Ok((snapshot, warnings)) => Ok((snapshot, said(warnings))),
            Err(problems) => Err(said(problems)),
        }
    }

    fn problems(identity: &str, keys: &str) -> Vec<String> {
        built(identity, keys).map_or_else(|problems| problems, |(_, warnings)| warnings)
    }

    #[test]
    fn every_place_can_be_written() {
        let line = format!("- {{id: ci, hash: '{}', owner: deploy}}\n", hash("ci", None));
        let header = |name: &str| TokenPlace::Header(name.to_owned());
        for (identity, want) in [
            ("machines: {api_key: {keys: keys.yaml}}", vec![TokenPlace::Bearer]),
            ("machines: {api_key: {header: X-Api-Key, keys: keys.yaml}}", vec![header("x-api-key")]),
            (
                "machines: {api_key: {keys: keys.yaml, token: [{header: X-Api-Key}, bearer, basic]}}",
                vec![header("x-api-key"), TokenPlace::Bearer, TokenPlace::Basic],
            ),
        ] {
            let (snapshot, warnings) = built(identity, &line).unwrap_or_else(|problems| panic!("{problems:?}"));
            assert_eq!(warnings, Vec::<String>::new(), "{identity}");
            let source = snapshot.sources.iter().flatten().find_map(|source| source.api_keys()).expect("a source");
            assert_eq!(source.places(), want, "{identity}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_where_it_stands() {
        const KEYS: &str = "machines: {api_key: {keys: keys.yaml, pepper: {env: PEPPER}}}";
        let peppered = hash("ci", Some(PEPPER));
        let line = |rest: &str| format!("- {{id: ci, hash: '{peppered}', owner: deploy{rest}}}\n");
        assert_eq!(
            problems(KEYS, &line(", networks: [office, 10.0.0.0/8], expires: 2027-01-31")),
            Vec::<String>::new()
        );
        for (identity, keys, want) in [
            (
                KEYS,
                line(", networks: [offise]"),
                "keys.yaml:1:124: there is no network called `offise` (did you mean `office`?)",
            ),
            (KEYS, line(", networks: [10.0.0.0/40]"), "keys.yaml:1:124: `10.0.0.0/40` is not an address or CIDR"),
            (KEYS, "- {id: CI, hash: x, owner: o}\n".to_owned(), "keys.yaml:1:8: a key cannot be called `CI`"),
            (
                KEYS,
                "- {id: ci, hash: postern_ci_x, owner: o}\n".to_owned(),
                "keys.yaml:1:18: this is not the hash of a key (`postern key new` makes keys)",
            ),
            (
                KEYS,
                format!("- {{id: ci, hash: '{}', owner: o}}\n", hash("ci", None)),
                "keys.yaml:1:18: the key `ci` was made without the pepper that the policy names",
            ),
            (KEYS, line("").replace("deploy", "' deploy'"), "this is no name of a user"),
            (KEYS, line("") + &line(""), "keys.yaml:2:8: the key `ci` stands in line 1 already"),
            (KEYS, line(", quota: 10"), "unknown key `quota`"),
            (
                "machines: {api_key: {keys: keys.yaml}}",
                line(""),
                "keys.yaml:1:18: the key `ci` was made with a pepper, and the policy names none (write `pepper: {file: …}` beside `keys`)",
            ),
            (
                "machines: {api_key: {keys: keys.yaml, pepper: {env: SHORT}}}",
                line(""),
                "p.yaml:3:58: the pepper has 5 octets, and 32 are needed (`postern key pepper` makes one)",
            ),
            ("machines: {api_key: {keys: none.yaml}}", line(""), "the file `none.yaml` does not exist"),
            (
                "machines: {api_key: {keys: half.yaml, pepper: {env: PEPPER}}}",
                line(""),
                "half.yaml:1:1: the end marker `...` is missing",
            ),
            (
                "machines: {api_key: {keys: keys.yaml, pepper: {env: PEPPER}, header: Authorization}}",
                line(""),
                "an API key cannot stand in the header `Authorization`",
            ),
            (
                "machines: {api_key: {keys: keys.yaml, pepper: {env: PEPPER}, header: A, token: [bearer]}}",
                line(""),
                "`header` and `token` both say where the keys stand",
            ),
            (
                "machines: {api_key: {keys: keys.yaml, pepper: {env: PEPPER}, token: [basic, basic]}}",
                line(""),
                "this token place is listed twice",
            ),
            (
                "machines: {api_key: {keys: keys.yaml}, jwt: {issuer: i, audience: a}}",
                String::new(),
                "is of two kinds, `jwt` and `api_key`",
            ),
        ] {
            let said = problems(identity, &keys);
            assert!(said.iter().any(|message| message.contains(want)), "{want}\n{said:#?}");
        }
    }

    #[test]
    fn two_sources_of_one_route_do_not_hide_one_another() {
        let said = problems(
            "machines: {api_key: {keys: keys.yaml}}, more: {api_key: {keys: keys.yaml, token: [basic, bearer]}}}\n\
             defaults: {identity: [machines, more]",
            "",
        );
        assert_eq!(
            said,
            ["p.yaml:4:33: sources `machines` and `more` both take the bearer token: the second never would \
              (merge them, or give one another place)"]
        );
    }
}
