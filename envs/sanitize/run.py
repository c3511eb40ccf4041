"""Runs emulators side by side under GCC's or Clang's sanitizers; see README.md.

Builds ALE, the shim, cxx's C++ half and zlib with a sanitizer, then runs the driver:

thread             with many threads, then with one: no report, equal digests
address,undefined  the same, then with fresh memory filled with two other bytes: no report, equal
                   digests, so that nothing read before it is written decides anything

The exit status is 1 if a sanitizer reports anything, a comparison fails or digests differ.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVS = HERE.parent
WORKSPACE = ENVS.parent
# As in xtask/src/libale.rs. One folder too few shows when linking.
ALE_FOLDERS = ("common", "emucore", "environment", "games", "games/supported")
UNSUPPORTED = {"combat", "joust", "maze_craze", "warlords"}
GAMES = (
    "pong", "breakout", "qbert", "tetris", "tic_tac_toe_3d", "yars_revenge",
    "pitfall", "montezuma_revenge", "seaquest", "ms_pacman", "backgammon", "video_checkers",
)  # fmt: skip
SANITIZERS = ("thread", "address,undefined")
# One screen is 48 000 bytes; by default only the first 4 096 of an allocation are filled.
FILL = "max_malloc_fill_size=16777216:malloc_fill_byte={}"
OPTIONS = {
    "TSAN_OPTIONS": "halt_on_error=0:second_deadlock_stack=1:history_size=7:exitcode=66",
    "ASAN_OPTIONS": "halt_on_error=1:detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1:"
    "check_initialization_order=1:strict_init_order=1",
    "UBSAN_OPTIONS": f"print_stacktrace=1:halt_on_error=0:suppressions={HERE / 'known.supp'}",
}
REPORT = re.compile(r"WARNING: ThreadSanitizer|ERROR: \w+Sanitizer|runtime error:")


@dataclass
class Unit:
    source: Path
    flags: list


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    deps = os.environ.get("COORDRL_DEPS_DIR", WORKSPACE / ".deps")
    parser.add_argument("--deps", type=Path, default=Path(deps), help="what `cargo xtask setup` made")
    parser.add_argument("--build", type=Path, default=WORKSPACE / "target/sanitize", help="for object files")
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--cxx", default="c++")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="compilers at a time")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--sanitizers", nargs="+", choices=SANITIZERS, default=SANITIZERS)
    parser.add_argument("--games", nargs="+", default=GAMES, help="`all`: every game ALE supports")
    return parser.parse_args()


def crate_dir(name):
    host = re.search(r"host: (\S+)", subprocess.check_output(["rustc", "-vV"], text=True)).group(1)
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", host]
    metadata = json.loads(subprocess.check_output(command, cwd=WORKSPACE))
    [found] = [package for package in metadata["packages"] if package["name"] == name]
    return Path(found["manifest_path"]).parent


def make_headers(build, cxx):
    """The include folder that cxx-build lays out: `rust/cxx.h`, and this crate under its own name."""
    include = build / "include"
    for link, target in ((include / "rust/cxx.h", cxx / "include/cxx.h"), (include / "coordrl-envs", ENVS)):
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(target)
    return include


def units(deps, include):
    ale, cxx, zlib = deps / "ale/src/ale", crate_dir("cxx"), crate_dir("libz-sys") / "src/zlib"
    includes = [f"-I{path}" for path in (include, deps / "ale/src", deps / "ale/lib/include", zlib)]
    cpp = ["-std=c++17", "-DNDEBUG", "-w", *includes]
    for folder in (".", *ALE_FOLDERS):
        for source in sorted((ale / folder).glob("*.c[px][px]")):
            yield Unit(source, cpp)
    yield Unit(ENVS / "src/atari/shim.cpp", [*cpp, "-fno-access-control"])
    for source in (HERE / "driver.cpp", HERE / "rust_runtime.cpp"):
        yield Unit(source, ["-std=c++17", "-Wall", "-Wextra", "-D_GLIBCXX_ASSERTIONS", *includes])
    yield Unit(cxx / "src/cxx.cc", cpp)
    for source in sorted(zlib.glob("*.c")):
        yield Unit(source, ["-w", "-DSTDC", "-D_LARGEFILE64_SOURCE", "-DHAVE_UNISTD_H"])


def compile_unit(unit, build, arguments, common):
    target = build / (re.sub(r"[^\w.]+", "-", str(unit.source)) + ".o")
    newest = max(path.stat().st_mtime for path in (unit.source, ENVS / "src/atari/shim.hpp"))
    if not target.exists() or target.stat().st_mtime < newest:
        compiler = arguments.cc if unit.source.suffix == ".c" else arguments.cxx
        partial = target.with_suffix(".partial")
        subprocess.run([compiler, *common, *unit.flags, "-c", unit.source, "-o", partial], check=True)
        partial.rename(target)
    return target


def build_driver(sanitizer, arguments):
    build = (arguments.build / sanitizer.replace(",", "-")).resolve()
    build.mkdir(parents=True, exist_ok=True)
    include = make_headers(build, crate_dir("cxx"))
    common = ["-O1", "-g", "-fno-omit-frame-pointer", "-pthread", f"-fsanitize={sanitizer}"]
    todo = list(units(arguments.deps.resolve(), include))
    print(f"{sanitizer}: compiling {len(todo)} files", file=sys.stderr)
    with ThreadPoolExecutor(arguments.jobs) as pool:
        objects = list(pool.map(lambda unit: compile_unit(unit, build, arguments, common), todo))
    driver = build / "driver"
    subprocess.run([arguments.cxx, *common, *objects, "-o", driver, "-ldl"], check=True)
    return driver


def run_driver(driver, name, threads, arguments, extra=""):
    """What the driver printed, and whether all was well. Reports go to NAME.log beside the driver."""
    options = dict(OPTIONS)
    options["ASAN_OPTIONS"] += ":" + extra if extra else ""
    roms = arguments.deps / "ale/src/ale/python/roms"
    command = [driver, roms, str(threads), str(arguments.frames), *arguments.games]
    log = driver.parent / f"{name}.log"
    with log.open("w") as stderr:
        done = subprocess.run(command, env={**os.environ, **options}, stdout=subprocess.PIPE, stderr=stderr, text=True)
    failures = [line for line in done.stdout.splitlines() if len(line.split()) > 4]
    reports = [line for line in log.read_text().splitlines() if REPORT.search(line)]
    print(f"{driver.parent.name} {name}: exit status {done.returncode}, {len(reports)} reports ({log})")
    for line in sorted(set(failures + reports)):
        print(f"  {line}")
    return done.stdout, done.returncode == 0 and not reports


def check(sanitizer, arguments):
    driver = build_driver(sanitizer, arguments)
    runs = [("many", arguments.threads, ""), ("one", 1, "")]
    if "address" in sanitizer:
        runs += [(f"filled-{byte}", arguments.threads, FILL.format(byte)) for byte in (0, 255)]
    outcomes = [run_driver(driver, name, threads, arguments, extra) for name, threads, extra in runs]
    equal = len({printed for printed, _ in outcomes}) == 1
    print(f"{sanitizer}: digests {'equal' if equal else 'DIFFER'}")
    return equal and all(well for _, well in outcomes)


def main():
    arguments = parse_arguments()
    if list(arguments.games) == ["all"]:
        roms = (arguments.deps / "ale/src/ale/python/roms").glob("*.bin")
        arguments.games = sorted({rom.stem for rom in roms} - UNSUPPORTED)
    outcomes = [check(sanitizer, arguments) for sanitizer in arguments.sanitizers]
    sys.exit(0 if all(outcomes) else 1)


if __name__ == "__main__":
    main()
