//! A broker that speaks the Redis protocol (Redis or Valkey, version 6.2 or later).
//!
//! Keys of a run, all with the prefix `coordrl:{<run>}:`. The braces keep them on one node of a
//! cluster, so that scripts may touch several.
//!
//! | key | type | content |
//! |---|---|---|
//! | `epoch` | hash | number and holder of the epoch |
//! | `lease` | string | there while the learner's lease has not lapsed |
//! | `stop` | string | number of the epoch that is to end |
//! | `record` | hash | what actors must know of the run, and the epoch that wrote it |
//! | `learner` | string | the learner's description of itself |
//! | `newest` | hash | names of the newest weights and of those before |
//! | `weights:<epoch>:<version>` | string | weights |
//! | `read` | hash | actor → last batch that the learner has read |
//! | `members`, `seen` | hash | actor → about itself, time of its last attendance |
//! | `joined` | hash | actor → number of processes that had joined when it had; `count`: those so far |
//! | `places` | hash | place on the ladder → actor and time at which its lease lapses |
//! | `log:<actor>` | stream | batches; the entry of batch n has the identifier `n-0`, so that the broker refuses a number that it has had |

mod memory;
mod reply;

use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use redis::{Client, Cmd, Connection, ConnectionAddr, Script, Value, cmd};

pub use self::memory::BrokerMemory;
use self::reply::{Reply, broker_error};
use crate::broker::{
    Appended, Attendance, Attended, Broker, BrokerError, Claimed, Entry, Epoch, Member, ProcessId,
    Renewed, Standing, WeightsId,
};

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// Longest wait for an answer, beside the time for which a read may wait for batches.
const ANSWER: Duration = Duration::from_secs(10);
/// Field of a log's entries.
const FIELD: &str = "b";

macro_rules! scripts {
    ($($name:ident $file:literal),*) => {
        $(static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(include_str!(concat!("scripts/", $file, ".lua"))));)*
    };
}

scripts! {
    CLAIM "claim", RENEW "renew", RELEASE "release", RESET "reset", RECORD "record", PUBLISH_RECORD "publish_record", DESCRIBE "describe",
    PUBLISH_WEIGHTS "publish_weights", TRIM "trim", REPORT_READ "report_read", FORGET "forget", STOP "stop", ATTEND "attend", MEMBERS "members"
}

/// One run at a broker, over one connection that is made anew when it fails.
pub struct RedisBroker {
    client: Client,
    run: String,
    connection: Option<Connection>,
}

impl RedisBroker {
    /// Names a run at the broker of a URL such as `redis://user:password@host:6379/0`, or `rediss://`
    /// with TLS. Connects with the first request.
    ///
    /// Certificates are checked against the system's authorities, or those in the file that the
    /// variable `SSL_CERT_FILE` names.
    ///
    /// # Errors
    /// [`BrokerError::Refused`] if the URL is none.
    pub fn new(url: &str, run: &str) -> Result<Self, BrokerError> {
        // Without effect if the program has chosen before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::open(url).map_err(|error| broker_error(&error))?;
        Ok(Self { client, run: run.to_owned(), connection: None })
    }

    /// Lists the runs at the broker of a URL that have a learner whose lease has not lapsed.
    ///
    /// # Errors
    /// If the broker does not answer or refuses.
    pub fn runs(url: &str) -> Result<Vec<String>, BrokerError> {
        let mut broker = Self::new(url, "")?;
        let mut runs = Vec::new();
        let mut cursor = "0".to_owned();
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(&cursor).arg("MATCH").arg("coordrl:{*}:lease").arg("COUNT").arg(1000);
            let mut answer = Reply(broker.query(&scan)?).list()?;
            cursor = answer.text()?;
            let mut keys = answer.next()?.list()?;
            while !keys.is_empty() {
                let key = keys.text()?;
                let run = key.strip_prefix("coordrl:{").and_then(|key| key.strip_suffix("}:lease"));
                runs.extend(run.map(str::to_owned));
            }
            if cursor == "0" {
                runs.sort();
                runs.dedup();
                return Ok(runs);
            }
        }
    }

    /// Returns the number of the run's epoch; `None` if there is no such run.
    ///
    /// # Errors
    /// If the broker does not answer or refuses.
    pub fn epoch(&mut self) -> Result<Option<u64>, BrokerError> {
        let key = self.key("epoch");
        let number = Reply(self.query(cmd("HGET").arg(key).arg("number"))?).maybe_bytes()?;
        let number = number.and_then(|text| String::from_utf8(text).ok()?.parse().ok());
        Ok(number)
    }

    /// Returns the broker's memory; `None` if the user may not ask for it.
    ///
    /// # Errors
    /// If the broker does not answer.
    pub fn memory(&mut self) -> Result<Option<BrokerMemory>, BrokerError> {
        match self.query(cmd("INFO").arg("memory")) {
            Ok(info) => {
                let info = Reply(info).maybe_bytes()?.unwrap_or_default();
                Ok(BrokerMemory::parse(&String::from_utf8_lossy(&info)))
            }
            Err(BrokerError::Refused(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns `true` if the run has a learner whose lease has not lapsed.
    ///
    /// # Errors
    /// If the broker does not answer or refuses.
    pub fn has_learner(&mut self) -> Result<bool, BrokerError> {
        let key = self.key("lease");
        Reply(self.query(cmd("EXISTS").arg(key))?).flag()
    }

    fn key(&self, name: &str) -> String {
        format!("coordrl:{{{}}}:{name}", self.run)
    }

    fn log_key(&self, actor: ProcessId) -> String {
        self.key(&format!("log:{actor}"))
    }

    /// Makes a request that is answered within `wait` and [`ANSWER`].
    fn request<T>(
        &mut self,
        wait: Duration,
        request: impl FnOnce(&mut Connection) -> redis::RedisResult<T>,
    ) -> Result<T, BrokerError> {
        // Taken out, so that a connection which fails is dropped: an answer that comes late must
        // not be read as that of a later request.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().map_err(|error| self.explain(broker_error(&error)))?,
        };
        let answered = connection
            .set_read_timeout(Some(ANSWER + wait))
            .and_then(|()| request(&mut connection));
        let keeps = match &answered {
            Ok(_) => true,
            Err(error) => !matches!(broker_error(error), BrokerError::NoAnswer(_)),
        };
        if keeps {
            self.connection = Some(connection);
        }
        answered.map_err(|error| broker_error(&error))
    }

    fn connect(&self) -> redis::RedisResult<Connection> {
        let connection = self.client.get_connection_with_timeout(CONNECT)?;
        connection.set_write_timeout(Some(ANSWER))?;
        Ok(connection)
    }

    /// Names the likeliest reason why nobody answers from the beginning.
    fn explain(&self, error: BrokerError) -> BrokerError {
        let with_tls =
            matches!(self.client.get_connection_info().addr(), ConnectionAddr::TcpTls { .. });
        match error {
            // If the connection is refused, nobody listens there.
            BrokerError::NoAnswer(reason) if with_tls && !reason.contains("refused") => {
                BrokerError::NoAnswer(format!("{reason}; does it speak TLS at this port?"))
            }
            BrokerError::NoAnswer(reason) if reason.contains("reset by peer") => {
                BrokerError::NoAnswer(format!("{reason}; if it speaks TLS, try rediss://"))
            }
            other => other,
        }
    }

    fn query(&mut self, command: &Cmd) -> Result<Value, BrokerError> {
        self.request(Duration::ZERO, |connection| command.query(connection))
    }

    /// Runs a script and returns its answer.
    fn run(
        &mut self,
        script: &Script,
        keys: &[String],
        arguments: &[&[u8]],
    ) -> Result<Reply, BrokerError> {
        let mut invocation = script.prepare_invoke();
        for key in keys {
            invocation.key(key);
        }
        for argument in arguments {
            invocation.arg(*argument);
        }
        let value =
            self.request(Duration::ZERO, |connection| invocation.invoke::<Value>(connection))?;
        Ok(Reply(value))
    }

    /// Runs a script that returns 1 if the learner holds the epoch.
    fn run_as_holder(
        &mut self,
        script: &Script,
        keys: &[String],
        arguments: &[&[u8]],
    ) -> Result<Standing, BrokerError> {
        let held = self.run(script, keys, arguments)?.flag()?;
        Ok(if held { Standing::Held } else { Standing::NotHeld })
    }
}

impl Broker for RedisBroker {
    fn claim(
        &mut self,
        learner: ProcessId,
        known: u64,
        lease: Duration,
    ) -> Result<Claimed, BrokerError> {
        let keys = [self.key("epoch"), self.key("lease")];
        let reply = self.run(&CLAIM, &keys, &[&id(learner), &text(known), &millis(lease)])?;
        let mut fields = reply.list()?;
        if fields.flag()? {
            return Ok(Claimed::Held(fields.number()?));
        }
        let by = Epoch { number: fields.number()?, holder: fields.process()? };
        Ok(Claimed::Taken { by, lapses_in: Duration::from_millis(fields.number()?) })
    }

    fn renew(
        &mut self,
        learner: ProcessId,
        held: u64,
        lease: Duration,
    ) -> Result<Renewed, BrokerError> {
        let keys = [self.key("epoch"), self.key("lease"), self.key("stop")];
        let reply = self.run(&RENEW, &keys, &[&id(learner), &text(held), &millis(lease)])?;
        let mut fields = reply.list()?;
        if fields.flag()? {
            return Ok(Renewed::Held { number: fields.number()?, stop: fields.flag()? });
        }
        Ok(Renewed::Lost(Epoch { number: fields.number()?, holder: fields.process()? }))
    }

    fn release(&mut self, learner: ProcessId) -> Result<Standing, BrokerError> {
        let keys = [self.key("epoch"), self.key("lease")];
        self.run_as_holder(&RELEASE, &keys, &[&id(learner)])
    }

    fn reset(&mut self, learner: ProcessId) -> Result<Standing, BrokerError> {
        let names = ["epoch", "members", "newest", "log:", "weights:", "record", "seen", "read"];
        let mut keys: Vec<String> = names.iter().map(|name| self.key(name)).collect();
        keys.extend(["places", "stop", "joined", "learner"].map(|name| self.key(name)));
        self.run_as_holder(&RESET, &keys, &[&id(learner)])
    }

    fn publish_record(
        &mut self,
        learner: ProcessId,
        record: &[u8],
    ) -> Result<Standing, BrokerError> {
        let keys = [self.key("epoch"), self.key("record")];
        self.run_as_holder(&PUBLISH_RECORD, &keys, &[&id(learner), record])
    }

    fn publish_weights(
        &mut self,
        learner: ProcessId,
        version: u64,
        weights: &[u8],
    ) -> Result<Standing, BrokerError> {
        let keys = [self.key("epoch"), self.key("newest"), self.key("weights:")];
        self.run_as_holder(&PUBLISH_WEIGHTS, &keys, &[&id(learner), &text(version), weights])
    }

    fn describe(&mut self, learner: ProcessId, about: &str) -> Result<Standing, BrokerError> {
        let keys = [self.key("epoch"), self.key("learner")];
        self.run_as_holder(&DESCRIBE, &keys, &[&id(learner), about.as_bytes()])
    }

    fn description(&mut self) -> Result<Option<String>, BrokerError> {
        let key = self.key("learner");
        let bytes = Reply(self.query(cmd("GET").arg(key))?).maybe_bytes()?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn trim(
        &mut self,
        learner: ProcessId,
        up_to: &[(ProcessId, u64)],
    ) -> Result<Standing, BrokerError> {
        let mut keys = vec![self.key("epoch")];
        keys.extend(up_to.iter().map(|(actor, _)| self.log_key(*actor)));
        let mut arguments = vec![id(learner)];
        arguments.extend(up_to.iter().map(|(_, seq)| text(seq + 1)));
        let arguments: Vec<&[u8]> = arguments.iter().map(Vec::as_slice).collect();
        self.run_as_holder(&TRIM, &keys, &arguments)
    }

    fn report_read(
        &mut self,
        learner: ProcessId,
        up_to: &[(ProcessId, u64)],
    ) -> Result<Standing, BrokerError> {
        let keys = [self.key("epoch"), self.key("read")];
        let mut arguments = vec![id(learner)];
        arguments.extend(up_to.iter().flat_map(|(actor, seq)| [id(*actor), text(seq)]));
        let arguments: Vec<&[u8]> = arguments.iter().map(Vec::as_slice).collect();
        self.run_as_holder(&REPORT_READ, &keys, &arguments)
    }

    fn forget(
        &mut self,
        learner: ProcessId,
        actors: &[ProcessId],
    ) -> Result<Option<Vec<ProcessId>>, BrokerError> {
        let names = ["epoch", "members", "seen", "read", "joined", "log:"];
        let keys: Vec<String> = names.iter().map(|name| self.key(name)).collect();
        let mut arguments = vec![id(learner)];
        arguments.extend(actors.iter().map(|actor| id(*actor)));
        let arguments: Vec<&[u8]> = arguments.iter().map(Vec::as_slice).collect();
        let reply = self.run(&FORGET, &keys, &arguments)?;
        if reply.is_nil() {
            return Ok(None);
        }
        let mut fields = reply.list()?;
        let mut forgotten = Vec::new();
        while !fields.is_empty() {
            forgotten.push(fields.process()?);
        }
        Ok(Some(forgotten))
    }

    fn members(&mut self) -> Result<Vec<Member>, BrokerError> {
        let keys = [self.key("members"), self.key("seen"), self.key("log:")];
        let mut fields = self.run(&MEMBERS, &keys, &[])?.list()?;
        let mut members = Vec::new();
        while !fields.is_empty() {
            members.push(Member {
                actor: fields.process()?,
                silent_for: Duration::from_millis(fields.number()?),
                log_len: fields.number()?,
                about: fields.text()?,
            });
        }
        members.sort_by_key(|member| member.actor);
        Ok(members)
    }

    fn read(
        &mut self,
        after: &[(ProcessId, u64)],
        most: usize,
        wait: Duration,
    ) -> Result<Vec<Entry>, BrokerError> {
        if after.is_empty() {
            thread::sleep(wait);
            return Ok(Vec::new());
        }

        let mut command = cmd("XREAD");
        command.arg("COUNT").arg(most);
        // 0 would wait for ever.
        if !wait.is_zero() {
            command.arg("BLOCK").arg(wait.as_millis().max(1) as u64);
        }
        command.arg("STREAMS");
        for (actor, _) in after {
            command.arg(self.log_key(*actor));
        }
        for (_, seq) in after {
            command.arg(format!("{seq}-0"));
        }

        let reply = self.request(wait, |connection| command.query::<Value>(connection))?;
        let mut entries = Vec::new();
        for mut log in Reply(reply).lists()? {
            let actor = log.process_of_key()?;
            for mut entry in log.lists()? {
                let seq = entry.seq()?;
                let mut fields = entry.next()?.list()?;
                fields.next()?; // its name
                entries.push(Entry { actor, seq, bytes: fields.bytes()? });
            }
        }
        entries.sort_by_key(|entry| (entry.actor, entry.seq));
        Ok(entries)
    }

    fn request_stop(&mut self, epoch: u64) -> Result<(), BrokerError> {
        let keys = [self.key("epoch"), self.key("stop")];
        self.run(&STOP, &keys, &[&text(epoch)]).map(drop)
    }

    fn record(&mut self) -> Result<Option<Vec<u8>>, BrokerError> {
        let keys = [self.key("epoch"), self.key("record")];
        self.run(&RECORD, &keys, &[])?.maybe_bytes()
    }

    fn attend(&mut self, attendance: &Attendance) -> Result<Option<Attended>, BrokerError> {
        let Attendance { actor, places, places_in_run, lease, about } = attendance;
        let names = ["epoch", "members", "seen", "places"];
        let mut keys: Vec<String> = names.iter().map(|name| self.key(name)).collect();
        keys.extend([self.log_key(*actor), self.key("newest"), self.key("stop")]);
        keys.extend(["read", "record", "joined"].map(|name| self.key(name)));
        let arguments: [&[u8]; 5] =
            [&id(*actor), &text(*places), &text(*places_in_run), &millis(*lease), about.as_bytes()];

        let reply = self.run(&ATTEND, &keys, &arguments)?;
        if reply.is_nil() {
            return Ok(None);
        }
        let mut fields = reply.list()?;
        let epoch = Epoch { number: fields.number()?, holder: fields.process()? };
        let joined = fields.number()?;
        let log_len = fields.number()?;
        let read = fields.number()?;
        let stop = fields.flag()?;
        let weights = match (fields.signed()?, fields.signed()?) {
            (-1, _) => None,
            (epoch, version) => Some(WeightsId { epoch: epoch as u64, version: version as u64 }),
        };
        let mut places = Vec::new();
        while !fields.is_empty() {
            places.push(fields.number()? as u32);
        }
        Ok(Some(Attended { epoch, joined, places, log_len, read, weights, stop }))
    }

    fn append(
        &mut self,
        actor: ProcessId,
        seq: u64,
        batch: &[u8],
    ) -> Result<Appended, BrokerError> {
        let mut command = cmd("XADD");
        command.arg(self.log_key(actor)).arg(format!("{seq}-0")).arg(FIELD).arg(batch);
        match self.query(&command) {
            Ok(_) => Ok(Appended::Added),
            Err(BrokerError::Refused(reason)) if reason.contains("equal or smaller") => {
                Ok(Appended::AlreadyThere)
            }
            Err(error) => Err(error),
        }
    }

    fn weights(&mut self, id: WeightsId) -> Result<Option<Vec<u8>>, BrokerError> {
        let WeightsId { epoch, version } = id;
        let key = self.key(&format!("weights:{epoch}:{version}"));
        Reply(self.query(cmd("GET").arg(key))?).maybe_bytes()
    }
}

fn id(process: ProcessId) -> Vec<u8> {
    text(process)
}

fn text(value: impl ToString) -> Vec<u8> {
    value.to_string().into_bytes()
}

fn millis(time: Duration) -> Vec<u8> {
    text(time.as_millis().max(1))
}
