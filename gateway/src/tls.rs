//! TLS of connections: a stream that encrypts, and what it needs of the configuration.
//!
//! rustls does no I/O of its own; here its records go to and from a socket that does not wait. For whoever
//! reads and writes it looks like the socket itself.

use std::{
    fmt,
    io::{self, Read, Write},
    path::Path,
    sync::Arc,
};

use mio::net::TcpStream;
use rustls::{
    ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::WebPkiClientVerifier,
};

use crate::{
    config::{ConfigError, Sha256, Tls},
    network::Handshake,
};

/// Most bytes that are encrypted at once: those of one record.
const RECORD_BYTES_MAX: usize = 16 * 1024;

/// Pieces that are read in a row without anything for the reader in them. A record comes in five at the most,
/// a handshake in some ten: whoever sends more holds up the others.
const READS_MAX: usize = 64;

/// What connections over TLS begin with, as configured: TLS 1.2 and 1.3 over *ring*.
///
/// # Errors
/// [`ConfigError::Value`] names the file that can't be read, or is not what it should be.
pub fn server_config(config: &Tls<'_>) -> Result<Arc<ServerConfig>, ConfigError> {
    let chain = certificates("fix.tls_certificate", config.certificate)?;
    let bad_key = |error: &dyn fmt::Display| refuse("fix.tls_key", config.key, error);
    let key = PrivateKeyDer::from_pem_file(config.key).map_err(|error| bad_key(&error))?;
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| bad_key(&error))?;
    let builder = match config.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let bad_ca = |error: &dyn fmt::Display| refuse("fix.tls_client_ca", path, error);
            let mut roots = RootCertStore::empty();
            for root in certificates("fix.tls_client_ca", path)? {
                roots.add(root).map_err(|error| bad_ca(&error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build().map_err(|error| bad_ca(&error))?)
        }
    };
    Ok(builder.with_single_cert(chain, key).map_err(|error| bad_key(&error))?.into())
}

/// What a client's connections over TLS begin with.
#[derive(Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    /// Whose certificate the venue has to show.
    name: ServerName<'static>,
}

/// Files in PEM that a client's TLS is made of.
#[derive(Clone, Copy, Debug)]
pub struct ClientFiles<'a> {
    /// Authorities, one of which issued the venue's certificate.
    pub ca: &'a Path,
    /// The client's own certificate, and its private key, if it has to show one.
    pub identity: Option<(&'a Path, &'a Path)>,
}

impl ClientTls {
    /// TLS to a venue whose certificate is for this name or address.
    ///
    /// # Errors
    /// [`ConfigError::Value`] names the file, or the name, and what is wrong.
    pub fn new(files: ClientFiles<'_>, name: &str) -> Result<Self, ConfigError> {
        let bad_ca = |error: &dyn fmt::Display| refuse("tls-ca", files.ca, error);
        let mut roots = RootCertStore::empty();
        for root in certificates("tls-ca", files.ca)? {
            roots.add(root).map_err(|error| bad_ca(&error))?;
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| bad_ca(&error))?
            .with_root_certificates(roots);
        let config = match files.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates("tls-certificate", certificate)?;
                let bad_key = |error: &dyn fmt::Display| refuse("tls-key", key, error);
                let key = PrivateKeyDer::from_pem_file(key).map_err(|error| bad_key(&error))?;
                builder.with_client_auth_cert(chain, key).map_err(|error| bad_key(&error))?
            }
        };
        let known = ServerName::try_from(name.to_owned())
            .map_err(|error| crate::config::value("tls-name", name, &error))?;
        Ok(Self { config: config.into(), name: known })
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("name", &self.name).finish_non_exhaustive()
    }
}

fn certificates(key: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).and_then(|found| found.collect());
    match found {
        Ok(found) if found.is_empty() => Err(refuse(key, path, &"holds no certificate in PEM")),
        Ok(found) => Ok(found),
        Err(error) => Err(refuse(key, path, &error)),
    }
}

fn refuse(key: &str, path: &Path, reason: &dyn fmt::Display) -> ConfigError {
    ConfigError::Value {
        key: key.to_owned(),
        value: path.display().to_string(),
        reason: reason.to_string(),
    }
}

/// A connection over TLS.
pub struct TlsStream {
    socket: TcpStream,
    tls: Connection,
    /// Bytes have come.
    begun: bool,
    /// Bytes of the writer that were encrypted, and are not all sent. They are told as written when they
    /// are, so that what waits is counted where the writer counts it.
    encrypted: usize,
}

impl TlsStream {
    /// The venue's end of a connection of which nothing is known yet.
    ///
    /// # Errors
    /// What TLS says to its configuration.
    pub fn new(socket: TcpStream, config: Arc<ServerConfig>) -> io::Result<Self> {
        let tls = ServerConnection::new(config).map_err(io::Error::other)?;
        Ok(Self { socket, tls: tls.into(), begun: false, encrypted: 0 })
    }

    /// A client's end of it.
    ///
    /// # Errors
    /// What TLS says to its configuration.
    pub fn connect(socket: TcpStream, client: &ClientTls) -> io::Result<Self> {
        let tls = ClientConnection::new(client.config.clone(), client.name.clone());
        let tls = tls.map_err(io::Error::other)?;
        Ok(Self { socket, tls: tls.into(), begun: false, encrypted: 0 })
    }

    /// The socket, to be registered.
    pub fn socket_mut(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    /// Fingerprint of the client's certificate, once the handshake has shown one.
    pub fn certificate(&self) -> Option<Sha256> {
        self.tls.peer_certificates()?.first().map(fingerprint)
    }

    /// How far the handshake is.
    pub fn handshake(&self) -> Handshake {
        match (self.tls.is_handshaking(), self.begun) {
            (false, _) => Handshake::Done,
            (true, false) => Handshake::Awaited,
            (true, true) => Handshake::UnderWay,
        }
    }

    /// Sends the records that wait.
    fn send_records(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            if self.tls.write_tls(&mut self.socket)? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }
}

/// SHA-256 over a certificate.
pub fn fingerprint(certificate: &CertificateDer<'_>) -> Sha256 {
    let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
    Sha256(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
}

impl Read for TlsStream {
    /// What was sent, decrypted; the handshake goes on in between.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        for _ in 0..READS_MAX {
            match self.tls.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
            if self.tls.read_tls(&mut self.socket)? == 0 {
                return Ok(0);
            }
            self.begun = true;
            let processed = self.tls.process_new_packets();
            // An answer of the handshake, or why there will be none. What the socket does not take goes
            // with the next bytes.
            let sent = self.send_records();
            if let Err(error) = processed {
                log::debug!("{:?}: {error}", self.socket.peer_addr());
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
            match sent {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "records without content"))
    }
}

impl Write for TlsStream {
    /// Encrypts and sends. After [`io::ErrorKind::WouldBlock`] it is to be called with the same bytes again,
    /// perhaps with more behind them.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send_records()?;
        if self.encrypted == 0 {
            let most = bytes.len().min(RECORD_BYTES_MAX);
            self.encrypted = self.tls.writer().write(&bytes[..most])?;
            self.send_records()?;
        }
        Ok(std::mem::take(&mut self.encrypted))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send_records()
    }
}

impl Drop for TlsStream {
    /// Says that nothing was cut off, if the socket takes it.
    fn drop(&mut self) {
        self.tls.send_close_notify();
        let _ = self.send_records();
    }
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").field("socket", &self.socket).finish_non_exhaustive()
    }
}
