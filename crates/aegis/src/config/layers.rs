//! The layers of a configuration: the documented defaults, one TOML file, the environment. Each value keeps the
//! text it was written in and where it stands; nothing passes through a float. It never knows what a key means.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use toml::de::{DeTable, DeValue};

/// Where a value was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    /// The defaults in the program.
    Default,
    /// A file and the line in it.
    File {
        /// Its path as given.
        file: String,
        /// From 1.
        line: usize,
    },
    /// An environment variable.
    Env(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("the built-in defaults"),
            Origin::File { file, line } => write!(f, "{file}:{line}"),
            Origin::Env(name) => write!(f, "environment {name}"),
        }
    }
}

/// A value as it was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Written {
    /// One value.
    One(String),
    /// A list.
    Many(Vec<String>),
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Written::One(text) => f.write_str(text),
            Written::Many(texts) => f.write_str(&texts.join(",")),
        }
    }
}

/// A value with its origin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Leaf {
    /// The text.
    pub(crate) written: Written,
    /// Where it stands.
    pub(crate) origin: Origin,
}

/// All values by key path, the upper layers over the lower, with what was asked for and what was wrong.
#[derive(Default)]
pub(crate) struct Layers {
    leaves: BTreeMap<String, Leaf>,
    asked: BTreeSet<String>,
    /// Everything that is wrong, in the order it was met.
    pub(crate) errors: Vec<String>,
}

impl Layers {
    /// Lays a TOML text over what is there.
    pub(crate) fn toml(&mut self, text: &str, origin: &dyn Fn(usize) -> Origin) {
        let (table, errors) = DeTable::parse_recoverable(text);
        let lines = Lines::of(text);
        for error in errors {
            let line = error.span().map_or(1, |span| lines.line_of(span.start));
            self.errors.push(format!("{}: {}", origin(line), error.message()));
        }
        self.table("", table.get_ref(), &lines, origin);
    }

    fn table(&mut self, prefix: &str, table: &DeTable<'_>, lines: &Lines, origin: &dyn Fn(usize) -> Origin) {
        for (key, value) in table {
            let path = if prefix.is_empty() {
                key.get_ref().to_string()
            } else {
                format!("{prefix}.{}", key.get_ref())
            };
            let at = origin(lines.line_of(value.span().start));
            let written = match value.get_ref() {
                DeValue::Table(inner) => {
                    self.table(&path, inner, lines, origin);
                    continue;
                }
                DeValue::Array(items) => {
                    items.iter().map(|item| one(item.get_ref())).collect::<Option<_>>().map(Written::Many)
                }
                DeValue::String(_)
                | DeValue::Integer(_)
                | DeValue::Float(_)
                | DeValue::Boolean(_)
                | DeValue::Datetime(_) => one(value.get_ref()).map(Written::One),
            };
            match written {
                Some(written) => {
                    self.leaves.insert(path, Leaf { written, origin: at });
                }
                None => self.errors.push(format!("{path} ({at}): neither a value nor a list of values")),
            }
        }
    }

    /// Lays environment variables over what is there: `AEGIS__ENGINE__BUDGET=500` sets `engine.budget`.
    pub(crate) fn environment(&mut self, variables: impl Iterator<Item = (String, String)>) {
        for (name, value) in variables {
            let Some(rest) = name.strip_prefix("AEGIS__") else { continue };
            let spelled = rest.replace("__", ".");
            let known = self.leaves.keys().find(|path| path.eq_ignore_ascii_case(&spelled)).cloned();
            let path = known.unwrap_or_else(|| self.in_known_case(&spelled));
            let leaf = Leaf { written: Written::One(value), origin: Origin::Env(name) };
            self.leaves.insert(path, leaf);
        }
    }

    /// The path with every part spelled as a known part is (`btc_usdt` as `BTC_USDT`), others in lower case.
    fn in_known_case(&self, spelled: &str) -> String {
        let parts: Vec<String> = spelled
            .split('.')
            .map(|part| {
                let mut known = self.leaves.keys().flat_map(|path| path.split('.'));
                known
                    .find(|p| p.eq_ignore_ascii_case(part))
                    .map_or_else(|| part.to_ascii_lowercase(), String::from)
            })
            .collect();
        parts.join(".")
    }

    /// Sets one value, as a command line option does.
    pub(crate) fn set(&mut self, path: &str, value: &str, option: &str) {
        let origin = Origin::Env(format!("(command line) {option}"));
        self.leaves.insert(path.to_owned(), Leaf { written: Written::One(value.to_owned()), origin });
    }

    /// The value at a path, if one is there.
    pub(crate) fn ask(&mut self, path: &str) -> Option<Leaf> {
        self.asked.insert(path.to_owned());
        self.leaves.get(path).cloned()
    }

    /// The names that stand right below a path, such as the acts.
    pub(crate) fn names(&self, below: &str) -> BTreeSet<String> {
        let prefix = format!("{below}.");
        let rests = self.leaves.keys().filter_map(|path| path.strip_prefix(&prefix));
        rests.filter_map(|rest| rest.split_once('.').map(|(name, _)| name.to_owned())).collect()
    }

    /// The keys right below a path that hold a value.
    pub(crate) fn keys(&self, below: &str) -> Vec<String> {
        let prefix = format!("{below}.");
        let rests = self.leaves.keys().filter_map(|path| path.strip_prefix(&prefix));
        rests.filter(|rest| !rest.contains('.')).map(str::to_owned).collect()
    }

    /// Notes what is wrong with the value at a path.
    pub(crate) fn wrong(&mut self, path: &str, leaf: &Leaf, what: &str) {
        let error = format!("{path} ({}): {what}", leaf.origin);
        // A common key is read once for each act.
        if !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }

    /// Notes every key that nobody asked for, with the nearest one that somebody did.
    pub(crate) fn refuse_unknown(&mut self) {
        for (path, leaf) in self.leaves.iter().filter(|(path, _)| !self.asked.contains(*path)) {
            let nearest = self.asked.iter().min_by_key(|known| distance(path, known));
            let hint = nearest
                .filter(|known| distance(path, known) <= 1 + path.len() / 3)
                .map_or_else(String::new, |known| format!("; did you mean {known}?"));
            self.errors.push(format!("{path} ({}): unknown key{hint}", leaf.origin));
        }
    }

    /// Which of these paths nobody asked for.
    #[cfg(feature = "forensics")]
    pub(crate) fn unknown(&self, paths: &[String]) -> Vec<String> {
        paths.iter().filter(|path| !self.asked.contains(*path)).cloned().collect()
    }

    /// All values, by path.
    pub(crate) const fn leaves(&self) -> &BTreeMap<String, Leaf> {
        &self.leaves
    }
}

fn one(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(yes) => Some(yes.to_string()),
        DeValue::Integer(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

/// Where each line of a text ends.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Lines {
        Lines(text.match_indices('\n').map(|(at, _)| at).collect())
    }

    /// The number of the line, from 1, that this byte lies in.
    fn line_of(&self, at: usize) -> usize {
        1 + self.0.partition_point(|end| *end < at)
    }
}

/// Levenshtein's distance, for hints.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(left != *right);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
