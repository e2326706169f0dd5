//! Puts the sources of the SDK into the binary, so that `tidemill new` works without a registry or a clone.
//!
//! The unpacked copy is a workspace of its own: what its crates inherit is taken from the repository's manifest.

use std::{
    env,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

/// What is unpacked, and lies in the unpacked copy as it does here.
const FOLDERS: [&str; 2] = ["sdk", "wit"];

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("..").canonicalize()?;
    let mut files = Vec::new();
    for folder in FOLDERS {
        println!("cargo::rerun-if-changed={}", root.join(folder).display());
        collect(&root, Path::new(folder), &mut files)?;
    }
    let manifest = root.join("Cargo.toml");
    println!("cargo::rerun-if-changed={}", manifest.display());

    let mut code = String::from("static FILES: &[(&str, &str)] = &[\n");
    let workspace = workspace(&fs::read_to_string(manifest)?);
    writeln!(code, "    (\"Cargo.toml\", {workspace:?}),").expect("a string takes any text");
    for file in files {
        writeln!(code, "    ({file:?}, include_str!({:?})),", root.join(&file)).expect("a string takes any text");
    }
    code.push_str("];\n");
    fs::write(PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("sdk_files.rs"), code)
}

/// The files below a folder, as paths from the root, in an order that does not change.
fn collect(root: &Path, folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut entries: Vec<_> = fs::read_dir(root.join(folder))?.collect::<io::Result<_>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = folder.join(entry.file_name());
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if entry.file_type()?.is_dir() {
            // The golden files of the macros' tests are of no use to a plugin.
            if !hidden && !path.ends_with("tests") && !path.ends_with("target") {
                collect(root, &path, files)?;
            }
        } else if !hidden {
            files.push(path);
        }
    }
    Ok(())
}

/// A manifest for the unpacked workspace: what the repository's crates inherit. Their lints are for who works on them,
/// and would be noise in a plugin's build.
fn workspace(manifest: &str) -> String {
    let mut workspace = String::from(
        "[workspace]\nresolver = \"3\"\nmembers = [\"sdk\", \"sdk/macros\"]\n\n[workspace.lints.rust]\nwarnings = \"allow\"\n",
    );
    let mut inherited = false;
    for line in manifest.lines().filter(|line| !line.is_empty()) {
        if line.starts_with('[') {
            inherited = ["[workspace.package]", "[workspace.dependencies]"].contains(&line);
            workspace.push_str(if inherited { "\n" } else { "" });
        }
        if inherited {
            workspace.push_str(line);
            workspace.push('\n');
        }
    }
    workspace
}
