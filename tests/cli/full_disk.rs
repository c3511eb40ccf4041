//! Training on a disk that is really full: a small file system of its own.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{Ended, Sandbox, assert_same_run};

/// Size of the disk. A checkpoint of this network takes about 0.9 MB: the second one does not fit.
const DISK: &str = "1500k";

/// Runs a shell script where file systems can be mounted without side effects: in its own mount
/// namespace, as root or as root of a user namespace. `None` if the system allows neither.
fn in_mount_namespace(script: &str) -> Option<Ended> {
    for flags in ["-m", "-rm"] {
        let can =
            Command::new("unshare").args([flags, "sh", "-c", "mount -t tmpfs tmpfs /mnt"]).output();
        if can.is_ok_and(|output| output.status.success()) {
            let output =
                Command::new("unshare").args([flags, "sh", "-c", script]).output().unwrap();
            return Some(Ended::from(output));
        }
    }
    None
}

/// Trains on a full disk (or, where none can be mounted, against the kernel's file-size limit) and
/// leaves the run in `runs` of the sandbox.
fn train_until_full(sandbox: &Sandbox) -> Ended {
    let program = env!("CARGO_BIN_EXE_coordrl");
    let arguments =
        sandbox.train_arguments("a", &["--runs-dir", "disk/runs", "--frames", "4000"]).join(" ");
    let folder = sandbox.path().display();
    fs::create_dir(sandbox.path().join("disk")).unwrap();
    let script = format!(
        "cd {folder} && mount -t tmpfs -o size={DISK} tmpfs disk && {program} {arguments}; code=$?; \
         cp -r disk/runs runs && exit $code"
    );
    in_mount_namespace(&script).unwrap_or_else(|| {
        sandbox.train("a", &["--frames", "500"]);
        let run = sandbox.run_path("a");
        let script = format!(
            "trap '' XFSZ; ulimit -f 200; {program} train --resume {} --frames 4000",
            run.display()
        );
        Ended::from(Command::new("sh").args(["-c", &script]).output().unwrap())
    })
}

#[test]
fn a_full_disk_ends_the_run_with_its_cause_and_the_last_checkpoint_whole() {
    let sandbox = Sandbox::new();
    train_until_full(&sandbox)
        .expect_refusal(5, &["cannot write", "earlier checkpoints are untouched"]);
    let run = sandbox.run_path("a");
    assert!(!half_written(&run.join("checkpoints")), "a half-written checkpoint was left behind");
    let ended = sandbox.run(&["train", "--resume", run.to_str().unwrap(), "--frames", "4000"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let whole = sandbox.train("whole", &["--frames", "4000"]);
    assert_same_run(&whole, &run);
}

fn half_written(checkpoints: &Path) -> bool {
    fs::read_dir(checkpoints)
        .unwrap()
        .any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with('.'))
}
