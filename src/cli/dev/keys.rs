//! The secret and the keys of `dev`, made once and kept in its folder.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use dovetail::auth::{VapidKey, mint};
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

/// How long the keys are valid: as long as those of a Supabase project.
const TEN_YEARS: i64 = 10 * 365 * 86_400;

/// What is kept in `keys.json`.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::cli) struct DevKeys {
    pub(in crate::cli) jwt_secret: String,
    pub(in crate::cli) anon_key: String,
    pub(in crate::cli) service_key: String,
}

impl DevKeys {
    /// Keys signed with `secret`.
    pub(super) fn signed_with(secret: String) -> Self {
        let key = |role: &str| {
            let now = chrono::Utc::now().timestamp();
            let claims: Map<_, _> = [
                ("iss".to_owned(), json!("dovetail-dev")),
                ("role".to_owned(), json!(role)),
                ("iat".to_owned(), json!(now)),
                ("exp".to_owned(), json!(now + TEN_YEARS)),
            ]
            .into_iter()
            .collect();
            mint(secret.as_bytes(), claims)
        };
        Self {
            anon_key: key("anon"),
            service_key: key("service_role"),
            jwt_secret: secret,
        }
    }
}

/// The keys kept in `folder`, none when there are none yet.
pub(in crate::cli) fn load(folder: &Path) -> anyhow::Result<Option<DevKeys>> {
    let path = path(folder);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(error).with_context(|| format!("could not read {}", path.display()));
        }
    };
    let keys = serde_json::from_str(&text).with_context(|| {
        format!(
            "{} is damaged; remove it and new keys are made",
            path.display()
        )
    })?;
    Ok(Some(keys))
}

/// The keys kept in `folder`, made and written there (mode 0600) when there are none yet.
pub(super) fn load_or_create(folder: &Path) -> anyhow::Result<DevKeys> {
    if let Some(keys) = load(folder)? {
        return Ok(keys);
    }
    let keys = DevKeys::signed_with(random()?);
    write(folder, &keys).context("could not keep the keys")?;
    Ok(keys)
}

/// A secret nobody can guess, of letters, digits, `-` and `_`.
pub(super) fn random() -> anyhow::Result<String> {
    let mut secret = [0; 32];
    if SystemRandom::new().fill(&mut secret).is_err() {
        anyhow::bail!("the system has no random numbers to make keys from");
    }
    Ok(BASE64_URL_SAFE_NO_PAD.encode(secret))
}

/// The private key of push messages kept in `folder`, made and written there (mode 0600) when there is none yet: with another
/// one every browser would have to subscribe again.
pub(super) fn vapid(folder: &Path) -> anyhow::Result<String> {
    let path = folder.join("vapid.key");
    match std::fs::read_to_string(&path) {
        Ok(text) if VapidKey::read(text.trim()).is_some() => return Ok(text.trim().to_owned()),
        Ok(_) => anyhow::bail!(
            "{} is damaged; remove it and a new key is made",
            path.display()
        ),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => {
            return Err(error).with_context(|| format!("could not read {}", path.display()));
        }
    }
    let key = VapidKey::generate().context("the system has no random numbers to make keys from")?;
    write_file(&path, &key).context("could not keep the key of push messages")?;
    Ok(key)
}

fn write(folder: &Path, keys: &DevKeys) -> anyhow::Result<()> {
    write_file(&path(folder), &serde_json::to_string_pretty(keys)?)
}

/// Under another name first, so that a crash leaves no half of a file.
fn write_file(path: &Path, text: &str) -> anyhow::Result<()> {
    let draft = path.with_extension("new");
    let _ = std::fs::remove_file(&draft);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&draft, path)?;
    Ok(())
}

fn path(folder: &Path) -> PathBuf {
    folder.join("keys.json")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use dovetail::auth::{ClaimValidators, Keys};

    use super::*;

    #[test]
    fn keys_are_made_once_and_only_their_owner_can_read_them() {
        let folder = tempfile::tempdir().unwrap();
        assert!(load(folder.path()).unwrap().is_none());
        let keys = load_or_create(folder.path()).unwrap();
        let again = load_or_create(folder.path()).unwrap();
        assert_eq!(keys.jwt_secret, again.jwt_secret);
        assert_eq!(keys.anon_key, again.anon_key);
        let mode = std::fs::metadata(path(folder.path()))
            .unwrap()
            .permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(
            load_or_create(other.path()).unwrap().jwt_secret,
            keys.jwt_secret
        );
    }

    #[test]
    fn the_key_of_push_messages_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let key = vapid(folder.path()).unwrap();
        assert_eq!(vapid(folder.path()).unwrap(), key);
        let path = folder.path().join("vapid.key");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(path, "no key").unwrap();
        let error = vapid(folder.path()).err().unwrap();
        assert!(error.to_string().contains("is damaged; remove it"));
    }

    #[test]
    fn the_keys_are_signed_with_the_secret() {
        let keys = DevKeys::signed_with("s".repeat(40));
        let verifier = Keys::new(
            Some(keys.jwt_secret.as_bytes()),
            None,
            ClaimValidators::default(),
        );
        let now = chrono::Utc::now().timestamp();
        assert_eq!(&*verifier.verify(&keys.anon_key, now).unwrap().role, "anon");
        assert_eq!(
            &*verifier.verify(&keys.service_key, now).unwrap().role,
            "service_role"
        );
    }

    #[test]
    fn a_damaged_file_is_not_overwritten_silently() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(path(folder.path()), "{").unwrap();
        let error = load_or_create(folder.path()).err().unwrap();
        assert!(error.to_string().contains("is damaged; remove it"));
    }
}
