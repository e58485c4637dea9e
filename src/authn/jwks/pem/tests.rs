use super::*;
use crate::authn::jwt::Algorithm;
use crate::authn::testing::Signer;
use crate::authn::testing::pem;

#[test]
fn public_keys_verify_what_their_private_halves_sign() {
    for algorithm in Algorithm::ALL.into_iter().filter(|algorithm| !algorithm.is_symmetric()) {
        let signer = Signer::new(algorithm);
        let signature = signer.sign(algorithm, b"message");
        for text in [signer.pem(), format!("a comment\n{}\nanother", signer.pem()), signer.pem().replace('\n', "\r\n")]
        {
            let set = KeySet::from_pem(&text).expect("a key");
            let [key] = set.keys() else { panic!("one key") };
            assert!(key.verifies(algorithm, b"message", &signature), "{algorithm}");
            assert!(!key.verifies(algorithm, b"massage", &signature), "{algorithm}");
        }
    }
}

#[test]
fn several_blocks_are_several_keys_and_pkcs1_is_read() {
    let (ec, ed) = (Signer::new(Algorithm::Es256), Signer::new(Algorithm::EdDsa));
    let both = format!("{}{}", ec.pem(), ed.pem());
    assert_eq!(KeySet::from_pem(&both).map(|set| set.keys().len()), Ok(2));

    let Signer::Rsa(rsa) = &*Signer::new(Algorithm::Rs256) else { panic!("an RSA key") };
    let pkcs1 = pem("RSA PUBLIC KEY", aws_lc_rs::signature::KeyPair::public_key(rsa).as_ref());
    assert_eq!(KeySet::from_pem(&pkcs1).map(|set| set.keys().len()), Ok(1));
}

#[test]
fn what_holds_no_public_key_says_what_it_holds() {
    let good = Signer::new(Algorithm::Es256).pem();
    for (text, want) in [
        (String::new(), PemError::Empty),
        ("MIIB".into(), PemError::Empty),
        (pem("CERTIFICATE", b"x"), PemError::Certificate),
        (pem("PRIVATE KEY", b"x"), PemError::PrivateKey),
        (pem("RSA PRIVATE KEY", b"x"), PemError::PrivateKey),
        (pem("ENCRYPTED PRIVATE KEY", b"x"), PemError::PrivateKey),
        (pem("EC PARAMETERS", b"x"), PemError::OtherKind("EC PARAMETERS".into())),
        (format!("{good}{}", pem("CERTIFICATE", b"x")), PemError::Certificate),
        (good.replace("END PUBLIC", "END RSA PUBLIC"), PemError::Unclosed),
        (good.split("-----END").next().expect("a start").into(), PemError::Unclosed),
        ("-----BEGIN PUBLIC KEY".into(), PemError::Unclosed),
        (good.replace("\nM", "\n!"), PemError::NotBase64),
        (pem("PUBLIC KEY", b""), PemError::NotAKey),
        (pem("PUBLIC KEY", &[0x30, 0x80]), PemError::NotAKey),
        (pem("PUBLIC KEY", &[0x30, 0x82, 0xFF, 0xFF, 0x30]), PemError::NotAKey),
        (pem("RSA PUBLIC KEY", &[0x30, 6, 2, 1, 3, 2, 1, 3]), PemError::Unusable(Unusable::RsaModulus)),
    ] {
        assert_eq!(KeySet::from_pem(&text).map(|_| ()), Err(want), "{text}");
    }
}

#[test]
fn der_that_is_cut_or_grown_is_refused() {
    let signer = Signer::new(Algorithm::Es256);
    let body: String = signer.pem().lines().filter(|line| !line.starts_with('-')).collect();
    let der = STANDARD.decode(body).expect("base64");
    for length in 0..der.len() {
        assert!(KeySet::from_pem(&pem("PUBLIC KEY", &der[..length])).is_err(), "{length}");
    }
    assert!(KeySet::from_pem(&pem("PUBLIC KEY", &[&der[..], &[0]].concat())).is_err());
    assert!(KeySet::from_pem(&pem("PUBLIC KEY", &der)).is_ok());
}
