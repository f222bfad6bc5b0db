//! What a session says to the peer.

use xtls_jingle::{Role, Transport};
use xtls_stanza::{Instant, write};

use super::{Phase, Session, carrier::Carrier};
use crate::{FileEnd, FileRange, element::FileElement, hash::Hashes, ns, shared::Shared};

impl Session {
    pub(super) fn say_initiate(&mut self, now: Instant, shared: &mut Shared) {
        let mut file = FileElement { info: self.file.clone(), contents: self.contents, ..FileElement::default() };
        if self.sends {
            file.check = Some(FileRange::WHOLE);
        } else {
            file.check = self.check.wanted;
            file.range = (self.range != FileRange::WHOLE).then(|| (self.range, Hashes::default()));
        }
        self.say_content("session-initiate", &file, now, shared);
    }

    pub(super) fn say_accept(&mut self, now: Instant, shared: &mut Shared) {
        let mut file = FileElement { info: self.file.clone(), contents: self.contents, ..FileElement::default() };
        if self.sends {
            // The range says what will come.
            file.range = Some((self.range, Hashes::default()));
            file.check = Some(FileRange::WHOLE);
        } else if self.range.offset != 0 {
            let length = self.range.length.filter(|_| self.is_cut);
            file.range = Some((FileRange { offset: self.range.offset, length }, Hashes::default()));
            file.check = self.check.wanted.filter(|_| self.check.peer_checks);
        }
        self.say_content("session-accept", &file, now, shared);
    }

    fn say_content(&mut self, action: &'static str, file: &FileElement, now: Instant, shared: &mut Shared) {
        let (content, carrier) = (&self.content, &self.carrier);
        // XEP-0234 § 4.1: the attribute MUST be there, and says whether it is an offer or a request.
        let is_initiators = self.sends == (self.role == Role::Initiator);
        let id = shared.say(&self.sid, action, |out, _| {
            write_content_start(out, content, Some(if is_initiators { "initiator" } else { "responder" }));
            out.push_str("<description");
            write::attribute(out, "xmlns", ns::FILE_TRANSFER);
            out.push('>');
            file.write(out);
            out.push_str("</description>");
            carrier.write(out);
            out.push_str("</content>");
        });
        self.waits_for(id, action, now, shared);
    }

    /// A way for the bytes in the place of the one that was offered, or the answer to one: XEP-0166 § 7.2.14 ff.
    pub(super) fn say_transport(&mut self, action: &'static str, now: Instant, shared: &mut Shared) {
        let mut transport = String::new();
        self.carrier.write(&mut transport);
        self.say_of_transport(action, &transport, now, shared);
    }

    /// The way that the peer wants in the place of the agreed one is not taken.
    pub(super) fn say_transport_reject(&mut self, transport: &Transport, now: Instant, shared: &mut Shared) {
        let mut rejected = String::new();
        transport.write(&mut rejected);
        self.say_of_transport("transport-reject", &rejected, now, shared);
    }

    fn say_of_transport(&mut self, action: &'static str, transport: &str, now: Instant, shared: &mut Shared) {
        let content = &self.content;
        let id = shared.say(&self.sid, action, |out, _| {
            write_content_start(out, content, None);
            out.push_str(transport);
            out.push_str("</content>");
        });
        self.waits_for(id, action, now, shared);
    }

    /// XEP-0234 § 8.2: what the sender knows of the file, or of a part.
    fn say_checksum(&mut self, file: &FileElement, now: Instant, shared: &mut Shared) {
        let content = &self.content;
        let id = shared.say(&self.sid, "session-info", |out, _| {
            out.push_str("<checksum");
            write::attribute(out, "xmlns", ns::FILE_TRANSFER);
            write::attribute(out, "creator", "initiator");
            write::attribute(out, "name", content);
            out.push('>');
            file.write(out);
            out.push_str("</checksum>");
        });
        self.waits_for(id, "session-info", now, shared);
    }

    /// The sender begins: first it tells what it has where the peer has something already.
    pub(super) fn begin_sending(&mut self, now: Instant, shared: &mut Shared) {
        let told = self.check.begin_sending(&self.file, self.range, self.contents);
        if let Some((about, hash)) = told {
            let hashes = Hashes { values: vec![hash], ..Hashes::default() };
            let file = FileElement { range: Some((about, hashes)), ..FileElement::default() };
            self.say_checksum(&file, now, shared);
        }
    }

    /// The sender has sent the last byte: tells the hashes that are not known yet. False: the file is not the one that was offered.
    pub(super) fn say_hashes(&mut self, now: Instant, shared: &mut Shared) -> bool {
        let (whole, part) = self.check.told();
        if let (Some(own), Some(offered)) = (whole, self.file.hash)
            && own != offered
        {
            return false;
        }
        let mut file = FileElement::default();
        file.info.hash = whole;
        if let Some(part) = part {
            let hashes = Hashes { values: vec![part], ..Hashes::default() };
            file.range = Some((self.range, hashes));
        }
        if self.file.hash.is_none() || part.is_some() {
            self.say_checksum(&file, now, shared);
        }
        true
    }

    /// XEP-0234 § 8.1.
    pub(super) fn say_received(&mut self, now: Instant, shared: &mut Shared) {
        let content = &self.content;
        let id = shared.say(&self.sid, "session-info", |out, _| {
            out.push_str("<received");
            write::attribute(out, "xmlns", ns::FILE_TRANSFER);
            write::attribute(out, "creator", "initiator");
            write::attribute(out, "name", content);
            out.push_str("/>");
        });
        self.waits_for(id, "session-info", now, shared);
    }

    pub(super) fn say_terminate(&mut self, end: FileEnd, now: Instant, shared: &mut Shared) {
        let id = shared.say(&self.sid, "session-terminate", |out, _| end.write(out));
        self.waits_for(id, "session-terminate", now, shared);
    }

    /// A second content is not taken: a session has one file (XEP-0166 § 7.2.2).
    pub(super) fn say_content_reject(&mut self, names: &[(String, &'static str)], now: Instant, shared: &mut Shared) {
        let id = shared.say(&self.sid, "content-reject", |out, _| {
            for (name, creator) in names {
                out.push_str("<content");
                write::attribute(out, "creator", creator);
                write::attribute(out, "name", name);
                out.push_str("/>");
            }
            FileEnd::Busy.write(out);
        });
        self.waits_for(id, "content-reject", now, shared);
    }

    fn waits_for(&mut self, id: xtls_stanza::Id, action: &'static str, now: Instant, shared: &Shared) {
        self.waiting.push((id, action, now + shared.config.answer));
    }

    /// What goes inside of the stream next: a block of the bytestream.
    pub(crate) fn poll_block(&mut self, shared: &mut Shared, out: &mut String) -> bool {
        if matches!(self.phase, Phase::Asking | Phase::Offered | Phase::Ringing | Phase::Replacing) {
            return false;
        }
        let Carrier::InBand(bytestream) = &mut self.carrier else { return false };
        bytestream.poll(&mut shared.ids, &shared.to_peer, &mut |bytes, most| bytes.len().min(most), out).is_some()
    }
}

fn write_content_start(out: &mut String, name: &str, senders: Option<&str>) {
    out.push_str("<content");
    write::attribute(out, "creator", "initiator");
    write::attribute(out, "name", name);
    write::optional_attribute(out, "senders", senders);
    out.push('>');
}
