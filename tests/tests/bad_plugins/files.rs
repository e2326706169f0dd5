//! Files that are no plugins. They are refused before anything runs.

use std::fs;

use tidemill_tests::{Finished, Folder, Running, plugin};

use super::tiny::{self, Describe, VERSION};

/// A pipeline that calls `all` of `plugin.wasm`.
const PIPELINE: &str = r#"
name = "tiny"
trigger = "available-now"
[plugins.tiny]
path = "plugin.wasm"
[sources.lines]
type = "files"
path = "in"
[transforms.kept]
inputs = ["lines"]
call = "tiny.all"
[sinks.out]
inputs = ["kept"]
type = "files"
path = "out"
format = "json"
"#;

/// Calls the binary with no compiled plugins at hand, so that the file itself is looked at.
pub(super) fn call<'a>(folder: &Folder, arguments: impl IntoIterator<Item = &'a str>) -> Finished {
    Running::start(folder.command(arguments).env("XDG_CACHE_HOME", folder.path("cache"))).finish()
}

/// The pipeline with this file as its plugin.
pub(super) fn with_plugin(file: &[u8]) -> Folder {
    let folder = Folder::with(PIPELINE);
    folder.write("in/a.txt", "one\ntwo\nthree\n");
    folder.write("plugin.wasm", file);
    folder
}

/// Whoever names a wrong file wants to hear which one and what to do, whichever command it was given to.
#[test]
fn a_file_that_is_no_plugin_is_refused() {
    let whole = fs::read(plugin("misbehaving")).expect("it was built");
    let wat = |text: &str| wat::parse_str(text).expect("the text is WebAssembly");
    let of_version = |version| tiny::component(version, Describe::Well);
    let cases: Vec<(&str, Vec<u8>, &[&str])> = vec![
        ("empty", Vec::new(), &["it is empty", "tidemill build"]),
        ("text", b"fn main() {}".to_vec(), &["is not a WebAssembly component", "tidemill build"]),
        ("another binary", b"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00".to_vec(), &["is not a WebAssembly component"]),
        (
            "an unknown version of WebAssembly",
            b"\0asm\x63\0\0\0".to_vec(),
            &["a WebAssembly version this binary does not know"],
        ),
        ("a core module of its own", wat("(module)"), &["without usable component metadata", "wasm32-wasip2"]),
        ("the core of a plugin", tiny::core(VERSION, Describe::Well), &["without usable component metadata"]),
        ("an empty component", wat("(component)"), &["is a component, but no plugin", "tidemill new"]),
        (
            "a component of something else",
            wat(r#"(component (instance $i) (export "wasi:cli/run@0.2.0" (instance $i)))"#),
            &["is a component, but no plugin", "tidemill new"],
        ),
        ("a newer plugin", of_version("0.2.0"), &["built for tidemill:plugin@0.2.0", "speaks 0.1.0"]),
        ("an older plugin", of_version("0.0.9"), &["built for tidemill:plugin@0.0.9", "speaks 0.1.0"]),
        (
            "a component with imports of its own",
            wat(r#"(component
                (import "acme:printer/paper@1.0.0" (instance (export "feed" (func))))
                (instance $i) (export "tidemill:plugin/describe@0.1.0" (instance $i)))"#),
            &["imports what Tidemill does not offer", "acme:printer/paper@1.0.0"],
        ),
        (
            "a plugin that describes nothing",
            wat(r#"(component (instance $i) (export "tidemill:plugin/describe@0.1.0" (instance $i)))"#),
            &["does not export the interface `describe`", "plugin!(...)"],
        ),
        (
            "a plugin that fails to describe itself",
            tiny::component(VERSION, Describe::Traps),
            &["failed to describe itself"],
        ),
        ("cut in the magic number", whole[..3].to_vec(), &["is not a WebAssembly component"]),
        ("cut before the version", whole[..4].to_vec(), &["is not a WebAssembly component"]),
        ("cut behind the header", whole[..8].to_vec(), &["is a component, but no plugin"]),
        ("cut early", whole[..100].to_vec(), &["is damaged or cut short", "tidemill build"]),
        ("cut in the middle", whole[..whole.len() / 2].to_vec(), &["is damaged or cut short", "tidemill build"]),
        ("cut by a byte", whole[..whole.len() - 1].to_vec(), &["is damaged or cut short", "tidemill build"]),
    ];
    for (what, file, phrases) in cases {
        let folder = with_plugin(&file);
        for command in [&["inspect", "plugin.wasm"], &["validate", "pipeline.toml"], &["run", "pipeline.toml"]] {
            let refused = call(&folder, command.iter().copied());
            let error = refused.stderr();
            assert_eq!(refused.code, Some(2), "{what}, {command:?}: {error}");
            assert!(error.starts_with("error: ") && error.contains("plugin.wasm"), "{what}, {command:?}: {error}");
            assert_eq!(error.matches("error: ").count(), 1, "{what}, {command:?}: {error}");
            for phrase in phrases {
                assert!(error.contains(phrase), "{what}, {command:?}, no `{phrase}` in: {error}");
            }
        }
        assert!(!folder.path("out").exists() && !folder.path(".tidemill").exists(), "{what} left something behind");
    }
}

/// A plugin is asked what it is before anybody trusts it: even then it may not take for ever.
#[test]
fn a_plugin_that_never_says_what_it_is_is_refused() {
    let folder = with_plugin(&tiny::component(VERSION, Describe::Loops));
    let refused = call(&folder, ["inspect", "plugin.wasm"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr());
    assert!(
        refused.stderr().contains("plugin.wasm failed to describe itself: it did not come back"),
        "{}",
        refused.stderr()
    );
}

/// Compilers for wasm32-unknown-unknown make core modules with metadata: they are plugins like any other.
#[test]
fn a_core_module_with_metadata_is_a_plugin() {
    for file in [tiny::module(VERSION, Describe::Well), tiny::component(VERSION, Describe::Well)] {
        let folder = with_plugin(&file);
        let inspected = call(&folder, ["inspect", "plugin.wasm"]);
        assert!(
            inspected.stdout().contains("filter all\n") && inspected.stdout().contains("tiny 1.2.3"),
            "{inspected:?}"
        );
        let run = call(&folder, ["run", "pipeline.toml"]);
        assert_eq!(run.code, Some(0), "{}", run.stderr());
        assert_eq!(folder.column("out", "value"), ["one", "two", "three"]);
    }
}

/// A disk or a network may spoil any byte. Some changes do no harm and some are refused, but none brings the host down.
#[test]
fn a_spoilt_byte_does_not_bring_the_host_down() {
    let good = tiny::component(VERSION, Describe::Well);
    for place in (8..good.len()).step_by(good.len() / 100) {
        let mut spoilt = good.clone();
        spoilt[place] ^= 0x55;
        let inspected = call(&with_plugin(&spoilt), ["inspect", "plugin.wasm"]);
        assert!(matches!(inspected.code, Some(0 | 2)), "byte {place}: {:?} {}", inspected.code, inspected.stderr());
    }
}
