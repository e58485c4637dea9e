//! Who vouches for a chain: an ES256 key (RFC 7518 §3.4), and its public half.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::SHA256;
use aws_lc_rs::digest::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED;
use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::KeyPair;
use aws_lc_rs::signature::ParsedPublicKey;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;

use crate::model::secret::Secret;

/// An uncompressed point on P-256 (SEC 1 §2.3.3): 4, x, y.
const POINT: usize = 65;

/// Signs checkpoints.
#[derive(Clone)]
pub struct Signer {
    key: Arc<EcdsaKeyPair>,
    kid: Arc<str>,
}

impl Signer {
    /// Read a private key on the curve P-256: PKCS#8 in PEM.
    pub fn read(pem: &Secret<Vec<u8>>) -> Option<Signer> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.expose()).ok()?;
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der()).ok()?;
        let kid = kid(key.public_key().as_ref());
        Some(Signer { key: Arc::new(key), kid: kid.into() })
    }

    /// The name of the key: its thumbprint (RFC 7638).
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// A signature in base64url.
    pub(super) fn sign(&self, octets: &[u8]) -> Option<String> {
        let signature = self.key.sign(&SystemRandom::new(), octets).ok()?;
        Some(URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

impl PartialEq for Signer {
    fn eq(&self, other: &Signer) -> bool {
        self.kid == other.kid
    }
}

impl fmt::Debug for Signer {
    /// Without the key (F6).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// Verifies checkpoints.
pub struct Verifying {
    key: ParsedPublicKey,
    kid: String,
}

impl Verifying {
    /// Read a public key on the curve P-256: `PUBLIC KEY` in PEM, as `openssl pkey -pubout` writes it.
    pub fn read(pem: &[u8]) -> Option<Verifying> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).ok()?;
        // In the SPKI of a key on P-256 the point stands last, and it is not compressed.
        let point = der.get(der.len().checked_sub(POINT)?..)?;
        let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).ok()?;
        Some(Verifying { key, kid: kid(point) })
    }

    /// The name of the key.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Is this the key's signature?
    pub(super) fn verifies(&self, octets: &[u8], signature: &str) -> bool {
        URL_SAFE_NO_PAD.decode(signature).is_ok_and(|signature| self.key.verify_sig(octets, &signature).is_ok())
    }
}

/// RFC 7638 §3 of a point.
fn kid(point: &[u8]) -> String {
    let half = |at: usize| URL_SAFE_NO_PAD.encode(point.get(at..at + 32).unwrap_or_default());
    let thumb = format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, half(1), half(33));
    URL_SAFE_NO_PAD.encode(digest(&SHA256, thumb.as_bytes()).as_ref())
}

#[cfg(test)]
pub(super) mod tests {
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::encoding::PublicKeyX509Der;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    /// A new key and its public half, in PEM.
    pub(in crate::audit) fn pair() -> (Signer, Verifying) {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        let public: PublicKeyX509Der<'_> = key.public_key().as_der().expect("a public key");
        let private = key.to_pkcs8v1().expect("PKCS#8");
        let pem = |label, der: &[u8]| {
            format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der)).into_bytes()
        };
        let signer = Signer::read(&Secret::new(pem("PRIVATE KEY", private.as_ref()))).expect("a signer");
        (signer, Verifying::read(&pem("PUBLIC KEY", public.as_ref())).expect("a public key"))
    }

    #[test]
    fn only_its_own_key_verifies_a_signature() {
        let ((signer, verifying), (other, _)) = (pair(), pair());
        assert_eq!(signer.kid(), verifying.kid());
        let signature = signer.sign(b"lines").expect("a signature");
        assert!(verifying.verifies(b"lines", &signature));
        assert!(!verifying.verifies(b"other lines", &signature));
        assert!(!verifying.verifies(b"lines", &other.sign(b"lines").expect("a signature")));
        assert!(!verifying.verifies(b"lines", ""));
    }

    #[test]
    fn f6_a_signer_does_not_print_its_key() {
        let (signer, _) = pair();
        assert_eq!(format!("{signer:?}"), format!("Signer {{ kid: {:?}, .. }}", signer.kid()));
    }
}
