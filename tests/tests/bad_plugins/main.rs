//! Plugins that are no plugins, and plugins that do wrong.
//!
//! People run other people's code with this. Whatever it is and whatever it does, they get one clear error that names
//! the file or the function, what was committed stays, no row is lost, and the host neither panics nor hangs.

mod files;
mod functions;
mod memories;
mod misbehaving;
mod tiny;
