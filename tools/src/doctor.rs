//! `ironbook doctor`: whether a machine is fit for a venue, and what to change.
//!
//! [`Facts`] are read from the system, [`judge`] alone decides what they mean.

use std::{collections::BTreeMap, fs, path::Path, path::PathBuf, time::Duration};

use ironbook_benches::{
    distance::{MeasureError, NEAR_CPU, PAGES, noise, pages_in_use, pin},
    durability::sync_of_a_page,
};
use ironbook_journal::{Precedence, come_first};
use rustix::{
    fs::statvfs,
    process::{Resource, getrlimit},
};
use serde_json::json;

use crate::{
    others::{Accounts, Taken, total, words},
    output::{Exit, Failure, Outcome, grouped, mib, say},
};

/// Check whether this machine is fit for a venue, and say what to change.
///
/// Changes nothing. Measures for about three seconds; what runs beside it is part of the answer. Exit
/// status: 0 fit, 1 something should be changed.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Directory where the journal is, or will be
    #[arg(long, default_value = "data")]
    data: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// How long a loop that does nothing is watched.
const NOISE: Duration = Duration::from_secs(1);
/// How long pages in use are touched.
const PAGES_TOUCHED: Duration = Duration::from_secs(1);
/// Pages that are synced one by one.
const SYNCS: u64 = 100;
/// Oldest kernel that makes pages writable ahead of need (MADV_POPULATE_WRITE).
const KERNEL_MIN: (u64, u64) = (5, 14);
/// Processors for a gateway, a core and what helps them.
const PROCESSORS_MIN: usize = 4;
/// A step of an idle loop that is longer disturbs one order in a thousand.
const NOISE_P999_NS_MAX: u64 = 2_000;
/// A longer pause is seen by clients.
const NOISE_MAX_NS: u64 = 1_000_000;
/// Pages in use that take longer than caches and translations do, in one of a hundred rounds, are waited for.
const PAGES_P99_NS_MAX: u64 = 50_000;
/// What other programs may take of the core's processor while it is watched: more is seen in one order of a thousand.
const PROGRAMS_MAX: Duration = Duration::from_millis(2);
/// A disk whose sync takes longer makes durable acknowledgements slow.
const SYNC_P50_US_MAX: f64 = 1_000.0;
/// Room for a day of a busy venue.
const FREE_BYTES_MIN: u64 = 16 << 30;
/// A socket for each client, and the files of the journal.
const OPEN_FILES_MIN: u64 = 4_096;

/// What the system says about itself, and what is known of this program.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Whether the program is laid out by what it does at work, and not by what the compiler expects.
    by_profile: bool,
    /// What the first processor is.
    processor: String,
    processors: usize,
    kernel: String,
    clock_source: String,
    /// Frequency governors of all processors that tell one.
    governors: Vec<String>,
    isolated: String,
    /// Choice of transparent huge pages.
    huge_pages: String,
    /// What decides how fast a TCP connection may send.
    congestion_control: String,
    is_virtual: bool,
    /// Processes that wanted to run in the last minute, on average.
    load: f64,
    swap_used_kib: u64,
    open_files_max: u64,
    free_bytes: u64,
    noise_p999_ns: u64,
    noise_max_ns: u64,
    /// What pages in use take, median and p99.
    pages_p50_ns: u64,
    pages_p99_ns: u64,
    /// Median sync of a page in the directory, or why there is none.
    sync_p50_us: Result<f64, String>,
    /// What a thread that makes frames durable may come before.
    precedence: Precedence,
    /// Interrupts of devices that the core's processor had meanwhile, each with its number and its device.
    core_interrupts: Vec<(String, u64)>,
    /// What other programs took of the core's processor meanwhile.
    core_programs: Vec<Taken>,
}

/// How serious a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Worth knowing; a venue runs well enough.
    Note,
    /// Should be changed.
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug)]
pub struct Check {
    pub what: &'static str,
    pub found: String,
    pub verdict: Verdict,
    /// What to do; empty where all is well.
    pub advice: &'static str,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let facts = Facts::read(&arguments.data)?;
    let checks = judge(&facts);
    let is_fit = checks.iter().all(|check| check.verdict != Verdict::Bad);
    let exit = if is_fit { Exit::Fine } else { Exit::Finding };
    if arguments.json {
        let checks: Vec<_> = checks.iter().map(Check::to_json).collect();
        say!("{:#}", json!({ "checks": checks, "fit": is_fit, "exit": exit as u8 }));
        return Ok(exit);
    }
    for check in &checks {
        say!("{:<5} {:<18} {}", check.verdict.word(), check.what, check.found);
        if !check.advice.is_empty() {
            say!("      {:<18} {}", "", check.advice);
        }
    }
    say!("\nNext: ironbook start --data {}", arguments.data.display());
    Ok(exit)
}

impl Facts {
    pub fn read(dir: &Path) -> Result<Self, Failure> {
        let place = existing_parent(dir);
        let refused = |error| Failure::new(Exit::Usage, format!("{}: {error}", place.display()));
        let room = statvfs(place).map_err(refused)?;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        // The last one is the core's, where the configuration says nothing.
        let core_cpu = processors - 1;
        let interrupts = || device_interrupts(&word("/proc/interrupts"), core_cpu);
        let (interrupts_before, accounts_before) = (interrupts(), Accounts::read());
        // Threads of their own are pinned; this one may go on anywhere.
        let (gaps, pages) = on_processor(core_cpu, || (noise(NOISE), pages_in_use(PAGES_TOUCHED)))?;
        let core_programs = Accounts::read().since(&accounts_before, Some(core_cpu));
        // Not beside the core, as the venue has it: some disks interrupt whoever asked.
        let sync = on_processor(NEAR_CPU, || {
            tempfile::TempDir::new_in(place)
                .map_err(MeasureError::from)
                .and_then(|dir| sync_of_a_page(dir.path(), SYNCS))
        })?;
        Ok(Self {
            by_profile: cfg!(by_profile),
            processor: processor(&word("/proc/cpuinfo")),
            processors,
            kernel: word("/proc/sys/kernel/osrelease"),
            clock_source: word("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
            governors: governors(),
            isolated: word("/sys/devices/system/cpu/isolated"),
            huge_pages: chosen(&word("/sys/kernel/mm/transparent_hugepage/enabled")),
            congestion_control: word("/proc/sys/net/ipv4/tcp_congestion_control"),
            is_virtual: word("/proc/cpuinfo").contains(" hypervisor"),
            load: word("/proc/loadavg")
                .split(' ')
                .next()
                .and_then(|n| n.parse().ok())
                .unwrap_or(0.0),
            swap_used_kib: swap_used_kib(&word("/proc/swaps")),
            open_files_max: getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX),
            free_bytes: room.f_bavail.saturating_mul(room.f_frsize),
            noise_p999_ns: gaps.value_at_quantile(0.999),
            noise_max_ns: gaps.max(),
            pages_p50_ns: pages.value_at_quantile(0.5),
            pages_p99_ns: pages.value_at_quantile(0.99),
            sync_p50_us: sync
                .map(|sync| sync.value_at_quantile(0.5) as f64 / 1e3)
                .map_err(|error| format!("{}: {error}", place.display())),
            precedence: on_processor(NEAR_CPU, come_first)?,
            core_interrupts: grown(&interrupts_before, &interrupts()),
            core_programs,
        })
    }
}

/// What comes of work that is done on a processor.
fn on_processor<T: Send>(cpu: usize, work: impl FnOnce() -> T + Send) -> Result<T, Failure> {
    let done = std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            pin(cpu);
            work()
        });
        worker.join()
    });
    done.map_err(|_| Failure::new(Exit::Finding, "this machine can't be measured"))
}

/// What the facts mean.
pub fn judge(facts: &Facts) -> Vec<Check> {
    use Verdict::{Bad, Good, Note};
    let mut checks = Vec::new();
    let mut check = |what, found: String, verdict, advice| {
        let advice = if verdict == Good { "" } else { advice };
        checks.push(Check { what, found, verdict, advice });
    };
    let unless = |fine: bool, verdict| if fine { Good } else { verdict };
    check(
        "layout",
        if facts.by_profile {
            "of the program by its profile"
        } else {
            "of the program without its profile"
        }
        .to_owned(),
        unless(facts.by_profile, Note),
        "an order takes more cache lines and jumps (0.8 µs more at 10,000 a second): cargo has the profile for one compiler \
         and its release builds; tools/guided-build makes one for yours",
    );
    check("processor", facts.processor.clone(), Good, "");
    check(
        "processors",
        facts.processors.to_string(),
        unless(facts.processors >= PROCESSORS_MIN, Note),
        "gateway and core share a thread below four processors; with four each has its own",
    );
    check(
        "kernel",
        facts.kernel.clone(),
        unless(version(&facts.kernel) >= KERNEL_MIN, Bad),
        "before 5.14 new pages of the journal cost the core page faults; use a later kernel",
    );
    check(
        "clock source",
        facts.clock_source.clone(),
        unless(["tsc", "kvm-clock"].contains(&facts.clock_source.as_str()), Bad),
        "every look at the clock is a system call; boot with tsc=reliable if the processor allows it",
    );
    let slow: Vec<_> = facts.governors.iter().filter(|name| *name != "performance").collect();
    check(
        "frequency",
        if facts.governors.is_empty() {
            "the host decides".to_owned()
        } else {
            facts.governors.join(" ")
        },
        unless(slow.is_empty(), Bad),
        "processors slow down between orders: cpupower frequency-set -g performance",
    );
    check(
        "isolated",
        if facts.isolated.is_empty() { "none".to_owned() } else { facts.isolated.clone() },
        unless(!facts.isolated.is_empty(), Note),
        "other programs may run on the core's processor: boot with isolcpus= and set threads.core_cpu",
    );
    check(
        "huge pages",
        facts.huge_pages.clone(),
        unless(["always", "madvise"].contains(&facts.huge_pages.as_str()), Bad),
        "deep books miss the processor's address cache: \
         echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
    );
    check(
        "congestion control",
        facts.congestion_control.clone(),
        unless(["reno", "cubic", ""].contains(&facts.congestion_control.as_str()), Note),
        "it may keep account of every segment; where clients are near, the plain one takes less of a round trip (0.2-0.3 µs \
         less than bbr): sysctl net.ipv4.tcp_congestion_control=reno",
    );
    check(
        "virtual machine",
        if facts.is_virtual { "yes" } else { "no" }.to_owned(),
        unless(!facts.is_virtual, Note),
        "the host takes time away: trust ratios measured in one run, not absolute figures",
    );
    check(
        "load",
        format!("{:.2} programs at a time in the last minute", facts.load),
        unless(facts.load < 0.5 * facts.processors as f64, Bad),
        "something else is running; stop it, or give the venue a processor of its own",
    );
    check(
        "swap",
        format!("{} KiB in use", grouped(facts.swap_used_kib)),
        unless(facts.swap_used_kib == 0, Bad),
        "memory is short, and a page that comes back takes milliseconds: swapoff -a, more memory",
    );
    check(
        "open files",
        grouped(facts.open_files_max),
        unless(facts.open_files_max >= OPEN_FILES_MIN, Note),
        "every client takes one: ulimit -n 65536 before the start, when there are many",
    );
    check(
        "free space",
        mib(facts.free_bytes),
        unless(facts.free_bytes >= FREE_BYTES_MIN, Note),
        "a full disk stops the reading of sockets until there is room",
    );
    check(
        "noise",
        format!(
            "p99.9 {} ns, longest {} ns",
            grouped(facts.noise_p999_ns),
            grouped(facts.noise_max_ns)
        ),
        unless(facts.noise_p999_ns <= NOISE_P999_NS_MAX && facts.noise_max_ns <= NOISE_MAX_NS, Bad),
        "an empty loop was interrupted for so long; no venue can be steadier than that",
    );
    check(
        "memory",
        format!(
            "{} pages in use: p50 {} ns, p99 {} ns",
            grouped(PAGES as u64),
            grouped(facts.pages_p50_ns),
            grouped(facts.pages_p99_ns)
        ),
        unless(facts.pages_p99_ns <= PAGES_P99_NS_MAX, Bad),
        "pages that were in use 0.1 ms ago were waited for: ask the host for memory that it neither shares nor moves; \
         on a machine of your own sysctl kernel.numa_balancing=0",
    );
    let interrupts: Vec<_> = facts
        .core_interrupts
        .iter()
        .map(|(device, count)| format!("{} of {device}", grouped(*count)))
        .collect();
    check(
        "interrupts",
        if interrupts.is_empty() {
            "none of devices on the core's processor".to_owned()
        } else {
            format!("on the core's processor meanwhile: {}", interrupts.join(", "))
        },
        unless(interrupts.is_empty(), Note),
        "each stops the core for microseconds: stop irqbalance, then for each number \
         echo 0 > /proc/irq/NUMBER/smp_affinity_list (or another processor)",
    );
    check(
        "programs",
        format!("on the core's processor meanwhile: {}", words(&facts.core_programs)),
        unless(total(&facts.core_programs) <= PROGRAMS_MAX, Note),
        "the core waits for each: boot with isolcpus=, and stop what scans memory: kdamond (echo off > \
         /sys/kernel/mm/damon/admin/kdamonds/NUMBER/state), ksmd (echo 0 > /sys/kernel/mm/ksm/run)",
    );
    match &facts.sync_p50_us {
        Ok(us) => check(
            "disk",
            format!("a page is durable after {us:.0} µs (median)"),
            unless(*us <= SYNC_P50_US_MAX, Note),
            "durable acknowledgements wait at least so long; `written` ones do not",
        ),
        Err(error) => check(
            "disk",
            format!("no file can be written and synced: {error}"),
            Bad,
            "name a directory with room that this user may write to with --data, or mend the disk",
        ),
    }
    check(
        "priority",
        match facts.precedence {
            Precedence::RealTime => "whoever makes orders durable may have real-time priority",
            Precedence::Nice => {
                "whoever makes orders durable has a low nice value, no real-time priority"
            }
            Precedence::Plain => "whoever makes orders durable has none before others",
        }
        .to_owned(),
        unless(facts.precedence == Precedence::RealTime, Note),
        "durable acknowledgements may wait for 4 to 8 ms where programs keep its processor busy: ulimit -r 1 before the \
         start, LimitRTPRIO=1 in a systemd unit, or setcap cap_sys_nice+ep on the program",
    );
    checks
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Note => "note",
            Self::Bad => "BAD",
        }
    }
}

impl Check {
    pub fn to_json(&self) -> serde_json::Value {
        json!({
            "what": self.what,
            "found": self.found,
            "verdict": self.verdict.word().to_lowercase(),
            "advice": self.advice,
        })
    }
}

/// The directory itself, or the nearest one above it that is there.
fn existing_parent(dir: &Path) -> &Path {
    let there = dir.ancestors().find(|path| path.is_dir());
    there.unwrap_or(Path::new("."))
}

/// A file of the system without the end of its line; empty where there is none.
fn word(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim_end().to_owned()
}

/// What the first processor is: hosts call many models the same, numbers tell them apart.
fn processor(cpuinfo: &str) -> String {
    let first = cpuinfo.split("\n\n").next().unwrap_or_default();
    let columns = || first.lines().filter_map(|line| line.split_once(':'));
    let told = |name: &str| columns().find(|(key, _)| key.trim() == name).map(|(_, is)| is.trim());
    let numbers: Vec<_> = PROCESSOR_NUMBERS
        .iter()
        .filter_map(|(key, name)| Some(format!("{name} {}", told(key)?)))
        .collect();
    match (told("model name"), numbers.is_empty()) {
        (None, true) => "not told".to_owned(),
        (None, false) => numbers.join(", "),
        (Some(name), true) => name.to_owned(),
        (Some(name), false) => format!("{name}, {}", numbers.join(", ")),
    }
}

/// Numbers that tell a processor's model, of either architecture, and what they are called here.
const PROCESSOR_NUMBERS: [(&str, &str); 6] = [
    ("cpu family", "family"),
    ("model", "model"),
    ("stepping", "stepping"),
    ("CPU implementer", "implementer"),
    ("CPU part", "part"),
    ("CPU revision", "revision"),
];

fn governors() -> Vec<String> {
    let mut found: Vec<_> = (0..)
        .map(|cpu| format!("/sys/devices/system/cpu/cpu{cpu}"))
        .take_while(|path| Path::new(path).is_dir())
        .map(|path| word(&format!("{path}/cpufreq/scaling_governor")))
        .filter(|governor| !governor.is_empty())
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// The choice among several that the kernel puts into brackets.
fn chosen(choices: &str) -> String {
    let inside = choices.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    inside.map_or("not offered", |(choice, _)| choice).to_owned()
}

/// The fourth column of all lines but the first.
fn swap_used_kib(swaps: &str) -> u64 {
    let used =
        |line: &str| line.split_whitespace().nth(3).and_then(|used| used.parse::<u64>().ok());
    swaps.lines().skip(1).filter_map(used).sum()
}

/// Interrupts of devices, which have numbers, on a processor since the system started, by number and device;
/// those of the kernel itself (timers, calls between processors) have letters.
fn device_interrupts(interrupts: &str, processor: usize) -> BTreeMap<String, u64> {
    let mut lines = interrupts.lines();
    let mut header = lines.next().unwrap_or_default().split_whitespace();
    let name = format!("CPU{processor}");
    let Some(column) = header.position(|processor| processor == name) else {
        return BTreeMap::new();
    };
    let of_device = |line: &str| {
        let mut words = line.split_whitespace();
        let number = words.next()?.strip_suffix(':')?.parse::<u64>().ok()?;
        let count = words.nth(column)?.parse().ok()?;
        Some((format!("{number} {}", words.last()?), count))
    };
    lines.filter_map(of_device).collect()
}

/// What has grown from before to after, most first.
fn grown(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> Vec<(String, u64)> {
    let count = |(device, &count): (&String, &u64)| {
        (device.clone(), count.saturating_sub(before.get(device).copied().unwrap_or(0)))
    };
    let mut grown: Vec<_> = after.iter().map(count).filter(|(_, count)| *count > 0).collect();
    grown.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    grown
}

/// The first two numbers of a kernel's release.
fn version(release: &str) -> (u64, u64) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit() -> Facts {
        Facts {
            by_profile: true,
            processor: "a processor".to_owned(),
            processors: 8,
            kernel: "6.8.0-45-generic".to_owned(),
            clock_source: "tsc".to_owned(),
            governors: vec!["performance".to_owned()],
            isolated: "6-7".to_owned(),
            huge_pages: "madvise".to_owned(),
            congestion_control: "cubic".to_owned(),
            is_virtual: false,
            load: 0.1,
            swap_used_kib: 0,
            open_files_max: 65_536,
            free_bytes: 1 << 40,
            noise_p999_ns: 100,
            noise_max_ns: 40_000,
            pages_p50_ns: 4_000,
            pages_p99_ns: 9_000,
            sync_p50_us: Ok(90.0),
            precedence: Precedence::RealTime,
            core_interrupts: Vec::new(),
            core_programs: Vec::new(),
        }
    }

    /// What is not good, with its verdict.
    fn complaints(facts: &Facts) -> Vec<(&'static str, Verdict)> {
        let checks = judge(facts);
        assert!(
            checks.iter().all(|check| check.advice.is_empty() == (check.verdict == Verdict::Good))
        );
        checks
            .iter()
            .filter(|check| check.verdict != Verdict::Good)
            .map(|check| (check.what, check.verdict))
            .collect()
    }

    #[test]
    fn a_fit_machine_gets_no_advice() {
        assert_eq!(complaints(&fit()), []);
    }

    #[test]
    fn each_weakness_is_found_by_itself() {
        use Verdict::{Bad, Note};
        type Change = fn(&mut Facts);
        let cases: [(&str, Verdict, Change); 19] = [
            ("layout", Note, |facts| facts.by_profile = false),
            ("processors", Note, |facts| facts.processors = 2),
            ("kernel", Bad, |facts| facts.kernel = "5.10.0".to_owned()),
            ("clock source", Bad, |facts| facts.clock_source = "hpet".to_owned()),
            ("frequency", Bad, |facts| facts.governors.push("powersave".to_owned())),
            ("isolated", Note, |facts| facts.isolated.clear()),
            ("huge pages", Bad, |facts| facts.huge_pages = "never".to_owned()),
            ("congestion control", Note, |facts| facts.congestion_control = "bbr".to_owned()),
            ("virtual machine", Note, |facts| facts.is_virtual = true),
            ("load", Bad, |facts| facts.load = 4.0),
            ("swap", Bad, |facts| facts.swap_used_kib = 1),
            ("open files", Note, |facts| facts.open_files_max = 1_024),
            ("free space", Note, |facts| facts.free_bytes = 1 << 30),
            ("noise", Bad, |facts| facts.noise_max_ns = 5_000_000),
            ("memory", Bad, |facts| facts.pages_p99_ns = 90_000),
            ("interrupts", Note, |facts| facts.core_interrupts.push(("36 disk".to_owned(), 1))),
            ("programs", Note, |facts| {
                let time = Duration::from_millis(3);
                facts.core_programs.push(Taken { program: "scanner".to_owned(), time });
            }),
            ("disk", Bad, |facts| facts.sync_p50_us = Err("EIO".to_owned())),
            ("priority", Note, |facts| facts.precedence = Precedence::Nice),
        ];
        for (what, verdict, change) in cases {
            let mut facts = fit();
            change(&mut facts);
            assert_eq!(complaints(&facts), [(what, verdict)]);
        }
    }

    #[test]
    fn processors_are_told_apart_by_name_and_numbers() {
        let x86 = "processor\t: 0\nvendor_id\t: A\ncpu family\t: 6\nmodel\t\t: 167\nmodel name\t: A(R) B\n\
                   stepping\t: 1\n\nprocessor\t: 1\nmodel name\t: C\n";
        assert_eq!(processor(x86), "A(R) B, family 6, model 167, stepping 1");
        let arm = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\nCPU revision\t: 1\n";
        assert_eq!(processor(arm), "implementer 0x41, part 0xd0c, revision 1");
        assert_eq!(processor("model name : D"), "D");
        assert_eq!(processor(""), "not told");
    }

    #[test]
    fn what_the_system_says_is_read() {
        assert_eq!(chosen("always [madvise] never"), "madvise");
        assert_eq!(chosen(""), "not offered");
        assert_eq!(version("6.18.44-rc1"), (6, 18));
        assert_eq!(version("garbage"), (0, 0));
        let swaps =
            "Filename Type Size Used Priority\n/dev/a partition 100 40 -2\n/dev/b file 9 2 -3";
        assert_eq!(swap_used_kib(swaps), 42);
    }

    #[test]
    fn interrupts_of_devices_are_told_from_those_of_the_kernel() {
        // The second processor is switched off, and has no column.
        let before = "       CPU0  CPU2\n 24:  1  5  IO-APIC  5-edge  ACPI\n 36:  7  90  PCI-MSIX  1-edge  disk\n\
                      LOC:  9  9  Local timer interrupts\nERR:  0\n";
        let after = before
            .replace("  90 ", "  190 ")
            .replace("  5  IO", "  6  IO")
            .replace("9  9", "99  99");
        let of = |text: &str| device_interrupts(text, 2);
        assert_eq!(
            of(before),
            BTreeMap::from([("24 ACPI".to_owned(), 5), ("36 disk".to_owned(), 90)])
        );
        let found = grown(&of(before), &of(&after));
        assert_eq!(found, [("36 disk".to_owned(), 100), ("24 ACPI".to_owned(), 1)]);
        assert_eq!(grown(&of(before), &of(before)), []);
        assert!(device_interrupts(before, 1).is_empty() && device_interrupts("", 0).is_empty());
    }
}
