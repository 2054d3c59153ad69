//! Signs a message as Standard Webhooks specifies it (symmetric, `v1`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The beginning of a secret.
const PREFIX: &str = "whsec_";
/// The lengths of a key, in bytes, that the specification allows.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// Returns the signature of a message: `v1,` and the Base64 of an HMAC with SHA-256.
///
/// # Errors
/// The reason why the secret is invalid; never the secret itself.
pub(super) fn sign(secret: &str, id: &str, timestamp: i64, body: &str) -> Result<String, String> {
    let encoded = secret.strip_prefix(PREFIX).ok_or("the secret does not begin with whsec_")?;
    let key = STANDARD.decode(encoded).map_err(|_| "what follows whsec_ is not Base64")?;
    if !LENGTHS.contains(&key.len()) {
        let (least, most) = (LENGTHS.start(), LENGTHS.end());
        return Err(format!("the secret has {} bytes; it must have {least} to {most}", key.len()));
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| "the secret has an invalid length")?;
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vector of the specification's reference libraries.
    #[test]
    fn the_signature_is_that_of_the_specification() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let (id, timestamp, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, "{\"test\": 2432232314}");
        let signature = sign(secret, id, timestamp, body).unwrap();
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_ne!(sign(secret, id, timestamp, "{\"test\": 2432232315}").unwrap(), signature);
    }

    #[test]
    fn an_invalid_secret_is_refused_without_being_shown() {
        for (secret, expected) in [
            ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "does not begin with whsec_"),
            ("whsec_not base64", "is not Base64"),
            ("whsec_c2hvcnQ=", "has 5 bytes; it must have 24 to 64"),
        ] {
            let error = sign(secret, "id", 0, "").unwrap_err();
            assert!(
                error.contains(expected) && !error.contains("c2hvcnQ") && !error.contains("MfK"),
                "{error}"
            );
        }
    }
}
