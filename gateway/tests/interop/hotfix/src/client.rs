//! A session of the engine, and the little that an application does with it.

use std::path::{Path, PathBuf};

use hotfix::Application;
use hotfix::application::{InboundDecision, OutboundDecision};
use hotfix::config::{SessionConfig, ValidationConfig};
use hotfix::initiator::Initiator;
use hotfix::message::OutboundMessage;
use hotfix::session::Status;
use hotfix::store::FileStore;
use hotfix_message::message::Message;
use hotfix_message::{HardCodedFixFieldDefinition, Part, fix44};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::wire::{From, Wire};
use crate::{Error, PATIENCE};

/// A field by the engine's own definition. Those of FIX 4.4 serve for the same tags of 4.2.
pub type Field = &'static HardCodedFixFieldDefinition;

/// A version, and what the engine needs to speak it.
#[derive(Debug, Clone)]
pub struct Version {
    pub begin_string: &'static str,
    /// The engine brings that of FIX 4.4 along.
    pub dictionary: Option<PathBuf>,
}

impl Version {
    pub fn is_fix42(&self) -> bool {
        self.begin_string == "FIX.4.2"
    }
}

/// A message for the venue.
#[derive(Debug, Clone)]
pub struct Request {
    pub msg_type: &'static str,
    pub fields: Vec<(Field, String)>,
}

impl OutboundMessage for Request {
    fn write(&self, message: &mut Message) {
        for (field, value) in &self.fields {
            message.set(field, value.as_str());
        }
    }

    fn message_type(&self) -> &str {
        self.msg_type
    }
}

/// Passes on what the engine has found good.
struct Desk {
    received: mpsc::UnboundedSender<Message>,
    status: watch::Sender<Status>,
}

#[async_trait::async_trait]
impl Application for Desk {
    type Outbound = Request;

    async fn on_outbound_message(&self, _: &Request) -> OutboundDecision {
        OutboundDecision::Send
    }

    async fn on_inbound_message(&self, message: &Message) -> InboundDecision {
        // Nobody listens any more when a test has failed.
        let _ = self.received.send(message.clone());
        InboundDecision::Accept
    }

    async fn on_logout(&mut self, _: &str) {}

    async fn on_logon(&mut self) {}

    async fn on_state_change(&self, _: &Status, to: &Status) {
        self.status.send_replace(to.clone());
    }
}

/// A trader's session. Its wire and its files outlive a logout.
pub struct Client {
    pub wire: Wire,
    config: SessionConfig,
    files: PathBuf,
    running: Option<Running>,
}

struct Running {
    engine: Initiator<Request>,
    received: mpsc::UnboundedReceiver<Message>,
    status: watch::Receiver<Status>,
}

impl Client {
    /// Logs `comp_id` on to the venue at a port, over a wire of its own.
    pub async fn log_on(
        venue: u16,
        comp_id: &str,
        version: &Version,
        heart_bt_int: u64,
        files: &Path,
    ) -> Result<Self, Error> {
        let wire = Wire::to(venue).await?;
        let dictionary = version.dictionary.as_ref().map(|path| path.display().to_string());
        let config = SessionConfig {
            begin_string: version.begin_string.to_owned(),
            sender_comp_id: comp_id.to_owned(),
            target_comp_id: "IRONBOOK".to_owned(),
            data_dictionary_path: dictionary,
            connection_host: "127.0.0.1".to_owned(),
            connection_port: wire.port,
            tls_config: None,
            heartbeat_interval: heart_bt_int,
            logon_timeout: PATIENCE.as_secs(),
            logout_timeout: PATIENCE.as_secs(),
            reconnect_interval: 1,
            // Every other Logon of the engine has NextExpectedMsgSeqNum(789), which FIX 4.2 hasn't.
            reset_on_logon: version.is_fix42(),
            schedule: None,
            validation: ValidationConfig::default(),
        };
        let mut client = Self { wire, config, files: files.to_owned(), running: None };
        client.start().await?;
        Ok(client)
    }

    /// Starts the engine with the numbers and messages in its files, and waits until it is logged on.
    pub async fn start(&mut self) -> Result<(), Error> {
        let (received_sender, received) = mpsc::unbounded_channel();
        let (status_sender, status) = watch::channel(Status::Disconnected);
        let desk = Desk { received: received_sender, status: status_sender };
        let store = FileStore::new(&self.files, &self.config.sender_comp_id)?;
        let engine = Initiator::start(self.config.clone(), desk, store).await?;
        self.running = Some(Running { engine, received, status });
        self.logged_on().await
    }

    /// Waits until the engine says that it is logged on and misses nothing.
    pub async fn logged_on(&mut self) -> Result<(), Error> {
        let status = &mut self.running()?.status;
        let active = timeout(PATIENCE, status.wait_for(|it| *it == Status::Active)).await;
        let active = active.map(|it| it.map(drop));
        active.map_err(|_| self.failure("is not logged on"))??;
        Ok(())
    }

    /// Logs out: the venue answers, and the engine is gone.
    pub async fn stop(&mut self) -> Result<(), Error> {
        let running = self.running.take().ok_or("it is not running")?;
        let place = self.wire.place();
        running.engine.session_handle().shutdown(false).await?;
        let gone = timeout(PATIENCE, running.engine.wait_for_shutdown()).await;
        gone.map_err(|_| self.failure("does not log out"))?;
        self.wire.see(place, From::Engine, &[(35, "5")]).await?;
        self.wire.see(place, From::Venue, &[(35, "5")]).await?;
        Ok(())
    }

    fn running(&mut self) -> Result<&mut Running, Error> {
        Ok(self.running.as_mut().ok_or("the engine is not started")?)
    }

    /// Sends a message through the engine, which numbers and keeps it.
    pub async fn send(
        &mut self,
        msg_type: &'static str,
        fields: &[(Field, &str)],
    ) -> Result<(), Error> {
        let fields = fields.iter().map(|(field, value)| (*field, (*value).to_owned())).collect();
        self.running()?.engine.send(Request { msg_type, fields }).await?;
        Ok(())
    }

    /// The next message that the engine passes on; its fields must be as wanted.
    pub async fn expect(&mut self, wanted: &[(Field, &str)]) -> Result<Message, Error> {
        let next = timeout(PATIENCE, self.running()?.received.recv()).await;
        let Ok(Some(message)) = next else {
            return Err(self.failure(&format!("got nothing, wanted {}", text(wanted))));
        };
        for (field, value) in wanted {
            let got = raw(&message, field);
            if got != Some(*value) {
                let name = field.name;
                let wrong = format!("{name} is {got:?}, wanted {value} of {}", text(wanted));
                return Err(self.failure(&wrong));
            }
        }
        Ok(message)
    }

    /// What went wrong, with what the wire saw last.
    pub fn failure(&self, what: &str) -> Error {
        let seen = self.wire.seen();
        let last = seen.iter().rev().take(8).rev();
        let last: String = last.map(|it| format!("\n    {:?}: {}", it.from, it.text)).collect();
        format!("{} {what}{last}", self.config.sender_comp_id).into()
    }

    /// Nobody may have refused a message of the other, and the engine has asked `resends` times for messages.
    pub fn audit(&self, resends: usize) -> Result<(), Error> {
        for from in [From::Engine, From::Venue] {
            for refusal in ["3", "j"] {
                if self.wire.tally(from, &[(35, refusal)]) > 0 {
                    return Err(self.failure(&format!("{from:?} has sent a {refusal}")));
                }
            }
        }
        let asked = self.wire.tally(From::Engine, &[(35, "2")]);
        if asked != resends {
            return Err(self.failure(&format!("asked {asked} times, not {resends}")));
        }
        Ok(())
    }
}

/// A field of header or body.
pub fn raw<'m>(message: &'m Message, field: Field) -> Option<&'m str> {
    let value = message.get_raw(field).or_else(|| message.header().get_raw(field))?;
    std::str::from_utf8(value).ok()
}

fn text(wanted: &[(Field, &str)]) -> String {
    let fields = wanted.iter().map(|(field, value)| format!("{}={value}", field.name));
    fields.collect::<Vec<_>>().join(" ")
}

/// What an ExecutionReport says of quantities: OrderQty, CumQty, LeavesQty, AvgPx.
#[derive(Debug, Clone, Copy)]
pub struct Quantities(pub &'static str, pub &'static str, pub &'static str, pub &'static str);

/// The fields of an ExecutionReport that tell where an order stands.
pub fn report<'v>(
    cl_ord_id: &'v str,
    exec_type: &'v str,
    ord_status: &'v str,
    Quantities(order_qty, cum_qty, leaves_qty, avg_px): Quantities,
) -> Vec<(Field, &'v str)> {
    vec![
        (fix44::MSG_TYPE, "8"),
        (fix44::CL_ORD_ID, cl_ord_id),
        (fix44::EXEC_TYPE, exec_type),
        (fix44::ORD_STATUS, ord_status),
        (fix44::ORDER_QTY, order_qty),
        (fix44::CUM_QTY, cum_qty),
        (fix44::LEAVES_QTY, leaves_qty),
        (fix44::AVG_PX, avg_px),
    ]
}
