//! `ironbook simulate`: a whole venue with its clients under virtual time, decided by one seed.
//!
//! Gateway, ring, core, journal, follower with its snapshots, recovery and replay are those of a real
//! venue. Simulated are time, network ([`ironbook_gateway::simulated_network`]), disk
//! ([`ironbook_journal::SimulatedStorage`]) and the clients; one thread steps them all. Crashes and
//! faults come at random moments, oracles look on ([`violation::Oracle`]), and a seed repeats its run to
//! the byte. Operators act on the venue; some sessions of some seeds have risk limits, throttles that refuse,
//! or cancel on disconnect.
//!
//! Not simulated are threads and how their memory accesses interleave, the page cache and the sockets of
//! a real kernel, the packing and removal of old segments, versions of FIX other than 4.4, and a halt by the audit.
//!
//! What a power loss may take: under the policy `durable` nothing that was acknowledged, under
//! `written` what was not durable. Clients who were told of what is lost are then set back by an
//! operator: numbers and open orders are those of the journal, or the numbers start anew.

mod actions;
mod audit;
mod carried_out;
mod client;
mod inbox;
mod market;
mod model;
mod operator;
mod plant;
mod rules;
mod venue;
mod violation;
mod world;

use std::time::Instant;

use ironbook_gateway::{
    clock::{Clock, SystemClock},
    config::Acknowledge,
    random::Random,
};
use serde_json::{Value, json};

use crate::output::{Exit, Failure, Outcome, grouped, hash, say};
use plant::Plant;
use world::{Ending, Settings, simulate};

/// Longest simulation, in virtual minutes: a year, so that a time is far from the end of its range.
const MINUTES_MAX: u64 = 366 * 24 * 60;

/// Simulate a venue with its clients and operators, crashes and faults under virtual time; a seed repeats its run.
///
/// Ends with exit status 1 at the first violation, and says how to repeat it.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Seed that decides everything; without it, a random one
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How many seeds to run, counted on from the first
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Virtual minutes of each
    #[arg(long, value_name = "M", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=MINUTES_MAX))]
    minutes: u64,
    /// Plant a bug that the oracles must find
    #[arg(long, value_enum, value_name = "BUG")]
    plant: Option<Plant>,
    /// Print JSON, a line for each seed
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let random = || Random::new(SystemClock.now().0).next_u64() >> 32;
    let first = arguments.seed.unwrap_or_else(random);
    let last = first.checked_add(arguments.seeds - 1).ok_or_else(|| {
        let (count, largest) = (arguments.seeds, u64::MAX);
        let what = format!("{count} seeds from {first} on go past the largest seed {largest}");
        Failure::new(Exit::Usage, format!("{what}: begin with a smaller --seed, or ask for fewer"))
    })?;
    for seed in first..=last {
        let settings = Settings { seed, minutes: arguments.minutes, plant: arguments.plant };
        if !arguments.json {
            say!("Seed         {seed}");
        }
        report_panics(settings, arguments.json);
        let start = Instant::now();
        let ending = simulate(settings);
        if arguments.json {
            say!("{}", as_json(&settings, &ending));
        } else {
            print(&settings, &ending, start.elapsed().as_secs_f64());
        }
        if ending.violation.is_some() {
            return Ok(Exit::Finding);
        }
    }
    Ok(Exit::Fine)
}

/// An assertion of the venue that fails is a finding as well, and says how to be repeated.
fn report_panics(settings: Settings, as_json: bool) {
    std::panic::set_hook(Box::new(move |panic| {
        let (what, repeat) = (panic.to_string(), repeat(&settings));
        if as_json {
            let violation = json!({ "oracle": "panic", "what": what, "repeat": repeat });
            say!("{}", json!({ "seed": settings.seed, "violation": violation }));
        } else {
            say!("\nVIOLATION    panic: {what}");
            say!("Repeat       {repeat}");
        }
        std::process::exit(Exit::Finding as i32);
    }));
}

/// Virtual seconds of an ending.
fn simulated_s(ending: &Ending) -> f64 {
    ending.happened.simulated_ns as f64 / 1e9
}

/// The command that does it again.
fn repeat(settings: &Settings) -> String {
    let plant =
        settings.plant.map_or_else(String::new, |plant| format!(" --plant {}", plant.name()));
    format!("ironbook simulate --seed {} --minutes {}{plant}", settings.seed, settings.minutes)
}

fn policy(ending: &Ending) -> &'static str {
    match ending.acknowledge {
        Acknowledge::Written => "written",
        Acknowledge::Durable => "durable",
    }
}

fn print(settings: &Settings, ending: &Ending, seconds: f64) {
    let happened = &ending.happened;
    let clients = &happened.clients;
    let speed = simulated_s(ending) / seconds.max(f64::EPSILON);
    say!(
        "Time         {:.1} virtual minutes in {seconds:.3} s, {} virtual minutes a minute",
        simulated_s(ending) / 60.0,
        grouped(speed as u64)
    );
    say!("Policy       {}", policy(ending));
    say!(
        "Clients      {} connections, {} logons, {} refused, {} with new numbers, {} set back",
        grouped(clients.connections),
        grouped(clients.logons),
        grouped(clients.refused),
        grouped(clients.resets),
        grouped(clients.rolled_back)
    );
    say!(
        "Requests     {} orders, {} others, {} garbled or lost on purpose",
        grouped(clients.orders),
        grouped(clients.requests),
        grouped(clients.garbage)
    );
    say!("Reports      {}, and {} again", grouped(clients.reports), grouped(clients.repeated));
    say!(
        "Venue        {} starts, {} of them from a snapshot, {} process deaths, {} power losses, {} stops, {} other faults",
        grouped(happened.starts),
        grouped(happened.from_snapshot),
        grouped(happened.deaths),
        grouped(happened.power_losses),
        grouped(happened.stops),
        grouped(happened.faults)
    );
    say!(
        "Journal      {} frames, {} requests, {} trades",
        grouped(happened.frames),
        grouped(happened.requests),
        grouped(happened.trades)
    );
    let (rules, operators) = (&happened.rules, &happened.operators);
    say!(
        "Bounds       {} halts, {} suspensions, {} trips; refused: {} because of these, {} by limits, {} by throttles; {} times orders of an absent session canceled",
        grouped(rules.halts),
        grouped(rules.suspensions),
        grouped(rules.trips),
        grouped(rules.shut_out),
        grouped(rules.beyond_limit),
        grouped(clients.throttled),
        grouped(rules.absences)
    );
    say!(
        "Operators    {} actions done, {} refused, {} without an end, {} statuses",
        grouped(operators.done),
        grouped(operators.refused),
        grouped(operators.unknown),
        grouped(operators.statuses)
    );
    say!("Compared     {} times at rest", grouped(happened.rests));
    say!("Hash         {}", hash(ending.hash));
    if let Some(violation) = &ending.violation {
        say!("\nVIOLATION    {violation}");
        say!("At           {:.6} s of virtual time", simulated_s(ending));
        say!("Repeat       {}", repeat(settings));
    }
}

fn as_json(settings: &Settings, ending: &Ending) -> Value {
    let happened = &ending.happened;
    let clients = &happened.clients;
    let violation = ending.violation.as_ref().map(|violation| {
        json!({
            "oracle": violation.oracle.name(),
            "what": violation.what,
            "at_ns": happened.simulated_ns,
            "repeat": repeat(settings),
        })
    });
    json!({
        "seed": settings.seed,
        "minutes": settings.minutes,
        "plant": settings.plant.map(Plant::name),
        "policy": policy(ending),
        "simulated_ns": happened.simulated_ns,
        "connections": clients.connections,
        "logons": clients.logons,
        "refused_logons": clients.refused,
        "resets": clients.resets,
        "rolled_back": clients.rolled_back,
        "orders": clients.orders,
        "other_requests": clients.requests,
        "garbage": clients.garbage,
        "reports": clients.reports,
        "repeated_reports": clients.repeated,
        "throttled": clients.throttled,
        "halts": happened.rules.halts,
        "suspensions": happened.rules.suspensions,
        "trips": happened.rules.trips,
        "shut_out": happened.rules.shut_out,
        "beyond_limit": happened.rules.beyond_limit,
        "absences_ended": happened.rules.absences,
        "actions": happened.operators.done,
        "actions_refused": happened.operators.refused,
        "actions_unknown": happened.operators.unknown,
        "statuses": happened.operators.statuses,
        "statuses_compared": happened.operators.compared,
        "starts": happened.starts,
        "from_snapshot": happened.from_snapshot,
        "process_deaths": happened.deaths,
        "power_losses": happened.power_losses,
        "stops": happened.stops,
        "faults": happened.faults,
        "frames": happened.frames,
        "requests": happened.requests,
        "trades": happened.trades,
        "rests": happened.rests,
        "hash": hash(ending.hash),
        "violation": violation,
    })
}
