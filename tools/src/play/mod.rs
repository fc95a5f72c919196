//! `ironbook play`: the requests of a journal, sent again into a sandbox.

mod cast;
mod orders;
mod outcome;
mod player;
mod recorded;

use std::{collections::BTreeMap, net::SocketAddr};

use indicatif::{ProgressBar, ProgressStyle};
use ironbook_engine::Command;
use ironbook_incident::{
    Fault, index::Index, names::Names, question::Span, request::frames, show::Content,
};
use serde_json::{Value, json};

use crate::{
    access::AccessArguments,
    indexed::{Source, Stretch, exit, note_damage},
    output::{Exit, Failure, Outcome, grouped, say},
};
use cast::{Mapping, Mark, Part, cast, check_address};
use player::{Played, Player, Sandbox, Speed, Stop};
use recorded::{Logons, Seen};

/// Send the client requests of a journal again, as FIX messages with their terms, into a sandbox.
///
/// The journal is only read, while its venue runs or not. Each recorded session is played by one of the sandbox,
/// on a connection of its own. Requests keep the sequence of the journal: one is sent when those of other
/// sessions are answered. What is compared at the end is how many requests were accepted and refused, and why,
/// and what was traded.
///
/// A request keeps its terms, and the time when it was read as TransactTime (60). Its ClOrdID begins with REPLAY,
/// which marks it in every message and in the sandbox's journal; an order is named by its ClOrdID alone, as it has
/// another OrderID there. Nothing is sent but to this machine, to comp ids that are for tests: those that begin
/// with TEST or SANDBOX, and those of a venue without a configuration; and not to the venue that writes the
/// journal.
///
/// What is no request of a client is not sent: halts, cancels after a lost connection, and what a gateway
/// refused before the engine saw it, of which the journal holds the answer alone. Orders that rested before
/// --from are not in the sandbox.
///
/// Exit status: 0 the sandbox did the same, 1 it did something else, or stopped, 2 wrong usage, or no sandbox, 3 the
/// journal is damaged: what was played up to there is told.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    stretch: Stretch,
    /// Address of the sandbox, on this machine
    #[arg(long, value_name = "ADDR")]
    into: SocketAddr,
    /// Which comp id of the sandbox plays a recorded one; * on the left stands for all others, on the right for
    /// the recorded comp id. A recorded comp id that is a test's plays itself
    #[arg(long, value_name = "RECORDED=TEST", value_parser = Mapping::parse)]
    map: Vec<Mapping>,
    /// How many times faster than recorded; max: as fast as the sandbox answers
    #[arg(long, value_name = "FACTOR", default_value = "1", value_parser = Speed::parse)]
    speed: Speed,
    /// Name of the run, behind REPLAY in every ClOrdID: a venue takes a ClOrdID only once
    #[arg(long, value_name = "NAME", default_value = "", value_parser = Mark::of_run, hide_default_value = true)]
    run: Mark,
    /// Comp id of the sandbox
    #[arg(long, value_name = "COMP_ID", default_value = "IRONBOOK")]
    venue: String,
    #[command(flatten)]
    access: AccessArguments,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let Arguments { source, stretch, into, venue, .. } = arguments;
    check_address(*into)?;
    let access = arguments.access.access(*into)?;
    let index = source.open()?;
    let noted = |fault: Fault| note_damage(&index, fault);
    let span = stretch.find(&index).and_then(|span| span.of_inputs(&index)).map_err(noted)?;
    let names = Names::of(&index, false).map_err(noted)?;
    let parts = cast(&index, &names, span, &arguments.map)?;
    if parts.is_empty() {
        let Span { first, last } = span;
        let message = format!("no client sent a request from sequence {first} to {last}");
        return Err(Failure::new(Exit::Finding, message));
    }
    let sandbox = Sandbox {
        address: *into,
        venue,
        access: &access,
        parts: &parts,
        speed: arguments.speed,
        mark: &arguments.run,
    };
    let mut logons = Logons::from_now(&index, &names).map_err(noted)?;
    let mut player =
        Player::log_on(sandbox, &names).map_err(|stop| refused(*into, &parts, stop))?;
    let seen = logons.sandbox(parts.iter().map(|part| part.plays.as_str())).map_err(noted);
    if let Err(failure) = seen.and_then(|seen| check_seen(seen, arguments, &index)) {
        player.end(None);
        return Err(failure);
    }
    let mut left_out = LeftOut::default();
    let bar = bar(&parts, source.json);
    let mut stopped = None;
    let read = frames(&index, span, |entry| {
        left_out.count(&entry.content);
        stopped = player.take(entry).err();
        bar.set_position(player.played().sent);
        stopped.is_none()
    });
    let (played, stopped) = player.end(stopped);
    bar.finish_and_clear();
    let unread = read.err();
    let stopped = unread.as_ref().map(ToString::to_string).or(stopped.map(|stop| stop.to_string()));
    let told = Told { arguments, span, parts: &parts, played, left_out, stopped };
    if source.json {
        say!("{:#}", told.json());
    } else {
        told.print();
    }
    let unread = unread.map_or(Exit::Fine, |fault| noted(fault).report());
    Ok(told.exit().max(exit(&index)).max(unread))
}

/// Why no sandbox was entered.
fn refused(into: SocketAddr, parts: &[Part], stop: Stop) -> Failure {
    let mut message = format!("{stop}\nno request was sent");
    if matches!(&stop, Stop::Client(_, error) if error.is_wordless()) {
        message += &format!(
            "; the sandbox at {into} has to know the comp id, see [[session]] in its configuration"
        );
        if parts.len() > 1 {
            let count = parts.len();
            message += &format!(
                ", and to take {count} connections from this address, see fix.connections_per_address_max and \
                 fix.connections_max"
            );
        }
    }
    Failure::new(Exit::Usage, message)
}

/// The venue that writes the journal plays no sandbox.
fn check_seen(seen: Seen, arguments: &Arguments, index: &Index) -> Result<(), Failure> {
    let (into, dir) = (arguments.into, arguments.source.dir.display());
    let message = match seen {
        Seen::Another => return Ok(()),
        Seen::Recorder => format!(
            "--into {into}: this is the venue that writes {dir}; no request was sent. Play into another one"
        ),
        Seen::Hidden { writer } => format!(
            "--into {into}: this may be the venue that writes {dir}, process {writer}: behind the damage that is \
             not to be seen; no request was sent. Play a copy of the journal, or stop that venue"
        ),
    };
    let failure = Failure::new(Exit::Usage, message);
    Err(match index.damage() {
        Some(damage) => failure.because(damage),
        None => failure,
    })
}

/// Differences that are printed; --json has all.
const DIFFERENCES_PRINTED: usize = 20;

/// What a stretch holds that can't be sent, by what it is.
#[derive(Debug, Default)]
struct LeftOut(BTreeMap<&'static str, u64>);

impl LeftOut {
    fn count(&mut self, content: &Content) {
        let what = match content {
            Content::Command(command) if command.client().is_none() => match **command {
                Command::SetInstrumentStatus(_) => "instrument statuses set by the venue",
                Command::SetRiskLimits(_) => "risk limits set by the venue",
                Command::SetTradingStatus(_) => "trading statuses set by the venue",
                Command::CancelOnDisconnect(_) => "cancels after a lost connection",
                Command::MassCancel(_) => "mass cancels by operators",
                _ => return,
            },
            Content::Session(record) if record.refuses() => "requests that the gateway refused",
            _ => return,
        };
        *self.0.entry(what).or_default() += 1;
    }
}

fn bar(parts: &[Part], quiet: bool) -> ProgressBar {
    let requests = parts.iter().map(|part| part.requests).sum();
    let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(requests) };
    let style = "Playing {wide_bar} {human_pos} of {human_len}, {per_sec}, {eta} to go";
    bar.with_style(ProgressStyle::with_template(style).expect("a good template"))
}

/// What is told at the end.
struct Told<'a> {
    arguments: &'a Arguments,
    span: Span,
    parts: &'a [Part],
    played: Played,
    left_out: LeftOut,
    /// Why not all of it was played.
    stopped: Option<String>,
}

impl Told<'_> {
    fn differences(&self) -> Vec<String> {
        self.played.recorded.differences(&self.played.sandbox)
    }

    fn exit(&self) -> Exit {
        let same = self.differences().is_empty() && self.played.first_difference.is_none();
        let complete = self.stopped.is_none() && self.played.unanswered == 0;
        if same && complete { Exit::Fine } else { Exit::Finding }
    }

    fn json(&self) -> Value {
        let Played { sent, unanswered, recorded, sandbox, first_difference, .. } = &self.played;
        let sessions: Vec<_> = self
            .parts
            .iter()
            .map(|part| {
                json!({ "recorded": part.recorded, "plays": part.plays, "requests": part.requests })
            })
            .collect();
        let first = first_difference.as_ref().map(|first| {
            json!({
                "sequence": first.sequence,
                "cl_ord_id": first.cl_ord_id.to_string(),
                "refusal": first.refusal,
            })
        });
        json!({
            "first_sequence": self.span.first,
            "last_sequence": self.span.last,
            "into": self.arguments.into.to_string(),
            "sessions": sessions,
            "sent": sent,
            "unanswered": unanswered,
            "left_out": self.left_out.0,
            "recorded": recorded.json(),
            "sandbox": sandbox.json(),
            "differences": self.differences(),
            "first_difference": first,
            "stopped": self.stopped,
            "recorded_ns": self.played.recorded_ns,
            "played_ns": self.played.played_ns,
            "late_ns": self.played.late_ns,
        })
    }

    fn print(&self) {
        let Arguments { source, into, run, speed, .. } = self.arguments;
        let Played { sent, unanswered, recorded, sandbox, .. } = &self.played;
        let dir = source.dir.display();
        let Span { first, last } = self.span;
        say!("Journal      {dir}, sequence {} to {}", grouped(first), grouped(last));
        say!("Sandbox      {into}, ClOrdIDs begin with {}", run.as_str());
        for Part { recorded, plays, requests, .. } in self.parts {
            say!("Session      {recorded} as {plays}, {} requests", grouped(*requests));
        }
        say!("Sent         {} requests in {}", grouped(*sent), seconds(self.played.played_ns));
        say!("Recorded     in {}", seconds(self.played.recorded_ns));
        if *speed != Speed::Max {
            say!("Late         {} at the most", seconds(self.played.late_ns));
        }
        for (what, count) in &self.left_out.0 {
            say!("Not sent     {} {what}", grouped(*count));
        }
        if *unanswered > 0 {
            say!("Unanswered   {}", grouped(*unanswered));
        }
        say!("             {:>14} {:>14}", "recorded", "sandbox");
        for (what, recorded, sandbox) in [
            ("Accepted", recorded.accepted, sandbox.accepted),
            ("Rejected", recorded.rejected(), sandbox.rejected()),
            ("Trades", recorded.trades(), sandbox.trades()),
        ] {
            say!("{what:<12} {:>14} {:>14}", grouped(recorded), grouped(sandbox));
        }
        let differences = self.differences();
        for difference in printed(&differences) {
            say!("Differs      {difference}");
        }
        if let Some(first) = &self.played.first_difference {
            let what = match &first.refusal {
                Some(text) => format!("refused in the sandbox alone: {text}"),
                None => "refused when it was recorded alone".to_owned(),
            };
            say!("First        sequence {}, {}: {what}", grouped(first.sequence), first.cl_ord_id);
        }
        match (&self.stopped, differences.is_empty(), &self.played.first_difference) {
            (Some(stop), ..) => say!("Stopped      {stop}"),
            (None, true, None) => say!("Differs      nowhere"),
            (None, true, Some(_)) => {
                say!("Differs      in which requests were refused, with the same counts");
            }
            (None, false, _) => {}
        }
        let next = match &self.played.first_difference {
            Some(first) => format!("ironbook replay {dir} --at seq:{}", first.sequence),
            None => format!("ironbook trades {dir} --from seq:{first} --to seq:{last}"),
        };
        say!("\nNext: {next}");
    }
}

/// The first differences, and how many more there are.
fn printed(differences: &[String]) -> Vec<String> {
    let mut lines: Vec<_> = differences.iter().take(DIFFERENCES_PRINTED).cloned().collect();
    if differences.len() > lines.len() {
        lines.push(format!("in {} more, see --json", differences.len() - lines.len()));
    }
    lines
}

/// A span of time, in words.
fn seconds(ns: u64) -> String {
    format!("{:.6} s", ns as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_differences_the_first_are_printed() {
        let all: Vec<_> = (0..25).map(|number| number.to_string()).collect();
        let lines = printed(&all);
        assert_eq!(lines[..20], all[..20]);
        assert_eq!(lines[20..], ["in 5 more, see --json"]);
        assert_eq!(printed(&all[..20]), all[..20]);
    }
}
