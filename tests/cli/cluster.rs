//! A run over several processes, each with a network of its own to the broker.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use coordrl_fleet::Ledger;
use serde::Deserialize;
use serde_bytes::ByteBuf;
use serde_json::Value;

use crate::proxy::Proxy;
use crate::redis::RedisServer;
use crate::support::{Background, Ended, Sandbox, checkpoints, send_signal};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(120);
/// Folder of the run.
const RUN: &str = "runs/catch/apex-conv/a";
/// Arguments of an actor process.
const ACTOR: &[&str] = &["actor", "--actors=1"];

/// Learner, actor processes and broker of one run. All are killed when it is dropped.
pub struct Cluster {
    learner: Node,
    actors: Vec<Node>,
    server: RedisServer,
    sandbox: Sandbox,
    /// Number of processes started anew.
    started: u32,
}

/// A process, and its network.
struct Node {
    name: String,
    process: Background,
    proxy: Proxy,
}

/// One of the processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Learner,
    Broker,
    Actor(usize),
}

/// State of training, as the learner logged it last.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub frames: u64,
    /// Batches of the actor processes that are in the replay.
    pub batches: u64,
}

/// Remains of a run that has ended.
pub struct Remains {
    /// The last checkpoint's account of the actors' batches.
    pub ledger: Ledger,
    /// Of each actor that was alive at the end, its name and the number of batches it sent.
    pub sent: BTreeMap<String, u64>,
    /// Lines of `metrics.jsonl`.
    pub points: Vec<Value>,
}

impl Cluster {
    /// Starts a broker with these options, a learner that trains `catch` with these settings, and
    /// actors. Returns `None` where no broker is installed.
    pub fn start(broker: &[&str], settings: &[&str], actors: usize) -> Option<Self> {
        let server = RedisServer::start(broker)?;
        let sandbox = Sandbox::new();
        let node = |name: &str, arguments: &[&str]| {
            let proxy = Proxy::to(server.port());
            let process = start(&sandbox, name, &proxy, arguments);
            Node { name: name.to_owned(), process, proxy }
        };
        let fixed = ["train", "catch", "--algo=apex", "--device=cpu", "--name=a"];
        let learner = node("Learner", &[&fixed, settings].concat());
        let actors = (0..actors).map(|index| node(&format!("Actor({index})"), ACTOR)).collect();
        let mut cluster = Self { learner, actors, server, sandbox, started: 0 };
        cluster.wait_until_ready();
        Some(cluster)
    }

    /// Kills a process without warning and starts another like it after a pause.
    pub fn kill(&mut self, who: Who, pause: Duration) {
        let Some(node) = self.node(who) else {
            self.server.stop();
            thread::sleep(pause);
            return self.server.restart();
        };
        node.process.kill();
        thread::sleep(pause);
        self.start_again(who);
    }

    fn start_again(&mut self, who: Who) {
        self.started += 1;
        let name = format!("{who:?}-{}", self.started);
        let arguments: &[&str] =
            if who == Who::Learner { &["train", "--resume", RUN] } else { ACTOR };
        let process = start(&self.sandbox, &name, self.networks(who)[0], arguments);
        if let Some(node) = self.node(who) {
            (node.name, node.process) = (name, process);
        }
        self.wait_until_ready();
    }

    /// Stops a process for some time.
    pub fn freeze(&self, who: Who, pause: Duration) {
        let send = |signal| match who {
            Who::Broker => send_signal(self.server.process(), signal),
            Who::Learner => self.learner.process.signal(signal),
            Who::Actor(index) => self.actors[index].process.signal(signal),
        };
        send("STOP");
        thread::sleep(pause);
        send("CONT");
    }

    /// Returns the networks between the broker and a process, or all of them.
    pub fn networks(&self, who: Who) -> Vec<&Proxy> {
        match who {
            Who::Broker => self.nodes().map(|node| &node.proxy).collect(),
            Who::Learner => vec![&self.learner.proxy],
            Who::Actor(index) => vec![&self.actors[index].proxy],
        }
    }

    /// Returns what the learner has logged last.
    pub fn counts(&self) -> Counts {
        let path = self.run().join("metrics.jsonl");
        let text = fs::read_to_string(path).unwrap_or_default();
        let last = |tag: &str| {
            let points = text.lines().rev().filter_map(|line| serde_json::from_str(line).ok());
            points.into_iter().find_map(|point: Value| point[tag].as_f64()).unwrap_or_default()
        };
        Counts { frames: last("frames") as u64, batches: last("actors/remote_batches") as u64 }
    }

    /// Waits until the learner has trained on, also on batches of the actor processes.
    pub fn wait_for_progress(&mut self, before: Counts) {
        self.wait("training goes on", |cluster| {
            let Counts { frames, batches } = cluster.counts();
            frames >= before.frames + 400 && batches >= before.batches + 10
        });
    }

    /// Waits until so many frames are trained, however long it takes.
    pub fn wait_for_frames(&mut self, frames: u64) {
        while self.counts().frames < frames {
            let before = self.counts();
            self.wait("training goes on", |cluster| cluster.counts().frames > before.frames);
        }
    }

    /// Waits until every actor process has sent more.
    pub fn wait_for_every_actor(&mut self) {
        let before = self.frames_of_actors();
        self.wait("every actor acts", |cluster| {
            let now = cluster.frames_of_actors();
            let has_acted = |node: &Node| {
                let name = node.id().unwrap();
                now.get(&name) > before.get(&name)
            };
            cluster.actors.iter().all(has_acted)
        });
    }

    /// Stops the run by command; all processes end by themselves.
    pub fn stop(mut self) -> Remains {
        let url = self.server.url();
        let stopped = self.sandbox.run(&["fleet", "stop", "--link", &url]);
        assert_eq!(stopped.code, Some(0), "{stopped:?}");
        self.end(130)
    }

    /// Waits until the run has reached its end.
    pub fn finish(mut self) -> Remains {
        self.end(0)
    }

    /// Waits until the learner has ended with this exit code, and all actors with 0.
    fn end(&mut self, code: i32) -> Remains {
        let learned = self.learner.end();
        assert_eq!(learned.code, Some(code), "{learned:?}");
        let mut sent = BTreeMap::new();
        for actor in &mut self.actors {
            let ended = actor.end();
            assert_eq!(ended.code, Some(0), "{}: {ended:?}", actor.name);
            sent.insert(actor.id().unwrap(), batches_sent(&ended.stdout));
        }

        let run = self.run();
        let points = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
        let points = points.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        Remains { ledger: ledger(checkpoints(&run).last().unwrap()), sent, points }
    }

    fn run(&self) -> PathBuf {
        self.sandbox.path().join(RUN)
    }

    fn nodes(&self) -> impl Iterator<Item = &Node> {
        std::iter::once(&self.learner).chain(&self.actors)
    }

    /// Returns a process that has a network of its own.
    fn node(&mut self, who: Who) -> Option<&mut Node> {
        match who {
            Who::Broker => None,
            Who::Learner => Some(&mut self.learner),
            Who::Actor(index) => Some(&mut self.actors[index]),
        }
    }

    /// Waits until the learner holds the run and all actors have found it. Until then, a fault would
    /// rightly end them.
    fn wait_until_ready(&mut self) {
        self.wait("all have found the run", |cluster| {
            cluster.learner.process.stderr().contains("learner of `")
                && cluster.actors.iter().all(|actor| actor.id().is_some())
        });
    }

    fn wait(&mut self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let since = Instant::now();
        while !is_so(self) {
            for Node { name, process, .. } in self.actors.iter_mut().chain([&mut self.learner]) {
                assert!(!process.has_ended(), "{name} has ended: {}", process.stderr());
            }
            assert!(since.elapsed() < PATIENCE, "{what}: not after {PATIENCE:?}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Returns the frames that each actor process has sent, by its name at the broker.
    fn frames_of_actors(&self) -> BTreeMap<String, u64> {
        let shown = self.sandbox.run(&["fleet", "show", "--json", "--link", &self.server.url()]);
        assert_eq!(shown.code, Some(0), "{shown:?}");
        let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
        let actors = shown["actors"].as_array().unwrap().iter();
        let frames = |actor: &Value| {
            let name = actor["process"].as_str().unwrap().to_owned();
            (name, actor["frames"].as_u64().unwrap_or_default())
        };
        actors.map(frames).collect()
    }
}

impl Drop for Cluster {
    /// Shows what the processes said last, if the test fails.
    #[allow(clippy::print_stderr, reason = "it explains a failure")]
    fn drop(&mut self) {
        if !thread::panicking() {
            return;
        }
        for Node { name, process, .. } in self.nodes() {
            let said = process.stderr();
            let lines: Vec<&str> = said.lines().collect();
            let last = &lines[lines.len().saturating_sub(20)..];
            eprintln!("{name}:\n  {}", last.join("\n  "));
        }
    }
}

impl Node {
    /// Returns an actor's name at the broker, once it has found the run.
    fn id(&self) -> Option<String> {
        let said = self.process.stderr();
        let (_, rest) = said.split_once("process ")?;
        rest.split_once(" of `").map(|(id, _)| id.to_owned())
    }

    fn end(&mut self) -> Ended {
        let since = Instant::now();
        while !self.process.has_ended() {
            assert!(since.elapsed() < PATIENCE, "{} has not ended", self.name);
            thread::sleep(Duration::from_millis(50));
        }
        self.process.ended()
    }
}

/// Starts a process that reaches the broker over this network.
fn start(sandbox: &Sandbox, name: &str, network: &Proxy, arguments: &[&str]) -> Background {
    let url = format!("redis://127.0.0.1:{}/0", network.port());
    sandbox.start(name, &[arguments, &["--link", &url]].concat())
}

/// Reads the number of batches in an actor's last words.
fn batches_sent(stdout: &str) -> u64 {
    let words: Vec<&str> = stdout.split_whitespace().collect();
    let batches = words.iter().position(|word| word.starts_with("batches")).unwrap();
    words[batches - 1].parse().unwrap()
}

/// Reads the ledger in a checkpoint.
fn ledger(checkpoint: &Path) -> Ledger {
    #[derive(Deserialize)]
    struct Versioned {
        content: ByteBuf,
    }
    #[derive(Deserialize)]
    struct Trainer {
        fleet: Fleet,
    }
    #[derive(Deserialize)]
    struct Fleet {
        ledger: Ledger,
    }

    let bytes = fs::read(checkpoint.join("trainer.bin")).unwrap();
    let Versioned { content } = rmp_serde::from_slice(&bytes).unwrap();
    let Trainer { fleet } = rmp_serde::from_slice(&content).unwrap();
    fleet.ledger
}
