//! What only the user can answer.

use xtls::{Password, TrustDecision, TunnelId, error::NotAsked, event::Side, jid::FullJid, trust::TrustQuestion};

use crate::shared::{About, Asked, Shared, now};

/// A question to the user, to be answered within [`Timers::question`](xtls::config::Timers::question).
#[derive(Debug)]
#[non_exhaustive]
pub enum Question {
    /// For the password that is shared with a peer.
    Password(PasswordQuestion),
    /// Whether a certificate is the peer's.
    Certificate(CertificateQuestion),
}

/// Whether a password is shared with a peer. It comes only with
/// [`TunnelOptions::asking_password`](xtls::TunnelOptions::asking_password).
///
/// One that is dropped is not answered: the attempt goes on when the time is up, without a leap of faith, since silence is no no.
#[derive(Debug)]
pub struct PasswordQuestion {
    asked: To,
    side: Side,
}

/// Whether a certificate is the peer's, which has proven that it holds the key. Nothing moves in the tunnel meanwhile.
///
/// One that is dropped is answered by no.
#[derive(Debug)]
pub struct CertificateQuestion {
    asked: To,
    question: Box<TrustQuestion>,
    is_answered: bool,
}

/// Which tunnel is asked for.
#[derive(Debug)]
struct To {
    shared: Shared,
    id: TunnelId,
    peer: FullJid,
}

impl Question {
    pub(crate) fn new(shared: Shared, asked: Asked) -> Self {
        let Asked { id, peer, about } = asked;
        let asked = To { shared, id, peer };
        match about {
            About::Password(side) => Self::Password(PasswordQuestion { asked, side }),
            About::Certificate(question) => {
                Self::Certificate(CertificateQuestion { asked, question, is_answered: false })
            }
        }
    }

    /// Who it is about.
    #[must_use]
    pub fn peer(&self) -> &FullJid {
        match self {
            Self::Password(question) => question.peer(),
            Self::Certificate(question) => question.peer(),
        }
    }
}

impl PasswordQuestion {
    /// With whom the password is shared.
    #[must_use]
    pub fn peer(&self) -> &FullJid {
        &self.asked.peer
    }

    /// Which end of the tunnel is asked.
    #[must_use]
    pub fn side(&self) -> Side {
        self.side
    }

    /// Answers it; `None` says that there is no password.
    ///
    /// # Errors
    ///
    /// When the tunnel has ended, or the time is up.
    pub fn answer(self, password: Option<Password>) -> Result<(), NotAsked> {
        let mut state = self.asked.shared.lock();
        let answered = match state.engine.tunnel(self.asked.id) {
            Some(mut tunnel) => tunnel.provide_password(now(), password),
            None => Err(NotAsked),
        };
        state.settle();
        answered
    }
}

impl CertificateQuestion {
    /// Whose certificate it is said to be.
    #[must_use]
    pub fn peer(&self) -> &FullJid {
        &self.asked.peer
    }

    /// The certificate, and what the peer was known by until now.
    #[must_use]
    pub fn question(&self) -> &TrustQuestion {
        &self.question
    }

    /// Answers it.
    ///
    /// # Errors
    ///
    /// When the tunnel has ended, or the time is up.
    pub fn answer(mut self, decision: TrustDecision) -> Result<(), NotAsked> {
        self.decide(decision)
    }

    fn decide(&mut self, decision: TrustDecision) -> Result<(), NotAsked> {
        self.is_answered = true;
        let mut state = self.asked.shared.lock();
        let answered = match state.engine.tunnel(self.asked.id) {
            Some(mut tunnel) => tunnel.trust(now(), decision),
            None => Err(NotAsked),
        };
        state.settle();
        answered
    }
}

impl Drop for CertificateQuestion {
    fn drop(&mut self) {
        if !self.is_answered {
            let _ = self.decide(TrustDecision::Refuse);
        }
    }
}
