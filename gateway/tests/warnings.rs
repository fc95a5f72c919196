//! What a start warns of: it goes on, but not as configured.

mod common;

use common::{TestVenue, logged};
use ironbook_gateway::config::Cpu;

#[test]
fn what_a_configuration_can_not_take_back_is_warned_of() {
    logged::keep(log::LevelFilter::Warn);
    let mut venue = TestVenue::start_with(|config| {
        config.engine.orders_max = 3_217;
        config
            .instruments
            .extend((0..12).map(|n| common::instrument(&format!("OLD{n}"), "1", "1")));
    });
    venue.stop();
    let fewer = |config: &mut ironbook_gateway::config::Config| {
        config.engine.orders_max = 10;
        config.instruments.truncate(2);
    };
    venue.restart_with(fewer).expect("it starts");
    let lines = logged::lines();
    for expected in [
        "WARN engine.orders_max = 10: the journal has 3217, which stays; limits only grow while a journal lasts",
        "WARN 12 instruments are of the journal, not of the configuration, and keep their status: OLD0, OLD1, OLD2, \
         OLD3, OLD4, OLD5, OLD6, OLD7, OLD8, OLD9, ...; to end trading in one give it status = \"closed\"",
    ] {
        assert!(lines.iter().any(|line| line == expected), "{expected}\n{lines:#?}");
    }
    drop(lines);
    venue.client("A").rest("a1", "OLD11", "1", "1", "5");
}

#[test]
fn a_processor_that_there_is_none_of_is_warned_of() {
    logged::keep(log::LevelFilter::Warn);
    let venue = TestVenue::start_with(|config| config.threads.core_cpu = Cpu::Index(5_000));
    venue.client("A").rest("a1", "AAPL", "1", "1", "1.00");
    let expected = "can't be pinned to processor 5000; it runs where the system puts it";
    assert!(logged::lines().iter().any(|line| line.ends_with(expected)));
}
