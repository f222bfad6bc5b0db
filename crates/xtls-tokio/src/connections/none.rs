//! Without sockets no connection can be made.

use core::task::Context;
use std::sync::Arc;

use xtls::Event;

use crate::shared::{Core, now};

/// The connections of a driver: none.
pub(crate) struct Connections;

impl Connections {
    pub(crate) fn new() -> Self {
        Self
    }

    pub(crate) fn is_idle(&self) -> bool {
        true
    }

    /// Says of each that is wanted that it failed.
    pub(crate) fn turn(&mut self, core: &Arc<Core>, _: &mut Context<'_>) -> bool {
        let wishes = core::mem::take(&mut core.lock().connections);
        for wish in &wishes {
            if let Event::Connect { id, .. } = wish {
                core.lock().engine.connection_failed(now(), *id);
            }
        }
        !wishes.is_empty()
    }
}
