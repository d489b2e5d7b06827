//! The program: it reads the command line, runs what was asked for on one thread, and ends with a documented code.
//! It decides nothing about trading.
#![forbid(unsafe_code)]

mod act;
mod adapter;
mod backup;
mod cli;
mod config;
mod control;
#[cfg(feature = "forensics")]
mod demo;
mod doctor;
mod exit;
mod feed;
#[cfg(feature = "forensics")]
mod forensics;
mod ids;
#[cfg(feature = "forensics")]
mod legacy;
mod live;
mod market;
mod notify;
#[cfg(feature = "forensics")]
mod offline;
mod place;
mod port;
#[cfg_attr(not(feature = "forensics"), allow(dead_code))]
mod precedent;
mod progress;
mod prune;
mod reconcile;
mod run;
mod runtime;
mod signals;
mod status;
mod summary;
mod text;
#[cfg(feature = "venue")]
mod venue;
mod verify;
#[allow(dead_code, reason = "what only tests and `doctor` ask")]
mod wire;
mod world;

#[cfg(feature = "terminal")]
use clap::CommandFactory;
use clap::Parser;
#[cfg(feature = "forensics")]
use cli::Demo;
use cli::{Cli, ConfigWhat, What};
use config::{Config, Overrides};
use control::words::Ask;
use exit::{Exit, Failure};
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    // The one TLS provider of the process; a second one cannot be set.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = Cli::parse();
    logs(cli.verbose);
    match carry_out(&cli) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            eprintln!("aegis: {failure}");
            failure.exit.into()
        }
    }
}

/// Logs go to stderr: warnings, more with -v, or what AEGIS_LOG says.
fn logs(verbose: u8) {
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::util::SubscriberInitExt;
    let logs = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let filter = filter(verbose, std::env::var("AEGIS_LOG").ok().as_deref());
    // A second subscriber cannot be set; there is only this one.
    let _ = tracing_subscriber::registry().with(logs).with(filter).try_init();
}

/// What is logged: `asked` (`warn`, or `info,aegis::wire=trace`), else as often as -v was said.
fn filter(verbose: u8, asked: Option<&str>) -> tracing_subscriber::filter::Targets {
    use tracing_subscriber::filter::{LevelFilter, Targets};
    let level = match verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    asked
        .and_then(|asked| asked.parse().ok())
        .unwrap_or_else(|| Targets::new().with_default(level))
        // At its lowest level this library writes whole frames, and the login frame carries key and signature.
        .with_target("tungstenite", LevelFilter::INFO)
        .with_target("tokio_tungstenite", LevelFilter::INFO)
}

/// Prints a result; a reader who went away ends the program quietly.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(e) => Err(Failure::io("standard output", &e)),
        Ok(()) => Ok(()),
    }
}

fn config(cli: &Cli, over: Overrides) -> Result<Config, Failure> {
    let over = Overrides { data: cli.data.clone(), ..over };
    Config::load(cli.config.as_deref(), std::env::vars(), &over)
}

fn carry_out(cli: &Cli) -> Result<Exit, Failure> {
    let plain = || config(cli, Overrides::default());
    match &cli.what {
        What::Run(asked) => {
            let over = Overrides {
                data: None,
                pace: asked.pace.clone(),
                market: asked.market.clone(),
                signals: asked.signals.clone(),
                ..Overrides::default()
            };
            let config = config(cli, over)?;
            if asked.live { live::run(&config, asked, cli.json) } else { run::run(&config, asked, cli.json) }
        }
        #[cfg(feature = "venue")]
        What::Venue(asked) => {
            let over = Overrides { venue_server: asked.over(), ..Overrides::default() };
            venue::serve(&config(cli, over)?, asked, cli.data.as_deref(), cli.json)
        }
        #[cfg(feature = "forensics")]
        What::Replay(asked) => offline::replay(&plain()?, asked, cli.json),
        What::Verify(asked) => verify::verify(&plain()?, asked, cli.json),
        What::Backup(asked) => backup::backup(&plain()?, asked, cli.json),
        What::Restore(asked) => backup::restore(asked, cli.json),
        What::Archive(asked) => prune::archive(&plain()?, asked, cli.json),
        What::Prune(asked) => prune::prune(&plain()?, asked, cli.json),
        What::Unprune(asked) => prune::unprune(&plain()?, asked, cli.json),
        #[cfg(feature = "forensics")]
        What::Log(asked) => offline::log(&plain()?, asked, cli.json),
        #[cfg(feature = "forensics")]
        What::Explain(asked) => forensics::explain::explain(&plain()?, asked, cli.json),
        #[cfg(feature = "forensics")]
        What::Diff(asked) => forensics::diff::diff(&plain()?, asked, cli.json),
        #[cfg(feature = "forensics")]
        What::Audit(asked) => forensics::audit::report(&plain()?, asked, cli.json),
        #[cfg(feature = "forensics")]
        What::WhatIf(asked) => forensics::whatif::what_if(&plain()?, asked, cli.json),
        #[cfg(feature = "forensics")]
        What::Export(asked) => forensics::export::export(&plain()?, asked, cli.json),
        #[cfg(feature = "forensics")]
        What::Query(asked) => forensics::query::query(&plain()?, asked, cli.json),
        What::Status(asked) => status::status(&plain()?, asked.quiet, cli.json),
        What::Halt { reason } => command(cli, Ask::Halt { reason: reason.clone() }),
        What::Resume => command(cli, Ask::Enable {}),
        What::Flatten => command(cli, Ask::Flatten {}),
        What::Close { instrument } => command(cli, Ask::Close { instrument: instrument.clone() }),
        What::Open { instrument, quantity, stop } => command(
            cli,
            Ask::Open { instrument: instrument.clone(), quantity: quantity.clone(), stop: stop.clone() },
        ),
        What::AdjustStop { instrument, stop, loosen } => command(
            cli,
            Ask::AdjustStop { instrument: instrument.clone(), stop: stop.clone(), loosen: *loosen },
        ),
        What::SetLimits { max_positions, daily_loss, budget } => command(
            cli,
            Ask::SetLimits {
                max_positions: *max_positions,
                daily_loss: daily_loss.clone(),
                budget: budget.clone(),
            },
        ),
        What::Adopt { instrument, average, quantity } => command(
            cli,
            Ask::Adopt {
                instrument: instrument.clone(),
                average: average.clone(),
                quantity: quantity.clone(),
            },
        ),
        What::Release { instrument } => command(cli, Ask::Release { instrument: instrument.clone() }),
        What::Doctor => doctor::doctor(&plain()?, cli.json),
        What::Reconcile { dry_run: true } => reconcile::dry_run(&plain()?, cli.json),
        What::Reconcile { dry_run: false } => command(cli, Ask::Reconcile {}),
        What::AcceptGap => command(cli, Ask::AcceptGap {}),
        What::AcceptForeign { client, reason } => {
            command(cli, Ask::AcceptForeign { client: client.clone(), reason: reason.clone() })
        }
        What::ReturnDust { instrument } => command(cli, Ask::ReturnDust { instrument: instrument.clone() }),
        #[cfg(feature = "forensics")]
        What::Inventory(asked) => legacy::inventory(asked, cli.json),
        #[cfg(feature = "forensics")]
        What::Import(asked) => legacy::import(&plain()?, asked, cli.json),
        What::Config { what: ConfigWhat::Show { effective: false } } => {
            print(config::DEFAULTS.trim_end()).map(|()| Exit::Ok)
        }
        What::Config { what: ConfigWhat::Show { effective: true } } => {
            print(plain()?.effective.trim_end()).map(|()| Exit::Ok)
        }
        What::Config { what: ConfigWhat::Check } => {
            plain()?;
            print("the configuration is right").map(|()| Exit::Ok)
        }
        #[cfg(feature = "forensics")]
        What::Demo { which: Demo::Amnesia } => demo::amnesia(),
        #[cfg(feature = "terminal")]
        What::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "aegis", &mut script);
            print(String::from_utf8_lossy(&script).trim_end()).map(|()| Exit::Ok)
        }
    }
}

/// Sends a command to the running process.
fn command(cli: &Cli, ask: Ask) -> Result<Exit, Failure> {
    // A wrong number is told here, whether or not somebody runs.
    ask.command().map_err(Failure::usage)?;
    let dir = config(cli, Overrides::default())?.data;
    match control::ask(&dir, &ask)? {
        Some(reply) if reply.ok => {
            let text =
                if cli.json { serde_json::to_string(&reply).map_err(Failure::bug)? } else { reply.text };
            print(&text).map(|()| Exit::Ok)
        }
        Some(reply) => Err(Failure::usage(reply.text)),
        None => Err(Failure::new(
            Exit::Away,
            format!(
                "nothing runs on {}: nothing was changed. Start it with `aegis run --data {0}` and say it again; \
                 what was decided before stands in the journal and holds at the next start",
                dir.display()
            ),
        )),
    }
}

#[cfg(test)]
mod tests;
