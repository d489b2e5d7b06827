//! The API key and its secret, from the environment or from a file that only its owner reads. They are never printed,
//! logged or journaled, and the secret's text is handed over without a copy.

use crate::exit::{Exit, Failure};
use aegis_cryptocom::{Secret, Signer};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where the keys are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct KeySource {
    /// The environment variable that holds the API key.
    pub(crate) key_env: String,
    /// Where the secret is.
    pub(crate) secret: SecretSource,
}

/// Where the secret is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum SecretSource {
    /// In an environment variable.
    Env(String),
    /// In a file; one that others may read is refused.
    File(PathBuf),
}

impl KeySource {
    /// Reads both and makes a signer of them.
    ///
    /// # Errors
    /// [`Failure`] naming the variable or file, never what is in it.
    pub(crate) fn signer(&self) -> Result<Signer, Failure> {
        let key = variable(&self.key_env, "the API key")?;
        let secret = match &self.secret {
            SecretSource::Env(name) => variable(name, "the API secret")?,
            SecretSource::File(path) => file(path)?,
        };
        Ok(Signer::new(&key, &Secret::new(secret)))
    }
}

fn wrong(text: String) -> Failure {
    Failure::new(Exit::Config, text)
}

fn variable(name: &str, what: &str) -> Result<String, Failure> {
    match std::env::var(name) {
        Ok(value) if !value.trim().is_empty() => Ok(trimmed(value)),
        Ok(_) => Err(wrong(format!("the environment variable {name} for {what} is empty"))),
        Err(std::env::VarError::NotPresent) => {
            Err(wrong(format!("the environment variable {name} for {what} is not set")))
        }
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(wrong(format!("the environment variable {name} for {what} is not text")))
        }
    }
}

fn file(path: &Path) -> Result<String, Failure> {
    let told = |e: &std::io::Error| wrong(format!("the secret file {} cannot be read: {e}", path.display()));
    let mode = std::fs::metadata(path).map_err(|e| told(&e))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(wrong(format!(
            "the secret file {} may be read by others (mode {:03o}): chmod 600 it",
            path.display(),
            mode & 0o777
        )));
    }
    let text = std::fs::read_to_string(path).map_err(|e| told(&e))?;
    if text.trim().is_empty() {
        return Err(wrong(format!("the secret file {} is empty", path.display())));
    }
    Ok(trimmed(text))
}

/// Without white space around it, in the same memory where nothing stood before it.
fn trimmed(mut text: String) -> String {
    text.truncate(text.trim_end().len());
    let lead = text.len() - text.trim_start().len();
    text.drain(..lead);
    text
}
