//! Batch handlers: a function called with every epoch's rows, which writes to named outlets.

use std::{cell::RefCell, fmt::Display, rc::Rc};

use crate::{
    cell::Capacity,
    imports,
    row::{Row, RowWriter},
    wire::Failure,
};

/// So many rows wait in an outlet before they go to the host: many enough that the call (about a microsecond) is
/// lost among them, few enough that they stay within a few megabytes.
const BUFFERED_ROWS: usize = 8192;

/// A way out of a batch handler: what is written here reaches the sinks that take `stage.outlet` as their input,
/// exactly once where the sink is. The parameter's name is the outlet's.
pub struct Outlet<R: Row> {
    shared: Rc<Shared<R>>,
}

struct Shared<R: Row> {
    name: &'static str,
    buffer: RefCell<RowWriter<R>>,
    refused: RefCell<Option<String>>,
}

impl<R: Row> Outlet<R> {
    /// Writes a row.
    pub fn write(&self, row: impl Row<Static = R::Static, Writer = R::Writer>) {
        let full = {
            let mut buffer = self.shared.buffer.borrow_mut();
            buffer.push(row, crate::source::Source::ANY);
            buffer.rows() == BUFFERED_ROWS
        };
        if full {
            self.flush();
        }
    }

    /// The outlet with this name.
    pub fn open(name: &'static str) -> Self {
        Outlet { shared: Rc::new(Shared { name, buffer: RefCell::new(empty()), refused: RefCell::new(None) }) }
    }

    /// The same outlet, for the function to keep.
    pub fn share(&self) -> Self {
        Outlet { shared: Rc::clone(&self.shared) }
    }

    /// Hands over what is left. The failure says what the host found wrong with any of the rows.
    pub fn close(self) -> Result<(), Failure> {
        self.flush();
        match self.shared.refused.take() {
            None => Ok(()),
            Some(error) => Err(Failure::of_call(format!("outlet `{}`: {error}", self.shared.name))),
        }
    }

    fn flush(&self) {
        let rows = self.shared.buffer.replace(empty());
        if rows.rows() == 0 {
            return;
        }
        if let Err(error) = imports::write_outlet(self.shared.name, &rows.finish()) {
            self.shared.refused.borrow_mut().get_or_insert(error);
        }
    }
}

fn empty<R: Row>() -> RowWriter<R> {
    RowWriter::with_capacity(Capacity { rows: 0, bytes: 0 })
}

/// What a handler may return.
pub fn outcome<E: Display>(result: Result<(), E>) -> Result<(), Failure> {
    result.map_err(|error| Failure::of_call(error.to_string()))
}
