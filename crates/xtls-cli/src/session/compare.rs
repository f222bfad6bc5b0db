//! A short string that two users compare in a tunnel, who trust one another by a leap of faith (docs/wire.md, "Comparing a short
//! string").

use xtls::trust::{Fingerprint, Learned, Pin};
use xtls::verify::{EXPORTER_LABEL, Party, ShortString, Verifier, VerifyEvent, VerifyFailure};
use xtls::xml::Condition;
use xtls::{Element, Security};
use xtls_stanza::jid::FullJid;

use super::{Open, Session};
use crate::clock;
use crate::exit::Failure;
use crate::output::Report;
use crate::random::random;
use crate::words::Word;

/// The comparisons in one tunnel that is secured by certificates: one after the other.
pub(crate) struct Compare {
    verifier: Verifier,
    certificate: Fingerprint,
    peer: FullJid,
    answers: Answers,
}

/// The lines that answer whether the strings are the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answers {
    pub(crate) yes: &'static str,
    pub(crate) no: &'static str,
}

/// What has become of one.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Both users have said that it is the same, and the certificate is remembered as the peer's own.
    Verified,
    /// Somebody is in the middle: what was trusted by a leap of faith is trusted no more.
    Differs(Failure),
    /// Nothing was learned.
    Nothing(Failure),
}

impl Compare {
    /// `None` in a tunnel that is not secured by certificates, or is gone.
    ///
    /// # Errors
    ///
    /// When there are no random numbers.
    pub(crate) fn new(
        session: &Session,
        open: &Open,
        security: &Security,
        answers: Answers,
    ) -> Result<Option<Self>, Failure> {
        let certificate = security.certificate.as_ref().map(|certificate| certificate.fingerprint_sha256());
        let channel = session.handle.with_engine(|engine, _| {
            let tunnel = engine.tunnel(open.id()?)?;
            tunnel.export_keying_material(32, EXPORTER_LABEL, None)?.try_into().ok()
        });
        let (Some(certificate), Some(channel)) = (certificate, channel) else { return Ok(None) };
        let we = Party { jid: session.jid().clone().into(), certificate: session.own().fingerprint };
        let peer = Party { jid: open.peer.clone().into(), certificate };
        let verifier = Verifier::new(channel, we, peer, random()?);
        Ok(Some(Self { verifier, certificate, peer: open.peer.clone(), answers }))
    }

    /// Begins one; what stands in the way, in words.
    pub(crate) fn propose(&mut self) -> Result<(), String> {
        self.verifier.propose().map_err(|e| e.to_string())
    }

    /// Takes a stanza that belongs to it, and says whether it did.
    pub(crate) fn handle_stanza(&mut self, stanza: &Element) -> bool {
        self.verifier.handle_stanza(stanza)
    }

    /// What is to be sent next.
    pub(crate) fn poll_transmit(&mut self) -> Option<Element> {
        self.verifier.poll_transmit()
    }

    /// Whether a string is shown that the user has not compared.
    pub(crate) fn is_shown(&self) -> bool {
        self.verifier.string().is_some()
    }

    /// What the user says of the strings.
    pub(crate) fn answer(&mut self, same: bool) {
        self.verifier.answer(same);
    }

    /// Ends the one that is going on: the other user is told. Whether one was.
    pub(crate) fn abort(&mut self) -> bool {
        let is_active = self.verifier.is_active();
        self.verifier.abort();
        is_active
    }

    /// Shows the user what there is to compare, and gives back what has become of one.
    ///
    /// # Errors
    ///
    /// When standard output cannot be written, or the trust file cannot.
    pub(crate) fn turn(&mut self, session: &Session) -> Result<Option<Outcome>, Failure> {
        while let Some(event) = self.verifier.poll_event() {
            match event {
                VerifyEvent::Compare(string) => self.ask(session, string)?,
                VerifyEvent::Verified => return self.remember(session).map(Some),
                VerifyEvent::Failed(VerifyFailure::WeAborted) => {}
                VerifyEvent::Failed(how) => return self.failed(session, how).map(Some),
                _ => {}
            }
        }
        Ok(None)
    }

    /// Asks again what the user is to answer.
    ///
    /// # Errors
    ///
    /// When standard output cannot be written.
    pub(crate) fn ask_again(&self, session: &Session) -> Result<(), Failure> {
        let Answers { yes, no } = self.answers;
        session.report(&Report::AnswerWanted { peer: self.peer.as_str(), yes, no })
    }

    fn ask(&self, session: &Session, string: ShortString) -> Result<(), Failure> {
        let words = string.places().map(|place| Word::new(place).text()).join(" ");
        session.report(&Report::Compare { peer: self.peer.as_str(), digits: &string.digits(), words: &words })?;
        self.ask_again(session)
    }

    /// Both have said that it is the same: the certificate is the peer's.
    fn remember(&self, session: &Session) -> Result<Outcome, Failure> {
        let pin = Pin::new(self.certificate, Learned::Comparison).with_since(clock::unix());
        let peer = &self.peer;
        if !session.trust().affirm(&peer.to_bare(), pin)? {
            let why = format!("the certificate of {peer} is not trusted any more, and was not again: try again");
            return Ok(Outcome::Nothing(Failure::other(why).about(peer)));
        }
        session.report(&Report::Verified { peer: peer.as_str(), fingerprint: &self.certificate.to_string() })?;
        Ok(Outcome::Verified)
    }

    fn failed(&self, session: &Session, how: VerifyFailure) -> Result<Outcome, Failure> {
        let peer = &self.peer;
        Ok(match how {
            VerifyFailure::WeDiffer | VerifyFailure::PeerDiffers => {
                let what = self.distrust(session)?;
                Outcome::Differs(Failure::security(format!("{how}; {what}")).about(peer))
            }
            VerifyFailure::Refused(Condition::ServiceUnavailable) => Outcome::Nothing(
                Failure::connection(format!(
                    "{peer} does not compare strings now: let its user run xtls verify there, and try again"
                ))
                .about(peer),
            ),
            how => Outcome::Nothing(Failure::connection(format!("nothing was learned of {peer}: {how}")).about(peer)),
        })
    }

    /// Takes back a leap of faith; what became of the certificate.
    fn distrust(&self, session: &Session) -> Result<String, Failure> {
        let bare = self.peer.to_bare();
        Ok(if session.trust().take_leap_back(&bare, self.certificate)? {
            format!("the certificate that {bare} was trusted with by a leap of faith is not trusted any more")
        } else {
            format!("do not trust the certificate any more that {bare} has shown: xtls trust remove {bare}")
        })
    }
}
