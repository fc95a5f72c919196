//! Sessions over TLS, and certificates that clients must have.

mod common;

use std::{
    fs,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
};

use common::{FixClient, Flaw, Msg, TestVenue, WAIT_MAX, limit};
use ironbook_gateway::{
    config::{Config, Sha256},
    tls::fingerprint,
    venue::{StartError, Venue},
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};

/// Certificates of a test: an authority, and whom it knows.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
}

/// A certificate and its key.
struct Identity {
    certificate: CertificateDer<'static>,
    pem: String,
    key: KeyPair,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let own = params.self_signed(&key).expect("a certificate");
        let (certificate, pem) = (own.der().clone(), own.pem());
        Self { issuer: Issuer::new(params, key), certificate, pem }
    }

    fn issue(&self) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let own = params.signed_by(&key, &self.issuer).expect("a certificate");
        Identity { certificate: own.der().clone(), pem: own.pem(), key }
    }
}

impl Identity {
    fn fingerprint(&self) -> Sha256 {
        fingerprint(&self.certificate)
    }
}

/// Listens for TLS with a certificate of the authority.
fn encrypt(config: &mut Config, dir: &Path, authority: &Authority) {
    let own = authority.issue();
    fs::write(dir.join("venue.pem"), &own.pem).expect("a file");
    fs::write(dir.join("venue.key"), own.key.serialize_pem()).expect("a file");
    config.fix.tls_listen = Some("127.0.0.1:0".parse().expect("an address"));
    config.fix.tls_certificate = Some(dir.join("venue.pem"));
    config.fix.tls_key = Some(dir.join("venue.key"));
}

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

/// A client over TLS, whose messages a [`FixClient`] builds.
struct TlsClient {
    stream: StreamOwned<ClientConnection, TcpStream>,
    fix: FixClient,
    input: Vec<u8>,
}

impl TlsClient {
    /// Connects; the client trusts the authority, and shows a certificate if it has one.
    fn connect(
        (venue, address): (&TestVenue, SocketAddr),
        comp_id: &str,
        authority: &Authority,
        identity: Option<&Identity>,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate.clone()).expect("an authority");
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        let config = match identity {
            None => config.with_no_client_auth(),
            Some(identity) => {
                let key = PrivateKeyDer::try_from(identity.key.serialize_der()).expect("a key");
                let chain = vec![identity.certificate.clone()];
                config.with_client_auth_cert(chain, key).expect("key and certificate")
            }
        };
        let name = ServerName::try_from("localhost").expect("a name");
        let tls = ClientConnection::new(Arc::new(config), name).expect("a client");
        let socket = TcpStream::connect(address).expect("a connection");
        socket.set_read_timeout(Some(WAIT_MAX)).expect("a read timeout");
        // Builds messages, and says nothing on its own connection.
        let fix = FixClient::connect(venue.address(), comp_id);
        Self { stream: StreamOwned::new(tls, socket), fix, input: Vec::new() }
    }

    fn send(&mut self, kind: &str, body: &str) -> io::Result<()> {
        let bytes = self.fix.build(kind, self.fix.next_out, body, Flaw::None);
        self.fix.next_out += 1;
        self.stream.write_all(&bytes)
    }

    /// The next message; none at the end, whatever ended it.
    fn receive(&mut self) -> Option<Msg> {
        loop {
            let sum = self.input.windows(4).position(|bytes| bytes == b"\x0110=");
            if let Some(end) = sum.map(|at| at + 8).filter(|end| *end <= self.input.len()) {
                return Some(Msg(self.input.drain(..end).collect()));
            }
            let mut bytes = [0; 16_384];
            match self.stream.read(&mut bytes) {
                Ok(count @ 1..) => self.input.extend(&bytes[..count]),
                Ok(0) => return None,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => panic!("nothing came"),
                Err(_) => return None,
            }
        }
    }

    #[track_caller]
    fn expect(&mut self, spec: &str) -> Msg {
        let message = self.receive().unwrap_or_else(|| panic!("the end before {spec}"));
        assert!(message.matches(spec), "expected {spec}, got {message:?}");
        message
    }

    /// Logs on; gives what is said to it.
    fn log_on(&mut self) -> Option<Msg> {
        // The handshake may have failed already.
        let _ = self.send("A", "98=0|108=60|141=Y");
        self.receive()
    }
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
