//! Building real crates with the real cargo, and with stand-ins for tools that fail.

use std::{ffi::OsString, fs, os::unix::fs::PermissionsExt, thread};

use tempfile::TempDir;

use super::*;

const MANIFEST: &str = "[package]\nname = \"words\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n";
const CDYLIB: &str = "\n[lib]\ncrate-type = [\"cdylib\"]\n";

fn plugin(manifest: &str, source: &str) -> TempDir {
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("src")).unwrap();
    fs::write(dir.path().join("Cargo.toml"), manifest).unwrap();
    fs::write(dir.path().join("src/lib.rs"), source).unwrap();
    dir
}

fn refusal(dir: &TempDir) -> String {
    build(dir.path(), &mut |_| {}).expect_err("the build should have failed").to_string()
}

/// A script that takes the place of cargo or rustup.
fn stand_in(dir: &Path, name: &str, script: &str) -> OsString {
    let path = dir.join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.into_os_string()
}

/// Stand-ins, with a folder in which the real rustup has nothing.
fn tools_of(cargo: OsString, rustup: OsString) -> Tools {
    let rustup_home = Path::new(&rustup).parent().map(Path::to_owned).unwrap_or_default();
    Tools { cargo, rustup, rustup_home }
}

/// A crate becomes a component, with the SIMD instructions that the SDK's loops need and the author's warnings shown.
#[test]
fn a_crate_becomes_a_component() {
    let source = "#[cfg(not(target_feature = \"simd128\"))]\ncompile_error!(\"no simd\");\nfn unused() {}\n";
    let dir = plugin(&format!("{MANIFEST}{CDYLIB}"), source);
    let mut heard = Vec::new();
    let component = build(dir.path(), &mut |line| heard.push(line.to_owned())).unwrap();
    let bytes = fs::read(&component).unwrap();
    assert_eq!(bytes[..8], *b"\0asm\x0d\0\x01\0", "{component:?} is not a component");
    assert!(heard.iter().any(|line| line.starts_with("Compiling words")), "{heard:?}");
    assert!(heard.iter().any(|line| line.contains("`unused` is never used")), "{heard:?}");
}

/// Two plugins may have one name, and a shared target folder is a common setting: each must get its own component.
#[test]
fn crates_of_one_name_are_kept_apart() {
    let (one, other) = (plugin(&format!("{MANIFEST}{CDYLIB}"), ""), plugin(&format!("{MANIFEST}{CDYLIB}"), ""));
    let target_in = |dir: &TempDir, target: &str| {
        let mut project = Project::read(dir.path(), &Tools::found()).unwrap();
        project.target = project.workspace.join(target);
        target_dir(&project)
    };
    assert_ne!(target_in(&one, "/shared"), target_in(&other, "/shared"));
    assert!(target_in(&one, "target").ends_with("target/tidemill"));
}

/// The compiler's words are for the author; the last line says whose crate it is.
#[test]
fn a_crate_that_does_not_compile() {
    let dir = plugin(&format!("{MANIFEST}{CDYLIB}"), "pub fn tokenize() -> u32 { \"word\" }");
    let error = refusal(&dir);
    assert!(error.starts_with("error[E0308]: mismatched types"), "{error}");
    assert!(error.contains("src/lib.rs:1:28"), "{error}");
    let last = format!("plugin crate `words` in `{}` does not build", dir.path().display());
    assert_eq!(error.lines().last(), Some(last.as_str()));
}

/// What is wrong with the folder is said before anything is compiled, with the lines to write.
#[test]
fn folders_that_hold_no_plugin() {
    let error = refusal(&plugin(MANIFEST, ""));
    assert!(error.contains("builds no component") && error.contains("crate-type = [\"cdylib\"]"), "{error}");
    let error = refusal(&plugin("[workspace]\nmembers = []\n", ""));
    assert!(error.contains("is a workspace without a crate of its own"), "{error}");
    let error = refusal(&plugin("[package]\nname = 7\n", ""));
    assert!(error.contains("invalid type: integer `7`") && error.contains("cannot make sense of crate"), "{error}");

    let dir = TempDir::new().unwrap();
    let error = refusal(&dir);
    assert!(error.contains("no plugin crate in") && error.contains("tidemill new"), "{error}");
}

/// A release profile of the author's own is not overruled.
#[test]
fn the_authors_profile_goes_first() {
    let dir = plugin(&format!("{MANIFEST}{CDYLIB}\n[profile.release]\nlto = false\n"), "");
    let project = Project::read(dir.path(), &Tools::found()).unwrap();
    assert!(project.sets_in_release("lto"));
    assert!(!project.sets_in_release("codegen-units"));
}

/// A machine with Rust but without the target is the common case for a newcomer: the target is added and the build goes
/// on. Where it cannot be added, the error says what to install.
#[test]
fn the_target_is_added_when_it_is_missing() {
    let dir = plugin(&format!("{MANIFEST}{CDYLIB}"), "");
    let tools = TempDir::new().unwrap();
    let real = Tools::found().cargo;
    // Fails like cargo without the target until somebody has left a mark.
    let cargo = format!(
        "if [ \"$1\" = metadata ] || [ -e {mark} ]; then exec {real} \"$@\"; fi\n\
         echo \"error[E0463]: can't find crate for \\`core\\`\" >&2\n\
         echo \"  = note: the \\`{TARGET}\\` target may not be installed\" >&2\nexit 101",
        mark = tools.path().join("mark").display(),
        real = real.display(),
    );
    let cargo = stand_in(tools.path(), "cargo", &cargo);
    let with = |rustup: OsString| {
        let mut heard = Vec::new();
        let built = build_with(&tools_of(cargo.clone(), rustup), dir.path(), &mut |line| heard.push(line.to_owned()));
        (built.map_err(|error| error.to_string()), heard)
    };

    let error = with(tools.path().join("no-rustup").into()).0.unwrap_err();
    assert!(
        error.contains("rustup, which would add it, cannot be run") && error.contains("https://rustup.rs"),
        "{error}"
    );
    let error = with(stand_in(tools.path(), "offline", "echo 'error: no network' >&2; exit 1")).0.unwrap_err();
    assert!(error.starts_with("error: no network\n") && error.contains("rustup target add"), "{error}");
    let error = with(stand_in(tools.path(), "other", "exit 0")).0.unwrap_err();
    assert!(error.contains("to another Rust than the one"), "{error}");

    let rustup = format!("[ \"$*\" = 'target add {TARGET}' ] && touch {}", tools.path().join("mark").display());
    let (built, heard) = with(stand_in(tools.path(), "rustup", &rustup));
    assert!(built.is_ok_and(|component| component.exists()));
    assert!(heard[0].contains("is missing; adding it"), "{heard:?}");
}

/// On a fresh machine the first thing people run may be the tests, and many of them build a plugin at once: each finds
/// that the target is missing. rustup gives up when another one is at work, so they take turns.
#[test]
fn only_one_rustup_runs_at_a_time() {
    let dir = plugin(&format!("{MANIFEST}{CDYLIB}"), "");
    let home = TempDir::new().unwrap();
    let at_work = home.path().join("at-work");
    let rustup = format!(
        "mkdir {at_work} || {{ echo 'error: detected conflict' >&2; exit 1; }}\nsleep 0.1\nrmdir {at_work}",
        at_work = at_work.display()
    );
    let tools = tools_of(Tools::found().cargo, stand_in(home.path(), "rustup", &rustup));
    let project = Project::read(dir.path(), &tools).unwrap();
    thread::scope(|scope| {
        let adding: Vec<_> = (0..4).map(|_| scope.spawn(|| add_target(&project, &tools, &mut |_| {}))).collect();
        for added in adding {
            added.join().unwrap().unwrap();
        }
    });
}

/// Without Rust there is still a way on: a finished component.
#[test]
fn without_cargo() {
    let dir = plugin(&format!("{MANIFEST}{CDYLIB}"), "");
    let tools = tools_of("/nonexistent/cargo".into(), "rustup".into());
    let error = build_with(&tools, dir.path(), &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("cargo was not found") && error.contains("finished .wasm file"), "{error}");
}
