//! What a Kubernetes API server makes of the tokens it signs for ServiceAccounts.

use serde_json::Map;
use serde_json::Value;

use crate::authn::jwt::error::TokenError;

/// The member that says which ServiceAccount a token is for.
const CLAIM: &str = "kubernetes.io";

/// The groups an API server gives to the ServiceAccount that the claim `kubernetes.io` names, all but
/// `system:authenticated`: every one, and every one of its namespace. `sub` must name the same one.
pub(super) fn groups(claims: &Map<String, Value>) -> Result<[String; 2], TokenError> {
    let wrong = || TokenError::ClaimType(CLAIM.to_owned());
    let stated = match claims.get(CLAIM) {
        None | Some(Value::Null) => return Err(TokenError::ClaimMissing(CLAIM.to_owned())),
        Some(stated) => stated.as_object().ok_or_else(wrong)?,
    };
    let named = |value: Option<&Value>| match value.and_then(Value::as_str) {
        Some(name) if is_name(name) => Ok(name.to_owned()),
        Some(_) | None => Err(wrong()),
    };
    let namespace = named(stated.get("namespace"))?;
    let account = named(stated.get("serviceaccount").and_then(|account| account.get("name")))?;
    let subject = format!("system:serviceaccount:{namespace}:{account}");
    match claims.get("sub").and_then(Value::as_str) {
        Some(stated) if stated == subject => {
            Ok(["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")])
        }
        Some(_) | None => Err(TokenError::OtherServiceAccount),
    }
}

/// The characters of an RFC 1123 subdomain, which every name of Kubernetes' is: no colon among them, which would make
/// one name of two.
fn is_name(name: &str) -> bool {
    (1..=253).contains(&name.len())
        && name.bytes().all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit() || b"-.".contains(&octet))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_groups_are_those_of_the_namespace_that_both_claims_name() {
        let read = |sub: &str, stated: Value| {
            groups(json!({"sub": sub, "kubernetes.io": stated}).as_object().expect("an object"))
                .map_err(|error| error.to_string())
        };
        let of =
            |namespace: &str, name: &str| json!({"namespace": namespace, "serviceaccount": {"name": name, "uid": "u"}});
        let good = read("system:serviceaccount:prod:ci.deployer-2", of("prod", "ci.deployer-2"));
        assert_eq!(good, Ok(["system:serviceaccounts".to_owned(), "system:serviceaccounts:prod".to_owned()]));
        for (sub, stated) in [
            ("system:serviceaccount:prod:ci", of("dev", "ci")),
            ("system:serviceaccount:prod:ci", of("prod", "other")),
            ("system:serviceaccount:prod:ci:x", of("prod", "ci:x")),
            ("system:serviceaccount:prod:x:ci", of("prod:x", "ci")),
            ("system:serviceaccount::ci", of("", "ci")),
            ("system:serviceaccount:prod:", of("prod", "")),
            ("system:serviceaccount:Prod:ci", of("Prod", "ci")),
            ("system:admin", of("prod", "ci")),
            ("system:serviceaccount:prod:ci", json!({"namespace": "prod"})),
            ("system:serviceaccount:prod:ci", json!({"namespace": ["prod"], "serviceaccount": {"name": "ci"}})),
            ("system:serviceaccount:prod:ci", json!("prod")),
            ("system:serviceaccount:prod:ci", json!(null)),
        ] {
            assert!(read(sub, stated.clone()).is_err(), "{sub} {stated}");
        }
        assert!(groups(json!({"sub": "system:serviceaccount:prod:ci"}).as_object().expect("an object")).is_err());
        assert!(groups(json!({"kubernetes.io": of("prod", "ci")}).as_object().expect("an object")).is_err());
    }
}
