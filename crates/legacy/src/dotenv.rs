//! `.env`: which keys there are, and the few whose values are no secrets. The value of any other key is compared with
//! nothing, kept nowhere and shown nowhere; neither the digest nor a message is made from it.

use crate::number::figure;
use crate::settings::{VARIABLES, stated};
use crate::{Document, Refused, Why};
use aegis_model::claim::SourceKind;
use std::collections::BTreeMap;

/// Parts of names that hold secrets.
const SECRET: &[&str] =
    &["KEY", "SECRET", "TOKEN", "PASS", "DSN", "CREDENTIAL", "PRIVATE", "ACCOUNT", "CHAT_ID", "_ID"];
/// Keys whose values are told: figures and switches.
const NOTED: &[(&str, &str)] = &[
    ("INITIAL_BALANCE", "was typed in by a person, and is no balance"),
    ("LIVE_MODE", "is not taken over: `aegis run --live` says so itself"),
    ("TESTNET", "is not taken over"),
];
/// Two spellings of one key.
const TWINS: &[(&str, &str)] = &[
    ("EXCHANGE_API_KEY", "API_KEY"),
    ("EXCHANGE_API_SECRET", "API_SECRET"),
    ("TELEGRAM_BOT_TOKEN", "BOT_TOKEN"),
    ("TELEGRAM_CHAT_ID", "CHAT_ID"),
];

/// Whether this is a file of environment variables: every line that says something is `NAME=...`.
pub(crate) fn is_one(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let mut named = assignments(text).peekable();
    named.peek().is_some() && named.all(|(_, assignment)| assignment.is_some())
}

/// Lines that are no comment, with name and value where they assign.
fn assignments(text: &str) -> impl Iterator<Item = (usize, Option<(&str, &str)>)> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).map(|(at, line)| {
        let line = line.strip_prefix("export ").unwrap_or(line);
        let assignment = line.split_once('=').map(|(name, value)| (name.trim(), unquoted(value.trim())));
        let good = |name: &str| {
            !name.is_empty()
                && name.len() <= 64
                && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        };
        (at, assignment.filter(|(name, _)| good(name)))
    })
}

fn unquoted(value: &str) -> &str {
    let inner = |mark: char| value.strip_prefix(mark)?.strip_suffix(mark);
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
}

/// Reads the file.
pub(crate) fn read(bytes: &[u8]) -> Result<Document, Refused> {
    let text = std::str::from_utf8(bytes).map_err(|_| Refused::whole(Why::Syntax("not text".to_owned())))?;
    let mut document = Document::new(SourceKind::Dotenv, b"");
    document.bytes = bytes.len() as u64;
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    let mut digested = String::new();
    for (line, assignment) in assignments(text) {
        let row = format!("line {line}");
        let Some((name, value)) = assignment else {
            return Err(Refused::at(&row, Why::Syntax("no NAME=value".to_owned())));
        };
        if seen.insert(name, value).is_some_and(|before| before != value) {
            return Err(Refused::at(
                &row,
                Why::Contradictory(format!("{name} is set twice, to different values")),
            ));
        }
        document.rows += 1;
        let known = take(name, value, &row, &mut document)?;
        digested += &format!("{name}={}\n", if known { value } else { "?" });
    }
    for (one, other) in TWINS {
        if let (Some(a), Some(b)) = (seen.get(one), seen.get(other))
            && a != b
        {
            let what = format!("{one} and {other} name one thing and differ");
            return Err(Refused::whole(Why::Contradictory(what)));
        }
    }
    document.secrets.sort_unstable();
    document.secrets.dedup();
    document.digest = *blake3::hash(digested.as_bytes()).as_bytes();
    document.parts.push(("variables".to_owned(), document.rows));
    Ok(document)
}

/// Takes what a variable says; whether its value is one that may be told.
fn take(name: &str, value: &str, row: &str, document: &mut Document) -> Result<bool, Refused> {
    if let Some((key, limit, spelling)) = VARIABLES.iter().find(|known| known.0 == name) {
        // What stands there by mistake may be a secret: the message names the key only.
        let figure = figure(value).filter(|figure| figure.value.is_positive());
        let limit = figure.and_then(|figure| stated(key, *limit, *spelling, figure.value));
        document
            .limits
            .push(limit.ok_or_else(|| Refused::at(row, Why::NotANumber(format!("the value of {key}"))))?);
        return Ok(true);
    }
    if let Some((key, why)) = NOTED.iter().find(|known| known.0 == name) {
        let word =
            ["True", "False", "true", "false"].into_iter().find(|word| *word == value).map(str::to_owned);
        let said = word.or_else(|| figure(value).map(|figure| figure.value.to_string()));
        match said {
            Some(said) => document.note(key, &format!("{key} = {said} {why}")),
            None => return Err(Refused::at(row, Why::NotANumber(format!("the value of {key}")))),
        }
        return Ok(true);
    }
    if SECRET.iter().any(|part| name.contains(part)) && !value.is_empty() {
        document.secrets.push(name.to_owned());
    }
    Ok(false)
}
