//! What other programs took of the processors while something was measured.
//!
//! By the scheduler's account of each thread, the kernel's own included. What began and ended in between is in none.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::json;

/// Programs that are told by name.
const TOLD: usize = 4;

/// How long each thread of other processes has run, by its number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts(BTreeMap<u32, Account>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Account {
    program: String,
    /// Where it ran last.
    processor: usize,
    ran: Duration,
}

/// Time that a program took of the processors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    pub program: String,
    pub time: Duration,
}

impl Accounts {
    /// Those of now; without what the system does not tell.
    pub fn read() -> Self {
        let mut accounts = BTreeMap::new();
        let own = std::process::id();
        for (_, dir) in numbered(Path::new("/proc")).filter(|&(process, _)| process != own) {
            let Ok(program) = fs::read_to_string(dir.join("comm")) else { continue };
            for (thread, dir) in numbered(&dir.join("task")) {
                let text = |file| fs::read_to_string(dir.join(file)).unwrap_or_default();
                let account = Account::parse(program.trim_end(), &text("stat"), &text("schedstat"));
                accounts.extend(account.map(|account| (thread, account)));
            }
        }
        Self(accounts)
    }

    /// What programs took since then, most first: on one processor, as far as the threads are still there, or on all.
    pub fn since(&self, earlier: &Self, processor: Option<usize>) -> Vec<Taken> {
        let mut times = BTreeMap::<&str, Duration>::new();
        for (thread, account) in &self.0 {
            let before = earlier.0.get(thread).map_or(Duration::ZERO, |account| account.ran);
            if processor.is_none_or(|processor| processor == account.processor) {
                *times.entry(&account.program).or_default() += account.ran.saturating_sub(before);
            }
        }
        let of = |(program, time): (&str, Duration)| Taken { program: program.to_owned(), time };
        let mut taken: Vec<_> =
            times.into_iter().map(of).filter(|taken| !taken.time.is_zero()).collect();
        taken.sort_by_key(|taken| std::cmp::Reverse(taken.time));
        taken
    }
}

impl Account {
    /// From what the system tells of a thread: its `stat`, whose 39th field is the processor, and its `schedstat`,
    /// whose first is the time in nanoseconds.
    fn parse(program: &str, stat: &str, schedstat: &str) -> Option<Self> {
        // The name, the second field, may have spaces and brackets in it.
        let (_, from_third) = stat.rsplit_once(')')?;
        let processor = from_third.split_whitespace().nth(39 - 3)?.parse().ok()?;
        let ran = Duration::from_nanos(schedstat.split_whitespace().next()?.parse().ok()?);
        Some(Self { program: program.to_owned(), processor, ran })
    }
}

impl Taken {
    pub fn to_json(&self) -> serde_json::Value {
        json!({ "program": self.program, "ns": self.time.as_nanos() as u64 })
    }
}

/// The first few in words, and all together.
pub fn words(taken: &[Taken]) -> String {
    let ms = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
    let each =
        taken.iter().take(TOLD).map(|taken| format!("{} of {}", ms(taken.time), taken.program));
    let each: Vec<_> = each.collect();
    match taken.len() {
        0 => "nothing".to_owned(),
        1..=TOLD => each.join(", "),
        _ => format!("{}; {} of all", each.join(", "), ms(total(taken))),
    }
}

/// What all of them took.
pub fn total(taken: &[Taken]) -> Duration {
    taken.iter().map(|taken| taken.time).sum()
}

/// What a directory has that is named by a number.
fn numbered(dir: &Path) -> impl Iterator<Item = (u32, PathBuf)> + use<> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `stat` of a thread on a processor.
    fn stat(name: &str, processor: usize) -> String {
        format!("77 ({name}) S {} {processor} 0 0", "0 ".repeat(35).trim_end())
    }

    #[test]
    fn an_account_is_what_the_system_tells_of_a_thread() {
        let account = Account::parse("scanner", &stat("odd) (name", 3), "1500 20 7\n");
        let told = Account {
            program: "scanner".to_owned(),
            processor: 3,
            ran: Duration::from_nanos(1_500),
        };
        assert_eq!(account, Some(told));
        assert_eq!(Account::parse("gone", "", ""), None);
        assert_eq!(Account::parse("untold", &stat("untold", 0), ""), None);
    }

    #[test]
    fn programs_are_told_by_what_they_took_since_then() {
        let accounts = |all: &[(u32, &str, usize, u64)]| {
            let account = |&(thread, program, processor, ns): &(u32, &str, usize, u64)| {
                let schedstat = format!("{ns} 0 0");
                let account = Account::parse(program, &stat(program, processor), &schedstat);
                (thread, account.expect("an account"))
            };
            Accounts(all.iter().map(account).collect())
        };
        let earlier =
            accounts(&[(1, "init", 0, 5_000_000), (2, "scan", 1, 100), (3, "gone", 1, 9)]);
        let later = accounts(&[
            (1, "init", 0, 5_000_000),
            (2, "scan", 1, 2_000_100),
            (4, "scan", 0, 1_000_000),
            (5, "new", 1, 2_500_000),
        ]);
        let told = |processor| words(&later.since(&earlier, processor));
        assert_eq!(told(None), "3.0 ms of scan, 2.5 ms of new");
        assert_eq!(told(Some(1)), "2.5 ms of new, 2.0 ms of scan");
        assert_eq!(words(&later.since(&later, None)), "nothing");
        let many: Vec<_> = ["a", "b", "c", "d", "e"].map(String::from).into();
        let time = Duration::from_millis(1);
        let many: Vec<_> = many.into_iter().map(|program| Taken { program, time }).collect();
        assert_eq!(
            words(&many),
            "1.0 ms of a, 1.0 ms of b, 1.0 ms of c, 1.0 ms of d; 5.0 ms of all"
        );
    }

    #[test]
    fn this_process_is_no_other_program() {
        let accounts = Accounts::read();
        let own = std::process::id();
        assert!(!accounts.0.is_empty() && !accounts.0.contains_key(&own));
    }
}
