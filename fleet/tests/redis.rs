//! The operations on a real Redis: what the reference in memory answers, it answers.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something fails")]

mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use coordrl_fleet::{
    Appended, Attendance, Broker, BrokerError, Claimed, Member, MemoryBroker, ProcessId,
    RedisBroker, Renewed, Standing, WeightsId,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use support::RedisServer;

/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);
const LEARNER: ProcessId = ProcessId(1);
const OTHER: ProcessId = ProcessId(2);
const ACTOR: ProcessId = ProcessId(0xfeed_0000_0000_0003);

/// One request, to any of the processes.
#[derive(Clone, Debug)]
enum Asked {
    Claim(ProcessId, u64, Duration),
    Renew(ProcessId, u64),
    Release(ProcessId),
    Reset(ProcessId),
    Record(ProcessId, u8),
    Describe(ProcessId, u8),
    Description,
    Weights(ProcessId, u64),
    Trim(ProcessId, u64, u64),
    ReportRead(ProcessId, u64, u64),
    Forget(ProcessId, ProcessId),
    Members,
    Read(u64, usize),
    Stop(u64),
    ReadRecord,
    Attend(ProcessId, u32),
    Append(ProcessId, u64, Vec<u8>),
    Fetch(WeightsId),
}

fn asked() -> impl Strategy<Value = Asked> {
    let who = || (1u64..4).prop_map(ProcessId);
    let lease = || prop_oneof![4 => Just(LONG), 1 => Just(Duration::from_millis(1))];
    prop_oneof![
        2 => (who(), 0u64..4, lease()).prop_map(|(p, n, lease)| Asked::Claim(p, n, lease)),
        2 => (who(), 0u64..6).prop_map(|(process, held)| Asked::Renew(process, held)),
        1 => who().prop_map(Asked::Release),
        1 => who().prop_map(Asked::Reset),
        4 => (who(), any::<u8>()).prop_map(|(process, byte)| Asked::Record(process, byte)),
        1 => (who(), any::<u8>()).prop_map(|(process, byte)| Asked::Describe(process, byte)),
        1 => Just(Asked::Description),
        3 => (who(), 0u64..5).prop_map(|(process, version)| Asked::Weights(process, version)),
        2 => (who(), 0u64..9, 0u64..9).prop_map(|(process, a, b)| Asked::Trim(process, a, b)),
        1 => (who(), 0u64..9, 0u64..9).prop_map(|(process, a, b)| Asked::ReportRead(process, a, b)),
        1 => (who(), who()).prop_map(|(process, actor)| Asked::Forget(process, actor)),
        1 => Just(Asked::Members),
        3 => (0u64..9, 1usize..4).prop_map(|(after, most)| Asked::Read(after, most)),
        1 => (0u64..6).prop_map(Asked::Stop),
        1 => Just(Asked::ReadRecord),
        3 => (who(), 0u32..4).prop_map(|(process, places)| Asked::Attend(process, places)),
        5 => (who(), 1u64..12, prop::collection::vec(any::<u8>(), 0..20))
            .prop_map(|(process, seq, bytes)| Asked::Append(process, seq, bytes)),
        2 => (1u64..6, 0u64..5)
            .prop_map(|(epoch, version)| Asked::Fetch(WeightsId { epoch, version })),
    ]
}

/// Makes a request and prints the answer, but for times.
fn answer(broker: &mut dyn Broker, asked: &Asked) -> String {
    let text = match asked {
        Asked::Claim(process, known, lease) => {
            let claimed = broker.claim(*process, *known, *lease);
            // So that a short lease has lapsed at both.
            if *lease < LONG {
                thread::sleep(Duration::from_millis(3));
            }
            match claimed {
                Ok(Claimed::Taken { by, .. }) => format!("taken by {by:?}"),
                other => format!("{other:?}"),
            }
        }
        Asked::Renew(process, held) => format!("{:?}", broker.renew(*process, *held, LONG)),
        Asked::Release(process) => format!("{:?}", broker.release(*process)),
        Asked::Reset(process) => format!("{:?}", broker.reset(*process)),
        Asked::Record(process, byte) => format!("{:?}", broker.publish_record(*process, &[*byte])),
        Asked::Describe(process, byte) => {
            format!("{:?}", broker.describe(*process, &byte.to_string()))
        }
        Asked::Description => format!("{:?}", broker.description()),
        Asked::Weights(process, version) => {
            format!("{:?}", broker.publish_weights(*process, *version, &[*version as u8; 9]))
        }
        Asked::Trim(process, a, b) => {
            format!("{:?}", broker.trim(*process, &[(ProcessId(1), *a), (ProcessId(2), *b)]))
        }
        Asked::ReportRead(process, a, b) => {
            let read = [(ProcessId(1), *a), (ProcessId(2), *b)];
            format!("{:?}", broker.report_read(*process, &read))
        }
        Asked::Forget(process, actor) => format!("{:?}", broker.forget(*process, &[*actor])),
        Asked::Members => {
            let members = broker.members().unwrap();
            let shown = members
                .iter()
                .map(|Member { actor, log_len, about, .. }| format!("{actor} {log_len} {about}"));
            shown.collect::<Vec<_>>().join(", ")
        }
        Asked::Read(after, most) => {
            let after = [1, 2, 3].map(|process| (ProcessId(process), *after));
            format!("{:?}", broker.read(&after, *most, Duration::ZERO))
        }
        Asked::Stop(epoch) => format!("{:?}", broker.request_stop(*epoch)),
        Asked::ReadRecord => format!("{:?}", broker.record()),
        Asked::Attend(actor, places) => {
            format!("{:?}", broker.attend(&attendance(*actor, *places)))
        }
        Asked::Append(actor, seq, bytes) => format!("{:?}", broker.append(*actor, *seq, bytes)),
        Asked::Fetch(id) => format!("{:?}", broker.weights(*id)),
    };
    format!("{asked:?}: {text}")
}

fn attendance(actor: ProcessId, places: u32) -> Attendance {
    Attendance { actor, places, places_in_run: 5, lease: LONG, about: format!("about {actor}") }
}

#[test]
fn it_answers_as_the_reference_does() {
    let Some(server) = RedisServer::start(&[]) else { return };
    let runs = AtomicU64::new(0);
    let config = Config { cases: 200, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&prop::collection::vec(asked(), 1..60), |all| {
            let run = runs.fetch_add(1, Ordering::Relaxed);
            let mut redis = RedisBroker::new(&server.url(), &format!("run {run}")).unwrap();
            let mut memory = MemoryBroker::default();
            for one in &all {
                let expected = answer(&mut memory, one);
                memory.advance(Duration::from_millis(3));
                prop_assert_eq!(answer(&mut redis, one), expected);
            }
            Ok(())
        })
        .unwrap();
}

/// Returns a run at a server, claimed by [`LEARNER`].
fn claimed_run(server: &RedisServer) -> RedisBroker {
    let mut broker = RedisBroker::new(&server.url(), "pong").unwrap();
    assert_eq!(broker.claim(LEARNER, 0, LONG), Ok(Claimed::Held(1)));
    assert_eq!(broker.publish_record(LEARNER, b"record"), Ok(Standing::Held));
    broker
}

#[test]
fn a_lapsed_lease_can_be_taken_over_and_the_late_learner_is_refused() {
    let Some(server) = RedisServer::start(&[]) else { return };
    let mut broker = RedisBroker::new(&server.url(), "pong").unwrap();
    let lease = Duration::from_millis(300);
    broker.claim(LEARNER, 0, lease).unwrap();
    let Ok(Claimed::Taken { by, lapses_in }) = broker.claim(OTHER, 0, lease) else { panic!() };
    assert!(by.holder == LEARNER && by.number == 1 && lapses_in <= lease, "{by:?}, {lapses_in:?}");

    thread::sleep(lease);
    // Nobody took over: it goes on.
    assert_eq!(broker.renew(LEARNER, 1, lease), Ok(Renewed::Held { number: 1, stop: false }));
    thread::sleep(lease + Duration::from_millis(50));
    assert_eq!(broker.claim(OTHER, 0, lease), Ok(Claimed::Held(2)));
    assert_eq!(broker.publish_weights(LEARNER, 9, b"late"), Ok(Standing::NotHeld));
    assert!(matches!(broker.renew(LEARNER, 1, lease), Ok(Renewed::Lost(by)) if by.number == 2));
}

#[test]
fn a_place_on_the_ladder_is_free_again_when_its_lease_has_lapsed() {
    let Some(server) = RedisServer::start(&[]) else { return };
    let mut broker = claimed_run(&server);
    let lease = Duration::from_millis(300);
    let mut places = |actor, places, lease| {
        let attendance = Attendance { lease, ..attendance(ProcessId(actor), places) };
        broker.attend(&attendance).unwrap().unwrap().places
    };
    assert_eq!(places(1, 3, lease), [0, 1, 2]);
    assert_eq!(places(2, 3, LONG), [3, 4]);
    assert_eq!(places(1, 3, lease), [0, 1, 2]);
    thread::sleep(lease + Duration::from_millis(50));
    assert_eq!(places(2, 3, LONG), [0, 3, 4]);
    assert_eq!(places(1, 3, lease), [1, 2]);
}

#[test]
fn a_server_that_is_killed_is_reached_again_and_filled_again() {
    let Some(mut server) = RedisServer::start(&[]) else { return };
    let mut broker = claimed_run(&server);
    broker.append(ACTOR, 1, b"one").unwrap();

    server.restart();
    // The connection is gone; which request notices is the system's business.
    let mut renewed = broker.renew(LEARNER, 1, LONG);
    if let Err(BrokerError::NoAnswer(_)) = renewed {
        renewed = broker.renew(LEARNER, 1, LONG);
    }
    assert_eq!(renewed, Ok(Renewed::Held { number: 2, stop: false }));
    assert_eq!(broker.read(&[(ACTOR, 0)], 9, Duration::ZERO), Ok(vec![]));
    assert_eq!(broker.append(ACTOR, 2, b"two"), Ok(Appended::Added));
}

#[test]
fn a_read_waits_for_a_batch_and_not_longer() {
    let Some(server) = RedisServer::start(&[]) else { return };
    let mut broker = claimed_run(&server);
    let wait = Duration::from_millis(200);
    let since = Instant::now();
    assert_eq!(broker.read(&[(ACTOR, 0)], 9, wait), Ok(vec![]));
    assert!(since.elapsed() >= wait);

    let url = server.url();
    let writer = thread::spawn(move || {
        thread::sleep(wait);
        RedisBroker::new(&url, "pong").unwrap().append(ACTOR, 1, b"one")
    });
    let entries = broker.read(&[(ACTOR, 0)], 9, Duration::from_secs(60)).unwrap();
    assert_eq!((entries.len(), entries[0].seq, &entries[0].bytes[..]), (1, 1, &b"one"[..]));
    writer.join().unwrap().unwrap();
}

#[test]
fn a_server_whose_memory_is_full_refuses_batches_and_keeps_the_rest() {
    let Some(server) = RedisServer::start(&["--maxmemory", "3mb"]) else { return };
    let mut broker = claimed_run(&server);
    // Bytes that do not compress: the server compresses nothing anyway.
    let batch = vec![7; 100_000];
    let full = (1..100).find_map(|seq| broker.append(ACTOR, seq, &batch).err());
    assert!(
        matches!(&full, Some(BrokerError::Full(reason)) if reason.contains("maxmemory")),
        "{full:?}"
    );

    // Everything that frees memory, or tells others how things are, goes on.
    assert_eq!(broker.renew(LEARNER, 1, LONG), Ok(Renewed::Held { number: 1, stop: false }));
    assert_eq!(broker.report_read(LEARNER, &[(ACTOR, 3)]), Ok(Standing::Held));
    assert_eq!(broker.publish_record(LEARNER, b"record"), Ok(Standing::Held));
    assert_eq!(broker.attend(&attendance(ACTOR, 1)).unwrap().unwrap().read, 3);
    broker.release(LEARNER).unwrap();
    assert_eq!(broker.claim(OTHER, 0, LONG), Ok(Claimed::Held(2)));
    broker.release(OTHER).unwrap();
    assert_eq!(broker.claim(LEARNER, 0, LONG), Ok(Claimed::Held(3)));
    assert_eq!(broker.trim(LEARNER, &[(ACTOR, 50)]), Ok(Standing::Held));
    assert_eq!(broker.append(ACTOR, 100, &batch), Ok(Appended::Added));
}

#[test]
fn what_will_not_get_better_is_refused() {
    let Some(server) = RedisServer::start(&["--requirepass", "secret"]) else { return };
    let refused = |url: &str| {
        let mut broker = RedisBroker::new(url, "pong")?;
        broker.record().map(drop)
    };
    let with = |password: &str| server.url().replace("//", &format!("//:{password}@"));
    assert_eq!(refused(&with("secret")), Ok(()));
    for url in [&server.url(), &with("wrong"), "http://127.0.0.1", "redis://"] {
        let error = refused(url).unwrap_err();
        assert!(matches!(error, BrokerError::Refused(_)), "{url}: {error:?}");
        assert!(!error.to_string().contains("wrong"), "it prints the password: {error}");
    }

    let nobody = refused("redis://127.0.0.1:1/0").unwrap_err();
    assert!(matches!(nobody, BrokerError::NoAnswer(_)), "{nobody:?}");
}

#[test]
fn keys_of_another_program_are_refused() {
    let Some(server) = RedisServer::start(&[]) else { return };
    let mut broker = claimed_run(&server);
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_connection().unwrap();
    let key = format!("coordrl:{{pong}}:log:{ACTOR}");
    redis::cmd("SET").arg(key).arg("text").exec(&mut connection).unwrap();
    let error = broker.append(ACTOR, 1, b"one").unwrap_err();
    assert!(matches!(error, BrokerError::Refused(_)), "{error:?}");
}
