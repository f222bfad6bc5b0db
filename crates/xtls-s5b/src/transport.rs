//! `<transport/>` of XEP-0260: what the two ends tell one another about their candidates.

use core::fmt;

use xtls_stanza::{ElementRef, ns, write};

use crate::{Candidate, DstAddr};

/// A `<transport xmlns='urn:xmpp:jingle:transports:s5b:1'/>` as one message states it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct S5bTransport {
    /// The sid of the bytestream, of which the DST.ADDR is made: at most [`S5bTransport::MAX_SID`] bytes.
    pub sid: String,
    /// What the sender makes of the sid and the addresses for the proxies among its candidates. One that is not 40 hexadecimal
    /// digits is left out.
    pub dst_addr: Option<DstAddr>,
    /// What it says.
    pub payload: S5bPayload,
}

/// What a `<transport/>` says (XEP-0260 §§ 2.2 to 2.4).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum S5bPayload {
    /// Where the sender can be reached: none up to [`Candidate::MAX`], the highest priority first.
    Candidates(Vec<Candidate>),
    /// The sender has connected to this candidate of the receiver's.
    CandidateUsed(String),
    /// The sender has connected to none, or has stopped trying.
    CandidateError,
    /// The sender has had the proxy connect both: data can flow.
    Activated(String),
    /// The sender has not come through the proxy.
    ProxyError,
}

/// Which rule of XEP-0260 § 9 a `<transport/>` breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum S5bMalformed {
    /// There is no sid, or one of more than [`S5bTransport::MAX_SID`] bytes.
    Sid,
    /// The mode is neither tcp nor udp.
    Mode,
    /// UDP, which TLS does not run over.
    Udp,
    /// A candidate without cid, host, jid or priority.
    Candidate,
    /// A candidate's cid is missing or has more than [`Candidate::MAX_CID`] bytes.
    Cid,
    /// Two candidates have the same cid, so that nobody could tell which of them is used.
    DuplicateCid,
    /// A port that is no positive integer.
    Port,
    /// A priority that is no number.
    Priority,
    /// It says several things at once.
    Several,
}

impl S5bTransport {
    /// The longest sid, in bytes.
    pub const MAX_SID: usize = 256;

    /// A transport that says this.
    #[must_use]
    pub fn new(sid: &str, payload: S5bPayload) -> Self {
        Self { sid: sid.to_owned(), dst_addr: None, payload }
    }

    /// The same with the DST.ADDR of its proxies.
    #[must_use]
    pub fn with_dst_addr(self, dst_addr: DstAddr) -> Self {
        Self { dst_addr: Some(dst_addr), ..self }
    }

    /// The candidates that it states.
    #[must_use]
    pub fn candidates(&self) -> &[Candidate] {
        if let S5bPayload::Candidates(candidates) = &self.payload { candidates } else { &[] }
    }

    /// Reads one; `None` when the element is something else.
    ///
    /// # Errors
    ///
    /// When it breaks a rule. Candidates that keep to them and cannot be dialled are left out, and of more than
    /// [`Candidate::MAX`] those with the lowest priorities.
    #[must_use]
    pub fn parse(element: ElementRef<'_>) -> Option<Result<Self, S5bMalformed>> {
        element.is("transport", ns::JINGLE_S5B).then(|| Self::read(element))
    }

    fn read(element: ElementRef<'_>) -> Result<Self, S5bMalformed> {
        let sid = element.attribute("sid").filter(|sid| !sid.is_empty() && sid.len() <= Self::MAX_SID);
        let sid = sid.ok_or(S5bMalformed::Sid)?.to_owned();
        match element.attribute("mode") {
            None | Some("tcp") => {}
            Some("udp") => return Err(S5bMalformed::Udp),
            Some(_) => return Err(S5bMalformed::Mode),
        }
        let dst_addr = element.attribute("dstaddr").and_then(|text| text.parse().ok());
        Ok(Self { sid, dst_addr, payload: S5bPayload::read(element)? })
    }

    /// Appends the element, to stand inside `<content/>`.
    pub fn write(&self, out: &mut String) {
        out.push_str("<transport");
        write::attribute(out, "xmlns", ns::JINGLE_S5B);
        if let Some(dst_addr) = &self.dst_addr {
            write::attribute(out, "dstaddr", &dst_addr.to_string());
        }
        write::attribute(out, "sid", &self.sid);
        out.push('>');
        self.payload.write(out);
        out.push_str("</transport>");
    }
}

impl S5bPayload {
    fn read(element: ElementRef<'_>) -> Result<Self, S5bMalformed> {
        let mut said = element.children().filter(|child| child.ns() == ns::JINGLE_S5B).filter_map(|child| {
            let cid = || match child.attribute("cid") {
                Some(cid) if !cid.is_empty() && cid.len() <= Candidate::MAX_CID => Ok(cid.to_owned()),
                Some(_) | None => Err(S5bMalformed::Cid),
            };
            match child.name() {
                "candidate-used" => Some(cid().map(Self::CandidateUsed)),
                "activated" => Some(cid().map(Self::Activated)),
                "candidate-error" => Some(Ok(Self::CandidateError)),
                "proxy-error" => Some(Ok(Self::ProxyError)),
                _ => None,
            }
        });
        let candidates = || element.children().filter(|child| child.is("candidate", ns::JINGLE_S5B));
        match (said.next(), said.next()) {
            (None, _) => read_candidates(candidates()).map(Self::Candidates),
            // § 9: a choice of one of them.
            (Some(_), Some(_)) => Err(S5bMalformed::Several),
            (Some(_), None) if candidates().next().is_some() => Err(S5bMalformed::Several),
            (Some(said), None) => said,
        }
    }

    fn write(&self, out: &mut String) {
        let with_cid = |out: &mut String, name: &str, cid: &str| {
            out.push('<');
            out.push_str(name);
            write::attribute(out, "cid", cid);
            out.push_str("/>");
        };
        match self {
            Self::Candidates(candidates) => candidates.iter().for_each(|candidate| candidate.write(out)),
            Self::CandidateUsed(cid) => with_cid(out, "candidate-used", cid),
            Self::Activated(cid) => with_cid(out, "activated", cid),
            Self::CandidateError => out.push_str("<candidate-error/>"),
            Self::ProxyError => out.push_str("<proxy-error/>"),
        }
    }
}

/// The best of them. A list of any length takes no more room than these.
fn read_candidates<'e>(elements: impl Iterator<Item = ElementRef<'e>>) -> Result<Vec<Candidate>, S5bMalformed> {
    let mut cids = std::collections::BTreeSet::new();
    let mut best: Vec<Candidate> = Vec::new();
    for element in elements {
        let candidate = Candidate::parse(element)?;
        // The cid of one that cannot be dialled counts too.
        if !cids.insert(element.attribute("cid").unwrap_or_default()) {
            return Err(S5bMalformed::DuplicateCid);
        }
        let Some(candidate) = candidate else { continue };
        // § 2.2: the highest priority first; of the same priority the one that stands first.
        let at = best.partition_point(|other| other.priority >= candidate.priority);
        if at < Candidate::MAX {
            best.insert(at, candidate);
            best.truncate(Candidate::MAX);
        }
    }
    Ok(best)
}

impl S5bMalformed {
    /// What is wrong, for the text of a stanza error.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sid => "the sid of the SOCKS5 bytestream is missing or has more than 256 bytes",
            Self::Mode => "the mode of the SOCKS5 bytestream is neither tcp nor udp",
            Self::Udp => "a SOCKS5 bytestream over UDP",
            Self::Candidate => "a candidate without cid, host, jid or priority",
            Self::Cid => "the cid of a candidate is missing or has more than 256 bytes",
            Self::DuplicateCid => "two candidates with the same cid",
            Self::Port => "the port of a candidate is not a positive integer",
            Self::Priority => "the priority of a candidate is not a number",
            Self::Several => "candidates and an answer to them, or several answers, at once",
        }
    }
}

impl fmt::Display for S5bMalformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl core::error::Error for S5bMalformed {}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::unwrap_in_result)]
mod tests {
    use xtls_stanza::{Element, Limits};

    use super::*;
    use crate::CandidateType;

    fn read(inner: &str) -> Result<S5bTransport, S5bMalformed> {
        let xml = format!("<transport xmlns='{}' sid='vj3hs98y'>{inner}</transport>", ns::JINGLE_S5B);
        S5bTransport::parse(Element::parse(&xml, &Limits::default()).unwrap().root()).unwrap()
    }

    fn candidate(changed: &str, value: &str) -> String {
        let mut attributes = [
            ("cid", "hft54dqy"),
            ("host", "192.168.4.1"),
            ("jid", "romeo@montague.lit/orchard"),
            ("port", "5086"),
            ("priority", "8257636"),
            ("type", "direct"),
        ];
        attributes.iter_mut().filter(|(name, _)| *name == changed).for_each(|(_, old)| *old = value);
        let attributes = attributes.iter().filter(|(_, value)| *value != "-");
        attributes.fold("<candidate".to_owned(), |xml, (name, value)| format!("{xml} {name}='{value}'")) + "/>"
    }

    #[test]
    fn xep_0260_2_2_the_example_is_read_and_written_again() {
        let inner = [
            candidate("", ""),
            candidate("cid", "hutr46fe").replace("8257636", "8258636"),
            candidate("cid", "xmdh4b7i").replace("direct", "proxy").replace("8257636", "7878787"),
        ];
        let transport = read(&inner.concat()).unwrap();
        let cids: Vec<_> = transport.candidates().iter().map(|candidate| candidate.cid.as_str()).collect();
        assert_eq!(cids, ["hutr46fe", "hft54dqy", "xmdh4b7i"], "in the order of their priorities");
        assert_eq!(transport.candidates()[2].kind, CandidateType::Proxy);
        let stated = transport.with_dst_addr("972b7bf47291ca609517f67f86b5081086052dad".parse().unwrap());
        let mut xml = String::new();
        stated.write(&mut xml);
        assert!(xml.contains(" dstaddr='972b7bf47291ca609517f67f86b5081086052dad' sid='vj3hs98y'>"), "{xml}");
        let again = Element::parse(&xml, &Limits::default()).unwrap();
        assert_eq!(S5bTransport::parse(again.root()), Some(Ok(stated)));
    }

    #[test]
    fn each_answer_is_read_and_written_again() {
        for (inner, payload) in [
            ("<candidate-used cid='hr65dqyd'/>", S5bPayload::CandidateUsed("hr65dqyd".into())),
            ("<candidate-error/>", S5bPayload::CandidateError),
            ("<activated cid='xmdh4b7i'/>", S5bPayload::Activated("xmdh4b7i".into())),
            ("<proxy-error/>", S5bPayload::ProxyError),
            ("", S5bPayload::Candidates(vec![])),
            ("<x xmlns='urn:x'/>", S5bPayload::Candidates(vec![])),
        ] {
            let transport = read(inner).unwrap();
            assert_eq!(transport.payload, payload);
            let mut xml = String::new();
            transport.write(&mut xml);
            let again = Element::parse(&xml, &Limits::default()).unwrap();
            assert_eq!(S5bTransport::parse(again.root()), Some(Ok(transport)));
        }
    }

    #[test]
    fn what_breaks_the_schema_is_refused_and_what_nobody_can_dial_is_left_out() {
        use S5bMalformed::{Cid, Port, Priority};
        let long = "c".repeat(257);
        let refused = [
            ("cid", "-", S5bMalformed::Candidate),
            ("host", "-", S5bMalformed::Candidate),
            ("jid", "-", S5bMalformed::Candidate),
            ("priority", "-", S5bMalformed::Candidate),
            ("cid", "", S5bMalformed::Candidate),
            ("host", "", S5bMalformed::Candidate),
            ("cid", long.as_str(), Cid),
            ("port", "0", Port),
            ("port", "+80", Port),
            ("port", "", Port),
            ("priority", "-1", Priority),
            ("priority", "high", Priority),
        ];
        for (name, value, fault) in refused {
            assert_eq!(read(&candidate(name, value)), Err(fault), "{name}={value}");
        }
        let host = "h".repeat(256);
        let left_out = [
            ("port", "65536"),
            ("port", "99999999999999999999999999"),
            ("host", "a b"),
            ("host", "a&#9;b"),
            ("host", "a&#10;b"),
            ("host", "a&#x85;b"),
            ("host", host.as_str()),
            ("jid", "@"),
            ("type", "teleport"),
        ];
        for (name, value) in left_out {
            let both = candidate(name, value) + &candidate("cid", "another");
            assert_eq!(read(&both).unwrap().candidates().len(), usize::from(name != "cid"), "{name}={value}");
            let cid = &read(&both).unwrap().candidates()[0].cid.clone();
            assert_eq!(cid, "another", "{name}={value}");
        }
        let taken = [("cid", &long[1..]), ("host", &host[1..]), ("port", "65535"), ("port", "-"), ("type", "-")];
        for (name, value) in taken {
            assert_eq!(read(&candidate(name, value)).unwrap().candidates().len(), 1, "{name}={value}");
        }
        assert_eq!(read(&candidate("port", "-")).unwrap().candidates()[0].port, 1080);
        assert_eq!(read(&candidate("priority", "99999999999999999999")).unwrap().candidates()[0].priority, u32::MAX);
    }

    #[test]
    fn two_candidates_of_one_cid_are_refused_and_of_a_thousand_the_best_eight_are_kept() {
        assert_eq!(read(&candidate("", "").repeat(2)), Err(S5bMalformed::DuplicateCid));
        let unusable = candidate("port", "65536") + &candidate("", "");
        assert_eq!(read(&unusable), Err(S5bMalformed::DuplicateCid));
        let thousand: String =
            (0..300).map(|n| candidate("priority", &n.to_string()).replace("hft54dqy", &format!("c{n}"))).collect();
        let kept = read(&thousand).unwrap();
        let priorities: Vec<_> = kept.candidates().iter().map(|candidate| candidate.priority).collect();
        assert_eq!(priorities, (292..300).rev().collect::<Vec<_>>());
    }

    #[test]
    fn sids_and_modes_are_what_xep_0260_9_allows() {
        let parsed = |attributes: &str| {
            let xml = format!("<transport xmlns='{}' {attributes}/>", ns::JINGLE_S5B);
            let element = Element::parse(&xml, &Limits::default()).unwrap();
            S5bTransport::parse(element.root()).unwrap().map(|transport| transport.sid)
        };
        let (longest, longer) = ("s".repeat(256), "s".repeat(257));
        assert_eq!(parsed(""), Err(S5bMalformed::Sid));
        assert_eq!(parsed("sid=''"), Err(S5bMalformed::Sid));
        assert_eq!(parsed(&format!("sid='{longer}'")), Err(S5bMalformed::Sid));
        assert_eq!(parsed(&format!("sid='{longest}'")), Ok(longest));
        assert_eq!(parsed("sid='s' mode='tcp'"), Ok("s".into()));
        assert_eq!(parsed("sid='s' mode='udp'"), Err(S5bMalformed::Udp));
        assert_eq!(parsed("sid='s' mode='sctp'"), Err(S5bMalformed::Mode));
        assert_eq!(parsed("sid='s' dstaddr='nonsense'"), Ok("s".into()));
        let both = "<candidate-error/><proxy-error/>";
        assert_eq!(read(both), Err(S5bMalformed::Several));
        assert_eq!(read(&(candidate("", "") + "<candidate-error/>")), Err(S5bMalformed::Several));
    }

    #[test]
    fn xep_0260_2_2_priorities_follow_the_formula() {
        assert_eq!(CandidateType::Direct.priority(100), 126 * 65536 + 100);
        assert_eq!(CandidateType::Proxy.priority(65535), 11 * 65536 - 1);
        assert!(CandidateType::ALL.windows(2).all(|two| two[0].priority(65535) < two[1].priority(0)));
    }
}
