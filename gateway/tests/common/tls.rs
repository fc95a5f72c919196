//! Certificates of a test, and clients over TLS.

use std::{
    fs,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
};

use ironbook_gateway::{
    config::{Config, Sha256},
    tls::fingerprint,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};

use super::common::{FixClient, Flaw, Msg, TestVenue, WAIT_MAX};

/// Certificates of a test: an authority, and whom it knows.
pub struct Authority {
    pub issuer: Issuer<'static, KeyPair>,
    pub certificate: CertificateDer<'static>,
    pub pem: String,
}

/// A certificate and its key.
pub struct Identity {
    pub certificate: CertificateDer<'static>,
    pub pem: String,
    pub key: KeyPair,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let own = params.self_signed(&key).expect("a certificate");
        let (certificate, pem) = (own.der().clone(), own.pem());
        Self { issuer: Issuer::new(params, key), certificate, pem }
    }

    pub fn issue(&self) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let own = params.signed_by(&key, &self.issuer).expect("a certificate");
        Identity { certificate: own.der().clone(), pem: own.pem(), key }
    }
}

impl Identity {
    pub fn fingerprint(&self) -> Sha256 {
        fingerprint(&self.certificate)
    }
}

/// Listens for TLS with a certificate of the authority.
pub fn encrypt(config: &mut Config, dir: &Path, authority: &Authority) {
    let own = authority.issue();
    fs::write(dir.join("venue.pem"), &own.pem).expect("a file");
    fs::write(dir.join("venue.key"), own.key.serialize_pem()).expect("a file");
    config.fix.tls_listen = Some("127.0.0.1:0".parse().expect("an address"));
    config.fix.tls_certificate = Some(dir.join("venue.pem"));
    config.fix.tls_key = Some(dir.join("venue.key"));
}

/// The client's end of a connection: it trusts the authority, and shows a certificate if it has one.
pub fn connection(authority: &Authority, identity: Option<&Identity>) -> ClientConnection {
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
    ClientConnection::new(Arc::new(config), name).expect("a client")
}

/// A client over TLS, whose messages a [`FixClient`] builds.
pub struct TlsClient {
    pub stream: StreamOwned<ClientConnection, TcpStream>,
    pub fix: FixClient,
    pub input: Vec<u8>,
}

impl TlsClient {
    /// Connects; the client trusts the authority, and shows a certificate if it has one.
    pub fn connect(
        (venue, address): (&TestVenue, SocketAddr),
        comp_id: &str,
        authority: &Authority,
        identity: Option<&Identity>,
    ) -> Self {
        let tls = connection(authority, identity);
        let socket = TcpStream::connect(address).expect("a connection");
        socket.set_read_timeout(Some(WAIT_MAX)).expect("a read timeout");
        // Builds messages, and says nothing on its own connection.
        let fix = FixClient::connect(venue.address(), comp_id);
        Self { stream: StreamOwned::new(tls, socket), fix, input: Vec::new() }
    }

    pub fn send(&mut self, kind: &str, body: &str) -> io::Result<()> {
        let bytes = self.fix.build(kind, self.fix.next_out, body, Flaw::None);
        self.fix.next_out += 1;
        self.stream.write_all(&bytes)
    }

    /// The next message; none at the end, whatever ended it.
    pub fn receive(&mut self) -> Option<Msg> {
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
    pub fn expect(&mut self, spec: &str) -> Msg {
        let message = self.receive().unwrap_or_else(|| panic!("the end before {spec}"));
        assert!(message.matches(spec), "expected {spec}, got {message:?}");
        message
    }

    /// Logs on; gives what is said to it.
    pub fn log_on(&mut self) -> Option<Msg> {
        // The handshake may have failed already.
        let _ = self.send("A", "98=0|108=60|141=Y");
        self.receive()
    }
}
