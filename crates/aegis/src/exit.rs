//! How the program ends: a code that scripts can rely on, and a sentence for the person. It never decides which.

use std::fmt;
use std::process::ExitCode;

/// The documented exit codes; see `aegis --help`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    /// Done.
    Ok = 0,
    /// A difference or finding: standing alarms, a torn tail, an unequal digest.
    Finding = 1,
    /// The command line is wrong, or the command cannot be carried out as given.
    Usage = 2,
    /// The journal is damaged or not one.
    Corrupt = 65,
    /// The process or venue that is needed does not answer.
    Away = 69,
    /// The program met its own mistake.
    Bug = 70,
    /// Another process holds the journal.
    Locked = 73,
    /// Reading or writing failed.
    Io = 74,
    /// The configuration is wrong.
    Config = 78,
}

impl Exit {
    /// The graver of two ends.
    pub(crate) fn worse(self, other: Exit) -> Exit {
        if self as u8 >= other as u8 { self } else { other }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// The list of codes for `--help`.
pub(crate) const CODES: &str = "\
Exit codes:
  0   done
  1   a difference or finding (standing alarms, a torn tail)
  2   usage: the command line is wrong or cannot be carried out as given
  65  the journal is damaged, or is not one
  69  the process or venue that is needed does not answer
  70  a mistake of the program itself: please report it
  73  another process holds the journal (its pid is named)
  74  reading or writing failed; restart to replay from the disk
  78  the configuration is wrong (every error is listed)";

/// Why the program ends otherwise than done.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The code.
    pub(crate) exit: Exit,
    /// What happened and what to do next.
    pub(crate) text: String,
}

impl Failure {
    /// A failure in words.
    pub(crate) fn new(exit: Exit, text: impl Into<String>) -> Failure {
        Failure { exit, text: text.into() }
    }

    /// A command that cannot be carried out as given.
    pub(crate) fn usage(text: impl Into<String>) -> Failure {
        Failure::new(Exit::Usage, text)
    }

    /// A mistake of the program.
    pub(crate) fn bug(text: impl fmt::Display) -> Failure {
        Failure::new(Exit::Bug, format!("this is a bug, please report it: {text}"))
    }

    /// A failed read or write.
    pub(crate) fn io(what: impl fmt::Display, cause: &std::io::Error) -> Failure {
        Failure::new(Exit::Io, format!("{what}: {cause}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<aegis_node::Fault> for Failure {
    fn from(fault: aegis_node::Fault) -> Failure {
        Failure::new(Exit::Io, fault.to_string())
    }
}

impl From<aegis_node::OpenError> for Failure {
    fn from(error: aegis_node::OpenError) -> Failure {
        let text = error.to_string();
        if let aegis_node::OpenError::Journal(cause) = error {
            Failure::from(cause)
        } else {
            Failure::new(Exit::Corrupt, text)
        }
    }
}

impl From<aegis_journal::OpenError> for Failure {
    fn from(error: aegis_journal::OpenError) -> Failure {
        Failure::new(code_of(&error), error.to_string())
    }
}

/// The code of a journal that cannot be opened; what is not named is damage.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enum is not exhaustive: a new way to be wrong is damage"
)]
pub(crate) const fn code_of(error: &aegis_journal::OpenError) -> Exit {
    use aegis_journal::OpenError;
    match error {
        OpenError::Locked { .. } => Exit::Locked,
        OpenError::NoJournal => Exit::Usage,
        OpenError::Config { .. } => Exit::Config,
        OpenError::Io(_) => Exit::Io,
        _ => Exit::Corrupt,
    }
}

impl From<crate::feed::FeedError> for Failure {
    fn from(error: crate::feed::FeedError) -> Failure {
        Failure::new(Exit::Io, error.to_string())
    }
}
