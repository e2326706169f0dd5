//! What a plugin crate may be called: cargo's rules and the manifest's, taken together.

use super::ScaffoldError;

/// As long as the name of a plugin may be in a manifest.
const MAX_CHARS: usize = 64;

/// Names that cargo or the compiler refuse: keywords, what is always there, and the SDK that the crate depends on.
const TAKEN: [&str; 56] = [
    "Self",
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "tidemill-sdk",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "use",
    "virtual",
    "where",
    "while",
];

/// Refuses a name that cargo or a manifest would refuse later.
pub(super) fn check(name: &str) -> Result<(), ScaffoldError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.chars().all(allowed) || name.len() > MAX_CHARS {
        return Err(ScaffoldError(format!(
            "`{name}` cannot be the name of a crate: it begins with a letter, and up to {MAX_CHARS} letters, digits, `-` and `_` \
             are allowed, as in `word-count`"
        )));
    }
    if TAKEN.contains(&name) {
        return Err(ScaffoldError(format!(
            "`{name}` cannot be the name of a crate: Rust uses it itself; try `my-{name}`"
        )));
    }
    Ok(())
}
