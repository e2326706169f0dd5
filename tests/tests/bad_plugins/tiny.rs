//! The smallest plugin there is, made here byte by byte: a filter that keeps everything.
//!
//! It is a core module with the metadata of a component, as compilers for wasm32-unknown-unknown make them.

use std::fs;

use tidemill_tests::repository;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The version that the host speaks.
pub(super) const VERSION: &str = "0.1.0";

/// What its `describe` does.
#[derive(Clone, Copy)]
pub(super) enum Describe {
    /// Describes the filter `all`.
    Well,
    /// Traps.
    Traps,
    /// Never comes back.
    Loops,
}

/// The core module without metadata.
pub(super) fn core(version: &str, describe: Describe) -> Vec<u8> {
    core_with(version, describe, "", "")
}

/// The same with `more` in it, and with `first` at the beginning of each call.
fn core_with(version: &str, describe: Describe, more: &str, first: &str) -> Vec<u8> {
    let describe = match describe {
        Describe::Well => "(i32.const 1024)",
        Describe::Traps => "unreachable",
        Describe::Loops => "(loop $again (br $again)) unreachable",
    };
    // As the canonical ABI lays them out: a string and a list are an address and a length each, and a variant's case
    // comes before its value. What is nothing is left to be zero.
    let plugin = words(&[512, 4, 516, 5, 1100, 1]);
    let filter = words(&[521, 3, 1, 0, 0, 1200, 1]);
    let column = words(&[524, 5, 5]);
    let text = format!(
        r#"(module
            (memory (export "memory") 16)
            {more}
            (global $free (mut i32) (i32.const 8192))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (local $place i32)
                (local.set $place (global.get $free))
                (global.set $free
                    (i32.and (i32.add (i32.add (global.get $free) (local.get 3)) (i32.const 7)) (i32.const -8)))
                (local.get $place))
            (func (export "tidemill:plugin/describe@{version}#describe") (result i32) {describe})
            (func (export "tidemill:plugin/describe@{version}#check-config") (param i32 i32 i32 i32) (result i32)
                (i32.const 2048))
            (func (export "tidemill:plugin/describe@{version}#prepare") (param i32 i32 i32 i32 i32) (result i32)
                (i32.const 2048))
            (func (export "tidemill:plugin/filter@{version}#apply") (param i32) (param $rows i32) (param i32 i32) (result i32)
                {first}
                (i32.store (i32.const 2068) (i32.const 4096))
                (i32.store (i32.const 2072) (i32.div_u (i32.add (local.get $rows) (i32.const 7)) (i32.const 8)))
                (memory.fill (i32.const 4096) (i32.const 255) (i32.load (i32.const 2072)))
                (i32.const 2064))
            (data (i32.const 512) "tiny1.2.3allvalue")
            (data (i32.const 1024) "{plugin}")
            (data (i32.const 1100) "{filter}")
            (data (i32.const 1200) "{column}"))"#
    );
    wat::parse_str(text).expect("the text is WebAssembly")
}

fn words(words: &[u32]) -> String {
    words.iter().flat_map(|word| word.to_le_bytes()).map(|byte| format!("\\{byte:02x}")).collect()
}

/// The core module with metadata.
pub(super) fn module(version: &str, describe: Describe) -> Vec<u8> {
    with_metadata(version, core(version, describe))
}

/// The component made of it.
pub(super) fn component(version: &str, describe: Describe) -> Vec<u8> {
    encoded(&module(version, describe))
}

/// The component with two more memories of so many pages of 64 KiB. In each call both grow by as many again, or it
/// traps.
pub(super) fn of_three_memories(pages: u32) -> Vec<u8> {
    let memories = format!("(memory $second {pages}) (memory $third {pages})");
    let grow = ["second", "third"].map(|memory| {
        format!("(if (i32.lt_s (memory.grow ${memory} (i32.const {pages})) (i32.const 0)) (then unreachable))")
    });
    with(&memories, &grow.concat())
}

/// The component with two tables of so many entries.
pub(super) fn of_two_tables(entries: u32) -> Vec<u8> {
    with(&format!("(table {entries} funcref) (table {entries} funcref)"), "")
}

fn with(more: &str, first: &str) -> Vec<u8> {
    encoded(&with_metadata(VERSION, core_with(VERSION, Describe::Well, more, first)))
}

fn with_metadata(version: &str, mut module: Vec<u8>) -> Vec<u8> {
    let wit = fs::read_to_string(repository().join("wit/tidemill.wit")).expect("the WIT package is in the repository");
    let own_world = "\nworld tiny {\n  export describe;\n  export filter;\n}\n";
    let mut resolve = Resolve::default();
    let wit = wit.replace(&format!("@{VERSION}"), &format!("@{version}")) + own_world;
    let package = resolve.push_str("tidemill.wit", &wit).expect("it is WIT");
    let world = resolve.select_world(&[package], Some("tiny")).expect("it is there");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("metadata can be embedded");
    module
}

fn encoded(module: &[u8]) -> Vec<u8> {
    let mut encoder = ComponentEncoder::default().validate(true).module(module).expect("the module has metadata");
    encoder.encode().expect("the module is what its metadata says")
}
