//! Memory of a Redis, from its answer to `INFO memory`.

/// The memory of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerMemory {
    /// Bytes in use.
    pub used: u64,
    /// Bytes from which it refuses data, or removes some; `None` for no limit.
    pub limit: Option<u64>,
    /// Its `maxmemory-policy`.
    pub policy: String,
}

impl BrokerMemory {
    /// The only policy under which nothing is removed that has not been read.
    pub const KEEPS_ALL: &str = "noeviction";

    /// Parses lines `name:value`; `None` if one is missing.
    pub(super) fn parse(info: &str) -> Option<Self> {
        let value = |name: &str| {
            let mut fields = info.lines().filter_map(|line| line.split_once(':'));
            fields.find_map(|(found, value)| (found == name).then(|| value.trim()))
        };
        let limit = value("maxmemory")?.parse().ok()?;
        Some(Self {
            used: value("used_memory")?.parse().ok()?,
            limit: (limit > 0).then_some(limit),
            policy: value("maxmemory_policy")?.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_matter_are_found() {
        let info = "# Memory\r\nused_memory:1048576\r\nused_memory_human:1.00M\r\n\
            maxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n";
        let policy = "allkeys-lru".to_owned();
        let expected = BrokerMemory { used: 1 << 20, limit: None, policy };
        assert_eq!(BrokerMemory::parse(info), Some(expected.clone()));
        let limited = info.replace("maxmemory:0", "maxmemory:5");
        let expected = BrokerMemory { limit: Some(5), ..expected };
        assert_eq!(BrokerMemory::parse(&limited), Some(expected));
        assert_eq!(BrokerMemory::parse("used_memory:5\r\n"), None);
    }
}
