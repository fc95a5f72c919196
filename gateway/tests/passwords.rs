//! Sessions with a password: who gets in, what the others are told, and that nothing keeps a password.

mod common;

use common::{FixClient, Flaw, Msg, SECRET_HASH, TestVenue, logged};
use ironbook_fix::version::{ApplVerId, Version};

const REFUSED: &str = "35=5|58=Username (553) or Password (554) is wrong";

/// A venue whose session A is a user with a password, and whose session C has a password only.
fn start() -> TestVenue {
    logged::keep(log::LevelFilter::Trace);
    TestVenue::start_with(|config| {
        config.fix.logon_failures_max = 0;
        config.sessions[0].username = Some("somebody".to_owned());
        config.sessions[0].password = Some(SECRET_HASH.to_owned());
        config.sessions[2].password = Some(SECRET_HASH.to_owned());
    })
}

/// Logs on with these fields; gives the client and what it is told, numbers in sequence.
fn log_on(
    venue: &TestVenue,
    comp_id: &str,
    version: Version,
    numbers: (u64, u64),
    fields: &str,
) -> (FixClient, Option<Msg>) {
    let mut client = FixClient::connect(venue.address(), comp_id);
    client.begin_string = version.begin_string();
    (client.next_out, client.next_in) = numbers;
    let code = char::from(version.application.code());
    let default = if version.fixt { format!("|1137={code}") } else { String::new() };
    client.send("A", &format!("98=0|108=60{fields}{default}"));
    let answer = client.next_in_sequence();
    (client, answer)
}

#[test]
fn every_version_has_a_place_for_a_password() {
    let venue = start();
    let mut numbers = (1, 1);
    for version in Version::ALL {
        let (wrong, right): (&[&str], _) = match version.application < ApplVerId::Fix43 {
            true => (&["", "|95=6|96=Secret", "|95=7|96=secrets"], "|95=6|96=secret"),
            false => (
                &[
                    "",
                    "|553=somebody",
                    "|554=secret",
                    "|553=somebody|554=Secret",
                    "|553=nobody|554=secret",
                    "|553=somebody|95=6|96=secret",
                ],
                "|553=somebody|554=secret",
            ),
        };
        for fields in wrong {
            let (mut client, answer) = log_on(&venue, "A", version, numbers, fields);
            let answer = answer.expect("a Logout");
            assert!(answer.matches(REFUSED), "{version} {fields}: {answer:?}");
            assert_eq!(answer.get(1409), version.fixt.then_some("5"));
            client.expect_closed();
            numbers.1 += 1;
        }
        let (client, answer) = log_on(&venue, "A", version, numbers, right);
        assert!(answer.is_some_and(|answer| answer.matches("35=A")), "{version}");
        numbers = client.log_out();
    }
    // Sessions without a password, and those without a user.
    assert!(log_on(&venue, "B", Version::FIX44, (1, 1), "").1.unwrap().matches("35=A"));
    let anybody = "|553=anybody|554=secret";
    assert!(log_on(&venue, "C", Version::FIX44, (1, 1), anybody).1.unwrap().matches("35=A"));
}

#[test]
fn passwords_are_changed_by_the_venue_alone() {
    let venue = start();
    let (_, answer) = log_on(&venue, "C", Version::FIX44, (1, 1), "|554=wrong|925=fresh");
    assert!(answer.unwrap().matches(REFUSED));
    let version = Version::of(ApplVerId::Fix50Sp2);
    let (mut client, answer) = log_on(&venue, "C", version, (1, 2), "|554=secret|925=fresh");
    let text = "NewPassword (925) is not taken here: ask the venue for another password";
    assert!(answer.unwrap().matches(&format!("35=5|58={text}")));
    client.expect_closed();
}

#[test]
fn wrong_passwords_lock_the_address() {
    let mut venue = start();
    venue.restart_with(|config| config.fix.logon_failures_max = 3).expect("it starts");
    let mut numbers = (1, 1);
    for _ in 0..3 {
        let (_, answer) = log_on(&venue, "A", Version::FIX44, numbers, "|554=wrong");
        assert!(answer.expect("a Logout").matches(REFUSED));
        numbers.1 += 1;
    }
    let (_, answer) = log_on(&venue, "A", Version::FIX44, numbers, "|553=somebody|554=secret");
    assert_eq!(answer, None, "not even the right one");
}

#[test]
fn passwords_are_kept_nowhere() {
    /// In every message that has a password, a user or a new password.
    const SECRETS: [&str; 3] = ["usr-of-553", "pwd-of-554", "new-of-925"];
    let [user, password, fresh] = SECRETS;
    let mut venue = start();
    let login = format!("|553={user}|554={password}");
    let both = format!("{login}|925={fresh}");
    let fix44 = Version::FIX44;
    let mut numbers = (1, 1);
    let twice = format!("{login}|554={password}");
    let long = format!("|553={user}|554={}", password.repeat(20));
    for (comp_id, fields) in
        [("A", &login), ("A", &both), ("A", &twice), ("A", &long), ("B", &both), ("NOBODY", &login)]
    {
        let at = if comp_id == "A" { numbers } else { (1, 1) };
        let (_, answer) = log_on(&venue, comp_id, fix44, at, fields);
        numbers.1 += u64::from(comp_id == "A");
        assert!(answer.is_none_or(|answer| answer.kind() == "5"));
    }
    // In a session, where its Logon is one too many, and in messages that may not have it.
    let (mut b, answer) = log_on(&venue, "B", fix44, (1, 2), &login);
    assert!(answer.unwrap().matches("35=A"));
    b.send("D", &format!("11=1{login}"));
    b.expect("35=3|371=553");
    b.send("0", &format!("112={password}|554={password}"));
    b.expect("35=3|371=554");
    b.send("A", &format!("98=0|108=60{login}"));
    b.expect("35=5|58=Logon while logged on");
    b.expect_closed();
    // Bytes that are no message.
    let mut garbled = FixClient::connect(venue.address(), "A");
    garbled.send_raw(&garbled.build("A", 1, &format!("98=0{login}"), Flaw::CheckSum));
    garbled.expect_closed();
    let mut faulty = FixClient::connect(venue.address(), "A");
    faulty.send_raw(&faulty.build("A", 1, &format!("98=0|x{login}"), Flaw::None));
    faulty.expect_closed();
    let mut short = FixClient::connect(venue.address(), "A");
    short.send_raw(format!("8=FIX.4.4{login}").replace('|', "\u{1}").as_bytes());
    short.expect_closed();

    venue.stop();
    let logged = logged::lines().join("\n");
    assert!(logged.contains("B logged on"), "what is logged is seen: {logged}");
    let mut journaled = Vec::new();
    for file in std::fs::read_dir(venue.journal()).expect("a directory") {
        journaled.extend(std::fs::read(file.expect("a file").path()).expect("its bytes"));
    }
    let holds = |bytes: &[u8], text: &str| {
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    assert!(holds(&journaled, "Logon while logged on"), "what is journaled is seen");
    for secret in SECRETS {
        assert!(!holds(&journaled, secret), "{secret} is journaled");
        assert!(!logged.contains(secret), "{secret} is logged");
    }
}
