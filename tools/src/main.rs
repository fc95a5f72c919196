//! The `ironbook` command line: a venue, and the tools around it.
//!
//! Each subcommand is a module that says what it does and ends with one of the [`output::Exit`] codes.
#![forbid(unsafe_code)]

/// Prints a line to standard error, in place of the standard library's: that ends the program when nobody reads any
/// more.
macro_rules! eprintln {
    ($($argument:tt)*) => { $crate::output::note_line(format_args!($($argument)*)) };
}

mod access;
mod bench;
mod book;
mod bust;
mod chart;
mod client;
mod config;
mod diff;
mod doctor;
mod export;
mod indexed;
mod inspect;
mod latency;
mod listener;
mod load;
mod operator;
mod order;
mod others;
mod output;
mod page;
mod password;
mod play;
mod repair;
mod replay;
mod report;
mod scenario;
#[cfg(test)]
#[path = "../incident/tests/common/mod.rs"]
mod script;
mod send;
mod simulate;
mod start;
mod top;
mod trades;
mod tui;
mod verify;
mod whatif;
mod why;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Order-matching venue: FIX in, deterministic matching, every event in a journal that replays.
///
/// Without a command it starts a venue with the default configuration.
#[derive(Debug, Parser)]
#[command(name = "ironbook", version, max_term_width = 100)]
#[command(after_help = "Exit status: 0 all is well, 1 a finding or a failure, 2 wrong usage, \
    3 the journal is corrupt, 4 the journal has another version.")]
struct Arguments {
    #[command(subcommand)]
    command: Option<Tool>,
}

#[derive(Debug, Subcommand)]
enum Tool {
    Start(start::Arguments),
    Operator(operator::Arguments),
    Config(config::Arguments),
    Password(password::Arguments),
    Send(send::Arguments),
    Load(load::Arguments),
    Bench(bench::Arguments),
    Verify(verify::Arguments),
    Replay(replay::Arguments),
    Inspect(inspect::Arguments),
    Order(order::Arguments),
    Why(why::Arguments),
    Client(client::Arguments),
    Trades(trades::Arguments),
    Book(book::Arguments),
    Top(top::Arguments),
    Latency(latency::Arguments),
    Export(export::Arguments),
    Scenario(scenario::Arguments),
    Play(play::Arguments),
    Bust(bust::Arguments),
    Diff(diff::Arguments),
    Whatif(whatif::Arguments),
    Report(report::Arguments),
    Tui(tui::Arguments),
    Repair(repair::Arguments),
    Doctor(doctor::Arguments),
    Simulate(simulate::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let level = match arguments.command {
        // What a simulated venue says about its clients and its disk is not news.
        Some(Tool::Simulate(_)) => "off",
        // Nor that the clients of a benchmark come and go.
        Some(Tool::Bench(_)) => "warn",
        // The terminal is taken.
        Some(Tool::Tui(_)) => "off",
        _ => "info",
    };
    let level = env_logger::Env::new().filter_or("IRONBOOK_LOG", level);
    env_logger::Builder::from_env(level).format_timestamp_micros().format_target(false).init();
    // What a venue can't tell its terminal is no failure of the venue.
    let is_venue = matches!(arguments.command, None | Some(Tool::Start(_)));
    let result = match arguments.command.unwrap_or_else(|| Tool::Start(Default::default())) {
        Tool::Start(arguments) => start::run(&arguments),
        Tool::Operator(arguments) => operator::run(&arguments),
        Tool::Config(arguments) => config::run(&arguments),
        Tool::Password(arguments) => password::run(&arguments),
        Tool::Send(arguments) => send::run(&arguments),
        Tool::Load(arguments) => load::run(&arguments),
        Tool::Bench(arguments) => bench::run(&arguments),
        Tool::Verify(arguments) => verify::run(&arguments),
        Tool::Replay(arguments) => replay::run(&arguments),
        Tool::Inspect(arguments) => inspect::run(&arguments),
        Tool::Order(arguments) => order::run(&arguments),
        Tool::Why(arguments) => why::run(&arguments),
        Tool::Client(arguments) => client::run(&arguments),
        Tool::Trades(arguments) => trades::run(&arguments),
        Tool::Book(arguments) => book::run(&arguments),
        Tool::Top(arguments) => top::run(&arguments),
        Tool::Latency(arguments) => latency::run(&arguments),
        Tool::Export(arguments) => export::run(&arguments),
        Tool::Scenario(arguments) => scenario::run(&arguments),
        Tool::Play(arguments) => play::run(&arguments),
        Tool::Bust(arguments) => bust::run(&arguments),
        Tool::Diff(arguments) => diff::run(&arguments),
        Tool::Whatif(arguments) => whatif::run(&arguments),
        Tool::Report(arguments) => report::run(&arguments),
        Tool::Tui(arguments) => tui::run(&arguments),
        Tool::Repair(arguments) => repair::run(&arguments),
        Tool::Doctor(arguments) => doctor::run(&arguments),
        Tool::Simulate(arguments) => simulate::run(&arguments),
    };
    let exit = result.unwrap_or_else(|failure| failure.report());
    if is_venue { exit.into() } else { output::finish(exit).into() }
}
