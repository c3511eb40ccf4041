//! Answers of the broker, taken apart. One of another form is refused, never guessed at.

use std::vec::IntoIter;

use redis::{ErrorKind, RedisError, ServerErrorKind, Value};

use crate::broker::{BrokerError, ProcessId};

/// An answer.
#[derive(Debug)]
pub(super) struct Reply(pub Value);

/// The elements of an answer, taken from the front.
#[derive(Debug)]
pub(super) struct Fields(IntoIter<Value>);

impl Reply {
    pub fn is_nil(&self) -> bool {
        self.0 == Value::Nil
    }

    pub fn signed(self) -> Result<i64, BrokerError> {
        match self.0 {
            Value::Int(number) => Ok(number),
            _ => Err(other_form("a number")),
        }
    }

    pub fn number(self) -> Result<u64, BrokerError> {
        u64::try_from(self.signed()?).map_err(|_| other_form("a number of 0 or more"))
    }

    /// Reads 1 as yes.
    pub fn flag(self) -> Result<bool, BrokerError> {
        Ok(self.signed()? == 1)
    }

    pub fn list(self) -> Result<Fields, BrokerError> {
        match self.0 {
            Value::Array(fields) => Ok(Fields(fields.into_iter())),
            _ => Err(other_form("a list")),
        }
    }

    /// Returns the elements of a list of lists; of nothing, none.
    pub fn lists(self) -> Result<Vec<Fields>, BrokerError> {
        match self.0 {
            Value::Nil => Ok(Vec::new()),
            Value::Array(lists) => lists.into_iter().map(|list| Self(list).list()).collect(),
            _ => Err(other_form("a list of lists")),
        }
    }

    pub fn maybe_bytes(self) -> Result<Option<Vec<u8>>, BrokerError> {
        match self.0 {
            Value::Nil => Ok(None),
            Value::BulkString(bytes) => Ok(Some(bytes)),
            _ => Err(other_form("bytes")),
        }
    }
}

impl Fields {
    pub fn is_empty(&self) -> bool {
        self.0.as_slice().is_empty()
    }

    pub fn next(&mut self) -> Result<Reply, BrokerError> {
        self.0.next().map(Reply).ok_or_else(|| other_form("one more element"))
    }

    pub fn number(&mut self) -> Result<u64, BrokerError> {
        self.next()?.number()
    }

    pub fn signed(&mut self) -> Result<i64, BrokerError> {
        self.next()?.signed()
    }

    pub fn flag(&mut self) -> Result<bool, BrokerError> {
        self.next()?.flag()
    }

    pub fn lists(&mut self) -> Result<Vec<Self>, BrokerError> {
        self.next()?.lists()
    }

    pub fn bytes(&mut self) -> Result<Vec<u8>, BrokerError> {
        self.next()?.maybe_bytes()?.ok_or_else(|| other_form("bytes"))
    }

    pub fn text(&mut self) -> Result<String, BrokerError> {
        String::from_utf8(self.bytes()?).map_err(|_| other_form("text"))
    }

    pub fn process(&mut self) -> Result<ProcessId, BrokerError> {
        process(&self.text()?)
    }

    /// Reads the process at the end of a log's key.
    pub fn process_of_key(&mut self) -> Result<ProcessId, BrokerError> {
        let key = self.text()?;
        process(key.rsplit(':').next().unwrap_or_default())
    }

    /// Reads the number of a log's entry.
    pub fn seq(&mut self) -> Result<u64, BrokerError> {
        let text = self.text()?;
        let seq = text.strip_suffix("-0").and_then(|seq| seq.parse().ok());
        seq.ok_or_else(|| other_form("the identifier of a batch"))
    }
}

fn process(text: &str) -> Result<ProcessId, BrokerError> {
    let number = u64::from_str_radix(text, 16).map_err(|_| other_form("the name of a process"))?;
    Ok(ProcessId(number))
}

fn other_form(expected: &str) -> BrokerError {
    let reason = format!("its answer is not {expected}; does another program use these keys?");
    BrokerError::Refused(reason)
}

/// Words of rustls for a certificate that it does not accept.
const BAD_CERTIFICATE: &str = "invalid peer certificate";
/// Its reason if it does not know who signed it.
const UNKNOWN_AUTHORITY: &str = "UnknownIssuer";

/// Sorts errors by what can be done about them.
pub(super) fn broker_error(error: &RedisError) -> BrokerError {
    if error.is_timeout() {
        return BrokerError::NoAnswer("it takes too long".to_owned());
    }
    let reason = error.to_string();
    if reason.contains(BAD_CERTIFICATE) {
        let hint = "; name the file of its authority in `SSL_CERT_FILE`";
        let hint = if reason.contains(UNKNOWN_AUTHORITY) { hint } else { "" };
        return BrokerError::Refused(format!("{reason}{hint}"));
    }
    match error.kind() {
        ErrorKind::Server(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ReadOnly,
        ) => BrokerError::NoAnswer(reason),
        ErrorKind::Io => BrokerError::NoAnswer(reason),
        // A disk that was full for a moment, a script of somebody else, a replica that is away.
        _ if matches!(
            error.code(),
            Some("MISCONF" | "BUSY" | "UNBLOCKED" | "NOREPLICAS" | "LOADING")
        ) =>
        {
            BrokerError::NoAnswer(reason)
        }
        // Version 6.2 wraps the error of a command within a script.
        _ if error.code() == Some("OOM") || reason.contains("-OOM ") => BrokerError::Full(reason),
        _ => BrokerError::Refused(reason),
    }
}
