//! Sessions over TLS, and certificates that clients must have.

mod common;
#[path = "common/tls.rs"]
mod tls;

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
};

use common::{
    FixClient, Flaw, SECRET_HASH, TestVenue, WAIT_MAX, limit,
    stepped::{LOOK, SECOND, Stepped},
    wait_for,
};
use ironbook_fix::{
    field::Decimal,
    order::{NewOrderSingle, Side},
    report::ReportMessage,
};
use ironbook_gateway::{
    acceptor::HANDSHAKES_PER_TURN,
    client::{Access, Client, ClientError, Login},
    clock::{Clock, SystemClock},
    config::Config,
    tls::{ClientFiles, ClientTls},
    venue::{StartError, Venue},
};
use tls::{Authority, TlsClient, connection, encrypt};

/// A venue that listens for TLS, and the address.
fn start(
    authority: &Authority,
    change: impl FnOnce(&mut Config, &Path),
) -> (TestVenue, SocketAddr) {
    let venue = TestVenue::start_with(|config| {
        let dir = config.venue.data_dir.parent().expect("a directory").to_owned();
        encrypt(config, &dir, authority);
        change(config, &dir);
    });
    let address = venue.venue().tls_address().expect("it listens for TLS");
    (venue, address)
}

#[test]
fn sessions_are_the_same_over_tls() {
    let authority = Authority::new();
    let (venue, address) = start(&authority, |config, _| config.sessions[0].tls = true);
    let mut plain = FixClient::connect(venue.address(), "A");
    plain.send("A", "98=0|108=60");
    plain.expect_closed();
    let mut a = TlsClient::connect((&venue, address), "A", &authority, None);
    assert!(a.log_on().expect("an answer").matches("35=A|34=1"));
    a.send("D", &limit("a1", "AAPL", "1", "10", "1.00")).expect("sent");
    a.expect("35=8|150=0|11=a1");
    // Somebody on the plain port trades with it.
    let mut b = venue.client("B");
    b.send("D", &limit("b1", "AAPL", "2", "10", "1.00"));
    b.expect("35=8|150=0");
    b.expect("35=8|150=F|39=2");
    a.expect("35=8|150=F|39=2|11=a1");
    a.send("5", "").expect("sent");
    a.expect("35=5");
    let end = a.stream.read(&mut [0]);
    assert!(matches!(end, Ok(0)), "the end is said, not a cut: {end:?}");
}

#[test]
fn market_data_is_the_same_over_tls() {
    let authority = Authority::new();
    let (venue, _) = start(&authority, |config, _| {
        config.sessions[0].tls = true;
        config.market_data.listen = Some("127.0.0.1:0".parse().expect("an address"));
        config.market_data.tls_listen = Some("127.0.0.1:0".parse().expect("an address"));
    });
    let plain = venue.venue().market_data_address().expect("market data");
    let mut refused = FixClient::connect(plain, "A");
    refused.send("A", "98=0|108=60");
    refused.expect_closed();
    let address = venue.venue().market_data_tls_address().expect("market data over TLS");
    let mut a = TlsClient::connect((&venue, address), "A", &authority, None);
    assert!(a.log_on().expect("an answer").matches("35=A|34=1"));
    let request = "262=m|263=1|264=5|265=1|267=1|269=0|146=1|55=AAPL";
    a.send("V", request).expect("sent");
    a.expect("35=W|262=m|268=0");
    venue.client("B").rest("b1", "AAPL", "1", "5", "10.00");
    a.expect("35=X|262=m|268=1|279=0|269=0|270=10.00|271=5");
}

/// More than the system's buffers hold waits for a client that does not read; all of it comes, in order.
#[test]
fn nothing_is_lost_when_a_client_does_not_read() {
    const MESSAGES: usize = 40_000;
    let authority = Authority::new();
    let (venue, address) = start(&authority, |config, _| {
        config.fix.out_buffer_bytes_max = 64 << 20;
        config.sessions[0].reset_on_logon = true;
    });
    let mut a = TlsClient::connect((&venue, address), "A", &authority, None);
    assert!(a.log_on().expect("an answer").matches("35=A"));
    let text = "x".repeat(180);
    let mut asked = Vec::new();
    for number in 0..MESSAGES {
        let body = format!("112={number}-{text}");
        asked.extend(a.fix.build("1", a.fix.next_out, &body, Flaw::None));
        a.fix.next_out += 1;
    }
    a.stream.write_all(&asked).expect("sent");
    for number in 0..MESSAGES {
        a.expect(&format!("35=0|34={}|112={number}-{text}", number + 2));
    }
}

#[test]
fn what_is_no_tls_is_closed() {
    let authority = Authority::new();
    let (venue, address) = start(&authority, |_, _| {});
    let mut plain = FixClient::connect(address, "A");
    let logon = plain.build("A", 1, "98=0|108=60", Flaw::None);
    let _ = plain.try_send_raw(&logon);
    // What comes, if anything, is an alert of TLS and no message.
    let mut answer = Vec::new();
    let _ = plain.stream().read_to_end(&mut answer);
    assert!(!answer.windows(2).any(|bytes| bytes == b"8="), "{answer:?}");
    let mut confused = TlsClient::connect((&venue, venue.address()), "A", &authority, None);
    assert_eq!(confused.log_on(), None);
    venue.client("A").ping();
}

#[test]
fn a_comp_id_may_need_its_certificate() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (a, b, stranger) = (authority.issue(), authority.issue(), other.issue());
    let (venue, address) = start(&authority, |config, dir| {
        fs::write(dir.join("ca.pem"), &authority.pem).expect("a file");
        config.fix.tls_client_ca = Some(dir.join("ca.pem"));
        config.sessions[0].certificate = Some(a.fingerprint());
    });
    for (comp_id, identity, expected) in [
        ("A", Some(&a), true),
        ("A", Some(&b), false),
        ("A", Some(&stranger), false),
        ("A", None, false),
        ("B", Some(&b), true),
        ("B", Some(&stranger), false),
        ("B", None, false),
    ] {
        let mut client = TlsClient::connect((&venue, address), comp_id, &authority, identity);
        let answer = client.log_on();
        assert_eq!(answer.is_some_and(|it| it.kind() == "A"), expected, "{comp_id}");
        if expected {
            client.send("5", "").expect("sent");
            client.expect("35=5");
            assert_eq!(client.receive(), None);
        }
    }
    // Over the plain port nobody shows a certificate.
    let mut plain = FixClient::connect(venue.address(), "A");
    plain.send("A", "98=0|108=60");
    plain.expect_closed();
    venue.client("C").ping();
}

#[test]
fn files_that_are_no_keys_are_named() {
    let authority = Authority::new();
    let dir = tempfile::tempdir().expect("a directory");
    let mut config = common::small_config(&dir.path().join("journal"));
    encrypt(&mut config, dir.path(), &authority);
    let good = config.clone();
    let foreign = dir.path().join("foreign.key");
    fs::write(&foreign, authority.issue().key.serialize_pem()).expect("a file");
    let none = dir.path().join("none.pem");
    fs::write(&none, "no PEM").expect("a file");
    type Change = fn(&mut Config, &Path);
    let changes: [(&Path, Change, &str); 5] = [
        (
            Path::new("/no/such.pem"),
            |c, p| c.fix.tls_certificate = Some(p.into()),
            "tls_certificate",
        ),
        (&none, |c, p| c.fix.tls_certificate = Some(p.into()), "tls_certificate"),
        (&none, |c, p| c.fix.tls_key = Some(p.into()), "tls_key"),
        (&foreign, |c, p| c.fix.tls_key = Some(p.into()), "tls_key"),
        (&none, |c, p| c.fix.tls_client_ca = Some(p.into()), "tls_client_ca"),
    ];
    for (path, change, key) in changes {
        let mut config = good.clone();
        change(&mut config, path);
        let error = match Venue::start(&config) {
            Err(error @ StartError::Config(_)) => error.to_string(),
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("it starts with {}", path.display()),
        };
        assert!(error.contains(&format!("fix.{key} = {}: ", path.display())), "{error}");
    }
    Venue::start(&good).expect("it starts").stop();
}

/// A venue under virtual time that listens for TLS, and the address.
fn step(authority: &Authority, change: impl FnOnce(&mut Config)) -> (Stepped, SocketAddr) {
    let venue = Stepped::start(|config| {
        let dir = config.venue.data_dir.parent().expect("a directory").to_owned();
        encrypt(config, &dir, authority);
        change(config);
    });
    let address = venue.gateway.tls_address().expect("it listens for TLS");
    (venue, address)
}

/// A connection that has sent the first bytes of a handshake.
fn begin(authority: &Authority, address: SocketAddr) -> TcpStream {
    let mut socket = TcpStream::connect(address).expect("a connection");
    connection(authority, None).write_tls(&mut socket).expect("bytes are sent");
    socket.set_nonblocking(true).expect("a socket");
    socket
}

#[test]
fn whoever_begins_many_handshakes_gets_a_part_of_each_turn() {
    const SOCKETS: usize = 8 * HANDSHAKES_PER_TURN;
    let authority = Authority::new();
    let (mut venue, address) = step(&authority, |_| {});
    let mut b = venue.log_on("B", 30);
    // So long after its last bytes it is found by the poll, as all others are.
    venue.advance(SECOND);
    let mut sockets: Vec<_> = (0..SOCKETS).map(|_| begin(&authority, address)).collect();
    venue.send(&mut b, "1", "112=b");
    let (mut done, mut answered_at) = (0, None);
    for turn in 0.. {
        venue.turn();
        let answered = sockets.iter_mut().filter(|socket| socket.peek(&mut [0]).is_ok()).count();
        // A turn of the venue is two of the gateway.
        assert!(answered - done <= 2 * HANDSHAKES_PER_TURN, "{} in one turn", answered - done);
        done = answered;
        if b.pending().iter().any(|message| message.matches("35=0|112=b")) {
            answered_at.get_or_insert(done);
        }
        if done == SOCKETS && answered_at.is_some() {
            break;
        }
        assert!(turn < 1_000, "{done} of {SOCKETS}");
    }
    assert!(answered_at < Some(SOCKETS), "nobody waits for all of them");
}

#[test]
fn handshakes_that_fail_are_failed_logons() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (mut venue, address) = step(&authority, |config| {
        config.fix.logon_failures_max = 3;
        config.fix.logon_timeout_ms = 1_000;
    });
    let close = |venue: &mut Stepped, mut socket: TcpStream| {
        socket.set_nonblocking(true).expect("a socket");
        wait_for("the venue closes", || {
            venue.advance(LOOK);
            let mut bytes = [0; 4_096];
            loop {
                match socket.read(&mut bytes) {
                    Ok(0) => return true,
                    Ok(_) => {}
                    Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
                }
            }
        });
    };
    // Whoever only looks whether somebody listens has done nothing wrong.
    for _ in 0..5 {
        drop(TcpStream::connect(address).expect("a connection"));
        venue.advance(LOOK);
    }
    let silent = TcpStream::connect(address).expect("a connection");
    venue.advance(SECOND);
    close(&mut venue, silent);
    // One that is none, one that is broken off, one that is not gone on with.
    let mut plain = TcpStream::connect(address).expect("a connection");
    plain.write_all(b"8=FIX.4.4").expect("sent");
    close(&mut venue, plain);
    drop(begin(&other, address));
    venue.advance(LOOK);
    assert!(venue.log_on("A", 30).next_out == 2, "not too many yet");
    let late = begin(&authority, address);
    venue.advance(2 * SECOND);
    close(&mut venue, late);
    let mut locked = FixClient::connect(venue.gateway.address(), "B");
    venue.settle();
    wait_for("the address is locked", || {
        venue.settle();
        locked.is_closed()
    });
}

#[test]
fn the_tools_client_reaches_a_venue_over_tls_with_a_password() {
    let (authority, other) = (Authority::new(), Authority::new());
    let own = authority.issue();
    let (venue, address) = start(&authority, |config, dir| {
        fs::write(dir.join("ca.pem"), &authority.pem).expect("a file");
        fs::write(dir.join("other.pem"), &other.pem).expect("a file");
        fs::write(dir.join("own.pem"), &own.pem).expect("a file");
        fs::write(dir.join("own.key"), own.key.serialize_pem()).expect("a file");
        config.fix.tls_client_ca = Some(dir.join("ca.pem"));
        config.sessions[0].certificate = Some(own.fingerprint());
        config.sessions[0].password = Some(SECRET_HASH.to_owned());
        config.sessions[0].username = Some("trader".to_owned());
    });
    let dir = venue.scratch();
    let (certificate, key) = (dir.join("own.pem"), dir.join("own.key"));
    let log_on = |ca: &str, identified: bool, name: &str, login: Option<(&str, &str)>| {
        let identity = identified.then_some((certificate.as_path(), key.as_path()));
        let files = ClientFiles { ca: &dir.join(ca), identity };
        let tls = Some(ClientTls::new(files, name).expect("files of TLS"));
        let login = login.map(|(username, password)| Login {
            username: Some(username.to_owned()),
            password: password.to_owned(),
        });
        Client::log_on(address, "A", "IRONBOOK", &Access { tls, login }, WAIT_MAX)
    };
    let right = Some(("trader", "secret"));
    for (ca, identified, name, login, expected) in [
        ("other.pem", true, "localhost", right, "invalid peer certificate"),
        ("ca.pem", true, "elsewhere", right, "not valid for name"),
        ("ca.pem", false, "localhost", right, "ertificate"),
        ("ca.pem", true, "localhost", None, "Password (554) is wrong"),
        ("ca.pem", true, "localhost", Some(("nobody", "secret")), "Password (554) is wrong"),
        ("ca.pem", true, "localhost", Some(("trader", "else")), "Password (554) is wrong"),
    ] {
        let error = match log_on(ca, identified, name, login) {
            Err(error) => error.to_string(),
            Ok(_) => panic!("{ca} {name} {login:?} is let in"),
        };
        assert!(error.contains(expected), "{error}, not {expected}");
        assert!(!error.contains("secret"), "{error}");
    }
    let mut client = log_on("ca.pem", true, "localhost", right).expect("it is let in");
    let now = SystemClock.now().0;
    let (qty, price) = (Decimal::new(10, 0), Decimal::new(100, 2));
    client.queue(&NewOrderSingle::limit(b"a1", b"AAPL", Side::Buy, qty, price, now), now);
    client.flush().expect("sent");
    let mut reports = 0;
    wait_for("the report comes", || {
        let polled = client.poll(|message| {
            let report = ReportMessage::parse(message);
            reports += u32::from(matches!(report, Ok(ReportMessage::Execution(_))));
        });
        polled.expect("the session goes on");
        reports == 1
    });
    client.log_out(WAIT_MAX).expect("it logs out");
    let missing = ClientFiles { ca: Path::new("/no/such.pem"), identity: None };
    let error = ClientTls::new(missing, "localhost").expect_err("no file").to_string();
    assert!(error.contains("tls-ca = /no/such.pem: "), "{error}");
    let plain = Client::log_on(address, "A", "IRONBOOK", &Access::default(), WAIT_MAX);
    assert!(matches!(plain, Err(ClientError::Ended { .. } | ClientError::Broken(_))));
}
