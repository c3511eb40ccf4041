//! Compiles ALE into one static library, `.deps/ale/lib/libale.a`, as its own CMake files do for a
//! release without Python and SDL, but with nothing more than a C++ compiler. Object files are kept
//! until the library is finished, so an interrupted build resumes.

use crate::ale_patches::{self, PATCHES, fingerprint, label_instructions};
use crate::layout::Layout;
use crate::{ale, stamp, talk, unpack};
use anyhow::{Context, Result, anyhow, bail};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Source folders that make up the library; each is flat.
const FOLDERS: [&str; 5] = ["common", "emucore", "environment", "games", "games/supported"];
/// Identifies the compiler settings: libraries built with others are rebuilt, as are those with
/// other [`PATCHES`].
const RECIPE: &str = "c++17 O3 NDEBUG pic no-gcse, zlib from libz-sys";

pub fn is_ready(layout: &Layout) -> bool {
    [layout.ale_library(), layout.ale_headers().join("version.hpp")]
        .iter()
        .all(|file| file.exists())
        && stamp::covers(&layout.ale_library_dir(), &stamp_lines())
}

/// Compiles whatever is not compiled yet.
pub fn ensure(layout: &Layout) -> Result<()> {
    ensure_with(layout, PATCHES)
}

fn ensure_with(layout: &Layout, patches: &[&str]) -> Result<()> {
    if is_ready(layout) {
        return Ok(());
    }
    let build_dir = prepare_build_dir(layout)?;
    // First of all: headers that do not fit the library would be compiled into the wrapper.
    remove_library(layout)?;
    unpack::remove(&layout.ale_headers())?;
    ale::write_version_header(layout, &layout.ale_headers())?;
    ale_patches::apply(patches, &layout.ale_sources(), &layout.ale_changed_sources())?;
    label_instructions(&layout.ale_sources(), &layout.ale_changed_sources())?;
    let units = units(layout, &build_dir)?;
    let missing: Vec<&Unit> = units.iter().filter(|unit| !unit.object.exists()).collect();
    let workers = thread::available_parallelism().map_or(1, |count| count.get());
    talk::line(format!("compiling ALE: {} files on {workers} cores", missing.len()));
    compile_all(&missing, &recipe(layout, &build_dir), workers)?;
    archive(layout, &build_dir, &units)
}

/// One source file and its object file.
struct Unit {
    source: PathBuf,
    object: PathBuf,
}

fn stamp_lines() -> Vec<String> {
    let mut lines = ale::stamp_lines();
    lines.push(format!("recipe: {RECIPE}"));
    lines.push(format!("patches: {}", fingerprint()));
    lines
}

/// Returns the folder of the object files, emptied if their recipe differs.
fn prepare_build_dir(layout: &Layout) -> Result<PathBuf> {
    let dir = layout.ale_library_dir().join("objects");
    if !stamp::covers(&dir, &stamp_lines()) {
        unpack::remove(&dir)?;
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        stamp::write(&dir, &stamp_lines())?;
    }
    Ok(dir)
}

/// Removes the library, if there is one, so that the wrapper of the emulator cannot be built until
/// there is another.
fn remove_library(layout: &Layout) -> Result<()> {
    let library = layout.ale_library();
    match fs::remove_file(&library) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", library.display()))
        }
        _ => Ok(()),
    }
}

fn recipe(layout: &Layout, out_dir: &Path) -> cc::Build {
    let target = env!("XTASK_TARGET");
    let mut build = cc::Build::new();
    build
        .cpp(true)
        .std("c++17")
        .opt_level(3)
        .debug(false)
        .define("NDEBUG", None)
        .pic(true)
        // GCC's manual advises it for code that jumps to computed labels, as ALE's processor does
        // with our changes.
        .flag_if_supported("-fno-gcse")
        // The sources belong to ALE: nobody here could act on a warning.
        .warnings(false);
    build
        // Changed headers come before those they replace.
        .include(layout.ale_headers())
        .include(layout.ale().join("src"))
        .include(env!("XTASK_ZLIB_INCLUDE"));
    // Outside a build script `cc` finds neither target nor folder in the environment, and nobody
    // reads what it prints for cargo.
    build.cargo_metadata(false).cargo_warnings(false).target(target).host(target).out_dir(out_dir);
    build
}

fn units(layout: &Layout, build_dir: &Path) -> Result<Vec<Unit>> {
    let sources = layout.ale_sources();
    let mut files = vec![sources.join("ale_interface.cpp")];
    for folder in FOLDERS {
        let dir = sources.join(folder);
        for entry in fs::read_dir(&dir).with_context(|| format!("cannot read {}", dir.display()))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "cpp" || extension == "cxx") {
                files.push(path);
            }
        }
    }

    // Folders are listed in no particular order, but equal sources should give equal libraries.
    files.sort();
    let units = files.into_iter().map(|file| {
        let name = file.strip_prefix(&sources).unwrap_or(&file);
        let changed = layout.ale_changed_sources().join(name);
        let object = object_of(name, build_dir);
        Unit { source: if changed.exists() { changed } else { file }, object }
    });
    Ok(units.collect())
}

/// Path of the object file of the source file `name`, a path below ALE's sources.
fn object_of(name: &Path, build_dir: &Path) -> PathBuf {
    // The folder becomes part of the name, since all objects share one folder.
    build_dir.join(name.to_string_lossy().replace('/', "-") + ".o")
}

fn compile_all(units: &[&Unit], recipe: &cc::Build, workers: usize) -> Result<()> {
    let compiler = recipe.try_get_compiler().context("no C++ compiler")?;
    // Relaxed order is enough: the counters only hand out indices, and the end of the scope makes
    // everything else visible.
    let next = AtomicUsize::new(0);
    let done = AtomicUsize::new(0);
    let failure = Mutex::new(None);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(unit) = units.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = compile(unit, &compiler) {
                        // Exhaust the queue so that the other workers stop after their current
                        // file; report the first failure.
                        next.store(units.len(), Ordering::Relaxed);
                        failure
                            .lock()
                            .unwrap_or_else(|poisoned| poisoned.into_inner())
                            .get_or_insert(error);
                    }
                    report(done.fetch_add(1, Ordering::Relaxed) + 1, units.len());
                }
            });
        }
    });

    failure.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()).map_or(Ok(()), Err)
}

fn report(done: usize, count: usize) {
    if done.is_multiple_of(25) || done == count {
        talk::line(format!("  compiled {done} of {count}"));
    }
}

fn compile(unit: &Unit, compiler: &cc::Tool) -> Result<()> {
    let partial = unit.object.with_extension("partial");
    let mut command = compiler.to_command();
    command.arg("-c").arg(&unit.source).arg("-o").arg(&partial);
    let output =
        command.output().with_context(|| format!("cannot start {}", compiler.path().display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        bail!("cannot compile {} ({}):\n{said}", unit.source.display(), output.status);
    }

    // Renamed once complete, so an interrupted build never leaves a truncated object to be reused.
    fs::rename(&partial, &unit.object)
        .with_context(|| format!("cannot write {}", unit.object.display()))
}

fn archive(layout: &Layout, build_dir: &Path, units: &[Unit]) -> Result<()> {
    let mut recipe = recipe(layout, build_dir);
    recipe.objects(units.iter().map(|unit| &unit.object));
    recipe.try_compile("ale").map_err(|error| anyhow!("cannot make libale.a: {error}"))?;
    let made = build_dir.join("libale.a");
    let library = layout.ale_library();
    fs::rename(&made, &library).with_context(|| format!("cannot write {}", library.display()))?;
    // Objects go last: until the stamp is written, another attempt has only to archive them again.
    stamp::write(&layout.ale_library_dir(), &stamp_lines())?;
    unpack::remove(build_dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkout_with(code: &str) -> (tempfile::TempDir, Layout) {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(dir.path().to_path_buf());
        for folder in FOLDERS {
            fs::create_dir_all(layout.ale_sources().join(folder)).unwrap();
        }

        fs::write(
            layout.ale_sources().join("version.hpp.in"),
            "#define ALE_VERSION \"@ALE_VERSION@\"",
        )
        .unwrap();
        let code_of_version =
            "#include <version.hpp>\nconst char* version() { return ALE_VERSION; }";
        fs::write(layout.ale_sources().join("ale_interface.cpp"), code_of_version).unwrap();
        fs::write(layout.ale_sources().join("emucore/TIA.cxx"), code).unwrap();
        fs::write(layout.ale_sources().join("emucore/M6502Low.ins"), "").unwrap();
        (dir, layout)
    }

    #[test]
    fn a_library_is_made_once_and_the_objects_go() {
        let (_dir, layout) = checkout_with("#include <zlib.h>\nint tia() { return Z_OK; }");
        ensure_with(&layout, &[]).unwrap();
        assert!(is_ready(&layout));
        assert!(fs::read(layout.ale_library()).unwrap().starts_with(b"!<arch>\n"));
        assert!(!layout.ale_library_dir().join("objects").exists());
        let made = fs::metadata(layout.ale_library()).unwrap().modified().unwrap();
        ensure_with(&layout, &[]).unwrap();
        assert_eq!(fs::metadata(layout.ale_library()).unwrap().modified().unwrap(), made);
    }

    #[test]
    fn a_file_that_does_not_compile_is_named_and_finished_objects_serve_the_next_try() {
        let (_dir, layout) = checkout_with("this is not C++");
        let error = format!("{:#}", ensure_with(&layout, &[]).unwrap_err());
        assert!(error.contains("TIA.cxx"), "{error}");
        assert!(!is_ready(&layout));
        let kept = layout.ale_library_dir().join("objects/kept.o");
        fs::write(&kept, "").unwrap();
        fs::write(layout.ale_sources().join("emucore/TIA.cxx"), "still not").unwrap();
        ensure_with(&layout, &[]).unwrap_err();
        assert!(kept.exists(), "objects of the same recipe are kept");
    }

    #[test]
    fn changed_sources_are_compiled_with_changed_headers() {
        let (_dir, layout) =
            checkout_with("#include <ale/emucore/TIA.hxx>\nint tia() { return HEIGHT; }");
        fs::write(layout.ale_sources().join("emucore/TIA.hxx"), "#define WIDTH 160\n").unwrap();
        let patch = "--- a/emucore/TIA.hxx\n+++ b/emucore/TIA.hxx\n@@ -1 +1,2 @@\n #define WIDTH 160\n+#define HEIGHT 210\n";
        ensure_with(&layout, &[patch]).unwrap();
        assert!(layout.ale_changed_sources().join("emucore/TIA.hxx").exists());
    }

    #[test]
    fn a_build_that_fails_leaves_no_library_beside_its_headers() {
        let (_dir, layout) = checkout_with("int tia() { return 1; }");
        ensure_with(&layout, &[]).unwrap();
        fs::write(layout.ale_sources().join("emucore/TIA.cxx"), "this is not C++").unwrap();
        stamp::write(&layout.ale_library_dir(), &["recipe: another".to_owned()]).unwrap();
        ensure_with(&layout, &[]).unwrap_err();
        assert!(!layout.ale_library().exists());
        stamp::write(&layout.ale_library_dir(), &stamp_lines()).unwrap();
        assert!(!is_ready(&layout), "not even with the stamp of an earlier build");
    }

    #[test]
    fn a_library_of_another_recipe_is_built_anew() {
        let (_dir, layout) = checkout_with("int tia() { return 1; }");
        ensure_with(&layout, &[]).unwrap();
        stamp::write(&layout.ale_library_dir(), &["recipe: another".to_owned()]).unwrap();
        assert!(!is_ready(&layout));
        ensure_with(&layout, &[]).unwrap();
        assert!(is_ready(&layout));
    }
}
