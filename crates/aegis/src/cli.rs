//! The command line: what can be asked for. It only reads the words.

use crate::exit::CODES;
use crate::world::Kill;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// A crash-safe, event-sourced trading-state engine.
#[derive(Parser, Debug)]
#[command(name = "aegis", version, about, after_help = CODES, propagate_version = true)]
pub(crate) struct Cli {
    /// The data directory [default: run.data, `aegis-data`]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// A TOML file laid over the defaults (see `aegis config show`)
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// More logs on stderr: -v info, -vv debug, -vvv trace; AEGIS_LOG holds a filter instead
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Results as JSON, one object a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What to do
    #[command(subcommand)]
    pub(crate) what: What,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub(crate) enum What {
    /// Play the acts: paper exchange, recorded market data, reference strategies
    Run(Run),
    /// Serve a simulated exchange over HTTP and WebSocket, for clients made for the real one
    #[cfg(feature = "venue")]
    Venue(crate::venue::Options),
    /// Fold a journal and show the state at any point, with its digest
    #[cfg(feature = "forensics")]
    Replay(Replay),
    /// Check every byte of the journals
    Verify(Journals),
    /// Copy the journals to another directory, also while they are written; the next time only what is new
    Backup(Backup),
    /// Make a data directory, or one journal, of a backup
    Restore(Restore),
    /// Back the journals up, then drop their oldest segments as `prune` does
    Archive(Prune),
    /// Drop the oldest segments of the journals: only what a backup holds that is read and verified first
    Prune(Prune),
    /// Bring the segments that were dropped back from a backup
    Unprune(Unprune),
    /// The records in words
    #[cfg(feature = "forensics")]
    Log(Log),
    /// Why something is as it is: the chain of causes of a position, stop, order, trade, signal, asset or record
    #[cfg(feature = "forensics")]
    Explain(Explain),
    /// What two journals, two points of one, or a journal and a venue snapshot differ in; exit code 1 if they do
    #[cfg(feature = "forensics")]
    Diff(Diff),
    /// The report on a journal: profit, fees, drawdown, protection, unknown outcomes, corrections, commands, gaps, anomalies
    #[cfg(feature = "forensics")]
    Audit(Audit),
    /// Play a journal's ticks, signals and commands again with other stops: both outcomes side by side
    #[cfg(feature = "forensics")]
    WhatIf(WhatIf),
    /// A journal as files: CSV, an SQLite database, a beancount ledger; a table for each kind of record and of the fold
    #[cfg(feature = "forensics")]
    Export(Export),
    /// SQL over a journal; `--tables` lists what there is to ask
    #[cfg(feature = "forensics")]
    Query(Query),
    /// How things stand: from the running process, or from the journals
    Status(Status),
    /// Refuse new entries; protection goes on
    Halt {
        /// Why, for the record
        #[arg(default_value = "by hand")]
        reason: String,
    },
    /// Allow entries again
    #[command(visible_alias = "enable")]
    Resume,
    /// Halt, cancel working entries, exit everything
    Flatten,
    /// Exit one instrument
    Close {
        /// Such as BTC_USDT
        instrument: String,
    },
    /// Open a position by hand; the gate applies
    Open {
        /// Such as BTC_USDT
        instrument: String,
        /// Base quantity
        quantity: String,
        /// The stop; by the configured plan when left out
        #[arg(long)]
        stop: Option<String>,
    },
    /// Move a stop
    AdjustStop {
        /// Such as BTC_USDT
        instrument: String,
        /// Where to
        stop: String,
        /// Needed to move it down
        #[arg(long)]
        loosen: bool,
    },
    /// Change limits until the next start
    SetLimits {
        /// Positions at most
        #[arg(long)]
        max_positions: Option<u32>,
        /// Loss of a UTC day at most, quote units
        #[arg(long)]
        daily_loss: Option<String>,
        /// Quote per entry at most
        #[arg(long)]
        budget: Option<String>,
    },
    /// Take a quarantined holding into the position
    Adopt {
        /// Such as BTC_USDT
        instrument: String,
        /// The venue's average price of the whole holding
        #[arg(long)]
        average: String,
        /// The whole holding: ours and the quarantined
        #[arg(long)]
        quantity: String,
    },
    /// Allow entries in a blocked instrument again
    Release {
        /// Such as BTC_USDT
        instrument: String,
    },
    /// Accept that acknowledged records are lost
    AcceptGap,
    /// Accept orders at the exchange under ids of ours that no record intended, so that entries pass again
    AcceptForeign {
        /// The client order id of the only one to accept; all that were seen without it
        client: Option<String>,
        /// What was found out about them; it is recorded with the ids
        #[arg(long)]
        reason: String,
    },
    /// Look at everything that a live run rests on: settings, key, clock, disk, journal, stops
    Doctor,
    /// Compare a live run with the exchange: by the running process, or as a table that changes nothing
    Reconcile {
        /// Only show what differs: exit 0 in sync, 1 drift, 2 the exchange could not be asked
        #[arg(long)]
        dry_run: bool,
    },
    /// Put an instrument's dust back into its position
    ReturnDust {
        /// Such as BTC_USDT
        instrument: String,
    },
    /// List the old bot's files: how large each is, and what
    #[cfg(feature = "forensics")]
    Inventory(crate::legacy::Inventory),
    /// Take over what the old bot left: its files become claims, which the exchange confirms or not
    #[cfg(feature = "forensics")]
    Import(crate::legacy::Import),
    /// The settings
    Config {
        /// What to show
        #[command(subcommand)]
        what: ConfigWhat,
    },
    #[cfg(feature = "forensics")]
    /// A story told with a real process and a real SIGKILL
    Demo {
        /// Which
        #[command(subcommand)]
        which: Demo,
    },
    #[cfg(feature = "terminal")]
    /// Completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// `aegis run`
#[derive(Args, Debug, Default)]
pub(crate) struct Run {
    /// Trade at the exchange that [live] names, until SIGTERM or SIGINT
    #[arg(long, conflicts_with_all = ["seed", "pace", "market", "act", "stop_after"])]
    pub(crate) live: bool,
    /// Draw every id from this number, so that two runs print one digest
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// realtime, fast, or a factor such as 60x
    #[arg(long)]
    pub(crate) pace: Option<String>,
    /// Play this file of candles instead of the acts
    #[arg(long, value_name = "FILE")]
    pub(crate) market: Option<String>,
    /// Take signals from this file of JSON lines, or from standard input
    #[arg(long, value_name = "FILE|-")]
    pub(crate) signals: Option<String>,
    /// Play these acts only
    #[arg(long, value_name = "NAME")]
    pub(crate) act: Vec<String>,
    /// Move the data directory aside and begin anew
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Stop cleanly after so many market points
    #[arg(long, value_name = "POINTS")]
    pub(crate) stop_after: Option<u64>,
    /// For tests and the demonstration: SIGKILL ourselves at a named place, such as after-accept:3
    #[arg(long, hide = true)]
    pub(crate) debug_kill: Option<Kill>,
}

/// `aegis replay`
#[cfg(feature = "forensics")]
#[derive(Args, Debug)]
pub(crate) struct Replay {
    /// An engine's journal; all acts of the data directory when left out
    pub(crate) journal: Option<PathBuf>,
    /// Stop at this record, "before N", or time (2019-01-01T00:00:00Z); only whole batches count. It begins at the
    /// nearest checkpoint before that, if there is one
    #[arg(long, value_name = "LSN|TIME")]
    pub(crate) until: Option<aegis_forensics::Until>,
    /// Fold from the first record in any case
    #[arg(long)]
    pub(crate) no_checkpoints: bool,
    /// Step through it on the terminal like a film, from the first record or from --until on
    #[arg(long, conflicts_with = "no_checkpoints")]
    pub(crate) watch: bool,
}

/// `aegis diff`
#[cfg(feature = "forensics")]
#[derive(Args, Debug)]
pub(crate) struct Diff {
    /// Two journals, each as DIR or DIR@LSN; or a journal and files with the exchange's answers (balances, open orders,
    /// trades)
    #[arg(required = true, value_name = "JOURNAL|FILE", num_args = 1..)]
    pub(crate) sides: Vec<String>,
    /// The first point of one journal
    #[arg(long, value_name = "LSN|TIME", requires = "and")]
    pub(crate) at: Option<aegis_forensics::Until>,
    /// The second point of one journal
    #[arg(long, value_name = "LSN|TIME", requires = "at")]
    pub(crate) and: Option<aegis_forensics::Until>,
}

/// `aegis explain`
#[cfg(feature = "forensics")]
#[derive(Args, Debug)]
#[command(after_help = "\
What can be asked about (one word does where only one thing has that name):
  BTC_USDT            the last position: who opened each lot, its stop, its exit, what it earned
  BTC_USDT 3          the third position
  stop BTC_USDT       why the stop is where it is
  order 7             an order, by its number, its client order id or the venue's id
  intent 83           the order that this record intended
  trade ID            an execution
  signal BTC_USDT     the last signal about it, or of a SOURCE, or the one in a RECORD
  asset BTC           where it came from and went: movements that add up to what is held
  0.00000925 BTC      the movements of exactly that size
  record 52           what led to a record and what came of it")]
pub(crate) struct Explain {
    /// What: see below
    #[arg(required = true, value_name = "WHAT")]
    pub(crate) what: Vec<String>,
    /// An engine's journal; all acts of the data directory when left out
    #[arg(long, value_name = "DIR")]
    pub(crate) journal: Option<PathBuf>,
    /// Levels of the tree that are shown
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) depth: u16,
    /// Show every adjustment, refusal and movement instead of folding long runs
    #[arg(long)]
    pub(crate) all: bool,
}

/// `aegis audit`
#[cfg(feature = "forensics")]
#[derive(Args, Debug)]
pub(crate) struct Audit {
    /// An engine's journal; may be left out where the data directory has only one
    #[arg(value_name = "DIR")]
    pub(crate) journal: Option<PathBuf>,
    /// Where it begins; what lies before is folded and not counted
    #[arg(long, value_name = "TIME|LSN")]
    pub(crate) from: Option<aegis_forensics::Until>,
    /// Where it ends
    #[arg(long, value_name = "TIME|LSN")]
    pub(crate) until: Option<aegis_forensics::Until>,
    /// What it is written as; Markdown when left out, HTML has the charts
    #[arg(long, value_enum)]
    pub(crate) format: Option<AuditFormat>,
    /// A new file to write it to, instead of standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// `aegis what-if`
#[cfg(feature = "forensics")]
#[derive(Args, Debug)]
#[command(after_help = "\
The forms of --stop (D is a distance such as 1.5%, 150bp or \"offset 12.5\"):
  fixed:D                   D below the entry, and there it stays
  trailing:D                D below the entry, then D below the highest price
  trailing:D,initial=E      E below the entry first
  trailing:D,stage=3%:1%    from a profit of 3 % on 1 % below; several may be given, by rising profit
  trailing:D,stage=3%:1%,from=stage    it trails only from the first stage on
  fixed:atr14x2             2 times Wilder's range over 14 candles; as initial=atr14x2, too
  recorded                  as it was

The ticks come from the journal where all were recorded (engine.record = \"all\"), else from the market that the
program carries or from --market FILE, if its digest is the recorded one.")]
pub(crate) struct WhatIf {
    /// An engine's journal; may be left out where the data directory has only one
    #[arg(value_name = "DIR")]
    pub(crate) journal: Option<PathBuf>,
    /// The stop: see below
    #[arg(long, value_name = "FORM")]
    pub(crate) stop: Option<crate::forensics::whatif::Stop>,
    /// The profit over the entry price at which to leave, such as 3%, or none
    #[arg(long, value_name = "PROFIT|none", value_parser = crate::forensics::whatif::take_profit)]
    pub(crate) take_profit: Option<crate::forensics::whatif::OrNone<aegis_model::Rate>>,
    /// How long to hold at most, such as 12h, or none
    #[arg(long, value_name = "SPAN|none", value_parser = crate::forensics::whatif::hold)]
    pub(crate) hold: Option<crate::forensics::whatif::OrNone<i64>>,
    /// Differ for this instrument only; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) instrument: Vec<aegis_model::Label>,
    /// Differ from here on, and count from here on
    #[arg(long, value_name = "TIME|LSN")]
    pub(crate) from: Option<aegis_forensics::Until>,
    /// Where it ends
    #[arg(long, value_name = "TIME|LSN")]
    pub(crate) until: Option<aegis_forensics::Until>,
    /// The file that it was played on (of ticks L1_FILE,TRADES_FILE)
    #[arg(long, value_name = "FILE")]
    pub(crate) market: Option<String>,
    /// Show every position that differs
    #[arg(long)]
    pub(crate) all: bool,
}

/// What an audit is written as.
#[cfg(feature = "forensics")]
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum AuditFormat {
    /// Markdown
    Md,
    /// One HTML file with charts that needs nothing else
    Html,
    /// One object
    Json,
}

/// `aegis export`
#[cfg(feature = "forensics")]
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("to").required(true))]
pub(crate) struct Export {
    /// A new directory of CSV files, one for each table, with `schema.json`
    #[arg(long, value_name = "DIR", group = "to")]
    pub(crate) csv: Option<PathBuf>,
    /// A new SQLite database
    #[arg(long, value_name = "FILE", group = "to")]
    pub(crate) sqlite: Option<PathBuf>,
    /// A new beancount ledger: accounts, trades at cost, fees, profit, balances
    #[arg(long, value_name = "FILE", group = "to", conflicts_with = "table")]
    pub(crate) beancount: Option<PathBuf>,
    /// A new directory of Parquet files, one for each table (needs the feature `columns`)
    #[arg(long, value_name = "DIR", group = "to")]
    pub(crate) parquet: Option<PathBuf>,
    /// A new directory of Arrow files, one for each table (needs the feature `columns`)
    #[arg(long, value_name = "DIR", group = "to")]
    pub(crate) arrow: Option<PathBuf>,
    /// An engine's journal; may be left out where the data directory has only one
    #[arg(long, value_name = "DIR")]
    pub(crate) journal: Option<PathBuf>,
    /// Only these tables
    #[arg(long, value_name = "NAME", num_args = 1..)]
    pub(crate) table: Vec<String>,
    /// Up to this record, "before N", or time (2019-01-01T00:00:00Z); only whole batches count
    #[arg(long, value_name = "LSN|TIME")]
    pub(crate) until: Option<aegis_forensics::Until>,
    /// Replace what an earlier export left under the name
    #[arg(long)]
    pub(crate) force: bool,
}

/// `aegis query`
#[cfg(feature = "forensics")]
#[derive(Args, Debug)]
#[command(after_help = QUERIES)]
pub(crate) struct Query {
    /// One SELECT
    #[arg(required_unless_present = "tables")]
    pub(crate) sql: Option<String>,
    /// List the tables; of those that are named also the columns
    #[arg(long, value_name = "NAME", num_args = 0..)]
    pub(crate) tables: Option<Vec<String>>,
    /// An engine's journal; may be left out where the data directory has only one
    #[arg(long, value_name = "DIR")]
    pub(crate) journal: Option<PathBuf>,
    /// As of this record, "before N", or time
    #[arg(long, value_name = "LSN|TIME")]
    pub(crate) until: Option<aegis_forensics::Until>,
    /// Rows as CSV
    #[arg(long)]
    pub(crate) csv: bool,
}

#[cfg(feature = "forensics")]
const QUERIES: &str = "\
Money and quantities are exact decimals: sum() and avg() are exact here, and decimal_add, decimal_sub, decimal_mul and
decimal_div calculate; the operators + - * / of SQL would make floats of them. A column compares and sorts by value;
what a function makes (sum, avg, min, max, decimal_...) is text to SQLite. Sort it with COLLATE DECIMAL, find the least
and the greatest so too, and compare it by decimal_cmp(a, b), which is -1, 0 or 1:
  ... order by sum(realised) collate decimal          max(decimal_sub(sold, bought) collate decimal)
  ... having decimal_cmp(sum(realised), 0) < 0        and never: having sum(realised) < 0
Times are texts such as 2025-03-25T23:08:00.000000000Z; a beginning of one will do in a comparison.
  aegis query --tables fills
  aegis query \"select instrument, sum(realised) from cycles group by instrument\"
  aegis query \"select * from stop_moved where lsn between 300 and 400\" --json";

/// `aegis verify`
#[derive(Args, Debug)]
pub(crate) struct Journals {
    /// Journals; all of the data directory when left out
    pub(crate) journals: Vec<PathBuf>,
    /// Fold the records as well: every checkpoint must be the state at its record, and the laws must hold
    #[cfg(feature = "forensics")]
    #[arg(long)]
    pub(crate) deep: bool,
    /// Print the head of each journal, LSN:HEX, to be kept elsewhere: it finds a rewritten history out
    #[arg(long, conflicts_with = "head")]
    pub(crate) print_head: bool,
    /// A head that was printed earlier: whether the records up to it are still those; may be given several times
    #[arg(long, value_name = "LSN:HEX")]
    pub(crate) head: Vec<aegis_journal::Head>,
}

/// `aegis backup`
#[derive(Args, Debug)]
pub(crate) struct Backup {
    /// The directory of the backup: a new one, an empty one, or an earlier backup of the same journals
    #[arg(value_name = "DIR")]
    pub(crate) to: PathBuf,
    /// Only this journal, into DIR itself; all of the data directory when left out
    #[arg(long, value_name = "DIR")]
    pub(crate) journal: Option<PathBuf>,
    /// Read everything again, in the journals and in the backup, and copy anew what is damaged there
    #[arg(long)]
    pub(crate) full: bool,
    /// Copy a damaged journal with its damage instead of refusing it; best into a directory of its own
    #[arg(long)]
    pub(crate) as_it_is: bool,
}

/// `aegis restore`
#[derive(Args, Debug)]
pub(crate) struct Restore {
    /// What `aegis backup` wrote
    #[arg(value_name = "BACKUP")]
    pub(crate) backup: PathBuf,
    /// A new or an empty directory
    #[arg(value_name = "DIR")]
    pub(crate) to: PathBuf,
}

/// `aegis archive` and `aegis prune`
#[derive(Args, Debug)]
pub(crate) struct Prune {
    /// The directory of the backup, as `aegis backup` is given it
    #[arg(value_name = "BACKUP")]
    pub(crate) backup: PathBuf,
    /// Only this journal, whose backup is BACKUP itself; all of the data directory when left out
    #[arg(long, value_name = "DIR")]
    pub(crate) journal: Option<PathBuf>,
    /// Keep all records of the last so many days
    #[arg(long, value_name = "DAYS", conflicts_with = "keep_from")]
    pub(crate) keep_days: Option<u32>,
    /// Keep the record with this number and all behind it
    #[arg(long, value_name = "LSN")]
    pub(crate) keep_from: Option<u64>,
    /// Only tell what would be dropped; `archive` makes the backup all the same
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `aegis unprune`
#[derive(Args, Debug)]
pub(crate) struct Unprune {
    /// The directory of the backup that has them
    #[arg(value_name = "BACKUP")]
    pub(crate) backup: PathBuf,
    /// Only this journal, whose backup is BACKUP itself; all of the data directory when left out
    #[arg(long, value_name = "DIR")]
    pub(crate) journal: Option<PathBuf>,
}

/// `aegis log`
#[cfg(feature = "forensics")]
#[derive(Args, Debug)]
pub(crate) struct Log {
    /// An engine's journal; all acts of the data directory when left out
    pub(crate) journal: Option<PathBuf>,
    /// First record shown
    #[arg(long, default_value_t = 1)]
    pub(crate) from: u64,
    /// Last record shown
    #[arg(long)]
    pub(crate) to: Option<u64>,
    /// Go on as records become durable
    #[arg(long)]
    pub(crate) follow: bool,
}

/// `aegis status`
#[derive(Args, Debug)]
pub(crate) struct Status {
    /// Print nothing; the exit code tells
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// `aegis config`
#[derive(Subcommand, Debug)]
pub(crate) enum ConfigWhat {
    /// Every setting with its default and its meaning
    Show {
        /// The values in force, with where each was written
        #[arg(long)]
        effective: bool,
    },
    /// Whether the configuration is right; every error at once
    Check,
}

/// `aegis demo`
#[cfg(feature = "forensics")]
#[derive(Subcommand, Debug)]
pub(crate) enum Demo {
    /// What a restart forgets: S01 and S02 of the acceptance scenarios
    Amnesia,
}
