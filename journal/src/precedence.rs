//! How a thread that others wait for comes before what else wants its processor.

/// The nice value of whoever comes first among plain threads; see setpriority(2).
const NICE_MIN: i32 = -20;
/// The lowest of the real-time priorities, 1 to 99; see sched(7).
const REAL_TIME_PRIORITY: i32 = 1;

/// What the system lets a thread come before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precedence {
    /// All threads that are not real-time themselves (`SCHED_FIFO`).
    RealTime,
    /// Other threads by its nice value, in the same class. The system's own threads that pass work
    /// on to a disk are in that class, too, and it may let them wait for a tick or two when such a
    /// thread wakes them and goes to sleep.
    Nice,
    /// Nothing.
    Plain,
}

/// Lets this thread come first, as far as the system allows it. It has to be one that sleeps nearly
/// always, with everybody waiting for it when it does not.
pub fn come_first() -> Precedence {
    let thread = rustix::thread::gettid();
    if become_real_time() {
        Precedence::RealTime
    } else if rustix::process::setpriority_process(Some(thread), NICE_MIN).is_ok() {
        Precedence::Nice
    } else {
        Precedence::Plain
    }
}

fn become_real_time() -> bool {
    let priority = libc::sched_param { sched_priority: REAL_TIME_PRIORITY };
    // SAFETY: the calling thread is there, and the system reads no more than the priority.
    unsafe {
        libc::pthread_setschedparam(libc::pthread_self(), libc::SCHED_FIFO, &raw const priority)
            == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, thread};

    /// Nice value, real-time priority and class of this thread, as proc(5) tells them.
    fn told_by_the_system() -> (i32, i32, i32) {
        let stat = fs::read_to_string("/proc/thread-self/stat").unwrap();
        // The name, which is in brackets, may have spaces.
        let fields: Vec<i32> = stat
            .rsplit_once(')')
            .unwrap()
            .1
            .split_whitespace()
            .map(|field| field.parse().unwrap_or(i32::MAX))
            .collect();
        // Numbered from 1 there; the two first ones are gone.
        let field = |number: usize| fields[number - 3];
        (field(19), field(40), field(41))
    }

    #[test]
    fn the_system_agrees_on_who_comes_first() {
        let plain = told_by_the_system();
        let (precedence, told) =
            thread::spawn(|| (come_first(), told_by_the_system())).join().unwrap();
        match precedence {
            Precedence::RealTime => {
                assert_eq!((told.1, told.2), (REAL_TIME_PRIORITY, libc::SCHED_FIFO));
            }
            Precedence::Nice => assert_eq!(told, (NICE_MIN, 0, plain.2)),
            Precedence::Plain => assert_eq!(told, plain),
        }
        assert_eq!(told_by_the_system(), plain, "another thread is left as it was");
    }
}
