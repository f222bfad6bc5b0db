//! One tunnel of a conversation.

use xtls_tokio::FileTunnel;

use super::exchange::Exchange;
use crate::exit::{Code, Failure};
use crate::session::Compare;
use crate::session::open::Open;

/// A tunnel, and what is compared in it once messages can be sent.
pub(super) struct Talk {
    pub(super) open: Open,
    pub(super) compare: Option<Compare>,
    /// What is on its way, if files can go in it.
    pub(super) exchange: Option<Exchange>,
    /// Why it ends, if the users have seen two strings.
    pub(super) differs: Option<Failure>,
    /// It ends when what waits is sent: the other user is to learn how the comparison went.
    pub(super) ends: bool,
}

impl Talk {
    pub(super) fn new(open: Open) -> Self {
        Self { open, compare: None, exchange: None, differs: None, ends: false }
    }

    /// Sends what is to be compared.
    pub(super) fn transmit(&mut self) {
        while let Some(message) = self.compare.as_mut().and_then(Compare::poll_transmit) {
            self.open.push_answer(message);
        }
        if self.ends && !self.open.is_backed_up() {
            self.open.close();
        }
    }

    /// Breaks off whatever is on its way.
    pub(super) fn break_off(&mut self) {
        if let Some((exchange, tunnel)) = self.files() {
            exchange.cancel(tunnel);
        }
    }

    /// Files, while they can go in it.
    pub(super) fn files(&mut self) -> Option<(&mut Exchange, &mut FileTunnel)> {
        Some((self.exchange.as_mut()?, self.open.files()?))
    }

    /// No file goes in it any more. Waits until everything is on disk that has come, and gives the code to end with if something was
    /// not sent.
    pub(super) async fn end_files(&mut self) -> Option<Code> {
        self.exchange.take()?.finish().await
    }
}
