//! Entity capabilities: what an entity can do, in the few bytes of a presence (XEP-0115).

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::unwrap_in_result)]
mod tests;

use core::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    Condition, DiscoField, DiscoForm, DiscoInfo, ElementRef, Fingerprint, HashAlgo, Iq, IqType, StanzaError, jid::Jid,
    ns, write,
};

/// The `<c/>` of a presence (XEP-0115 § 4).
///
/// It crosses servers that may write whatever they like into it, so it saves a question and proves nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caps {
    hash: String,
    node: String,
    ver: String,
}

/// Why a disco#info result has no verification string, or not the one that was announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CapsError {
    /// The same identity twice (XEP-0115 § 5.4, 3.3).
    DuplicateIdentity,
    /// The same feature twice (XEP-0115 § 5.4, 3.4).
    DuplicateFeature,
    /// Two forms of one `FORM_TYPE`, or one form of two (XEP-0115 § 5.4, 3.5).
    FormType,
    /// There is no identity, or one without the category and the type that XEP-0030 § 3.1 requires.
    Identity,
    /// A `<` in anything, or a `/` in what stands before another part of an identity: such a text could be cut into other
    /// identities and features than these (XEP-0115 § 9.3).
    Ambiguous,
    /// The hash algorithm is not one that can be checked.
    UnknownHash,
    /// The verification string is another one.
    Mismatch,
}

impl DiscoInfo {
    /// What the hash is made of (XEP-0115 § 5.1).
    ///
    /// The method has a weakness that cannot be mended without changing it (XEP-0115 § 9.3): identities, features and forms
    /// end in the same `<`, so what is a feature here can be an empty form there with the same hash. What comes out of a
    /// cache may hide a feature that is there, and is to be asked for again where that matters.
    ///
    /// # Errors
    ///
    /// When the whole result is ill-formed (XEP-0115 § 5.4), or its text could be read in two ways.
    pub fn verification_string(&self) -> Result<String, CapsError> {
        let mut out = String::new();
        let mut identities: Vec<_> = self
            .identities
            .iter()
            .map(|i| [&*i.category, &*i.kind, i.lang.as_deref().unwrap_or(""), i.name.as_deref().unwrap_or("")])
            .collect();
        identities.sort_unstable();
        if has_repetition(&identities) {
            return Err(CapsError::DuplicateIdentity);
        }
        for [category, kind, lang, name] in identities {
            if category.is_empty() || kind.is_empty() {
                return Err(CapsError::Identity);
            }
            if [category, kind, lang].iter().any(|part| part.contains('/')) {
                return Err(CapsError::Ambiguous);
            }
            push(&mut out, &format!("{category}/{kind}/{lang}/{name}"))?;
        }
        let mut features: Vec<_> = self.features.iter().collect();
        features.sort_unstable();
        if has_repetition(&features) {
            return Err(CapsError::DuplicateFeature);
        }
        features.into_iter().try_for_each(|feature| push(&mut out, feature))?;
        let mut forms = Vec::new();
        for form in &self.forms {
            if let Some(form_type) = form.form_type()? {
                forms.push((form_type, form));
            }
        }
        forms.sort_unstable_by_key(|(form_type, _)| *form_type);
        if forms.windows(2).any(|pair| matches!(pair, [(one, _), (other, _)] if one == other)) {
            return Err(CapsError::FormType);
        }
        for (form_type, form) in forms {
            push(&mut out, form_type)?;
            form.push_fields(&mut out)?;
        }
        Ok(out)
    }

    /// The verification string under a hash algorithm (XEP-0115 § 5.1).
    ///
    /// # Errors
    ///
    /// As [`DiscoInfo::verification_string`], and for MD5, which is never computed.
    pub fn caps_ver(&self, algo: HashAlgo) -> Result<String, CapsError> {
        let text = self.verification_string()?;
        let digest = Fingerprint::of(algo, text.as_bytes()).ok_or(CapsError::UnknownHash)?;
        Ok(STANDARD.encode(digest.digest()))
    }
}

impl DiscoForm {
    /// What the form is about; `None` for a form that is ignored: one without `FORM_TYPE`, or where that is not hidden
    /// (XEP-0115 § 5.4, 3.6).
    fn form_type(&self) -> Result<Option<&str>, CapsError> {
        let mut found = None;
        for field in self.fields.iter().filter(|field| field.var == Self::FORM_TYPE) {
            if field.kind.as_deref() != Some("hidden") {
                return Ok(None);
            }
            for value in &field.values {
                if *found.get_or_insert(value.as_str()) != value {
                    return Err(CapsError::FormType);
                }
            }
        }
        Ok(found)
    }

    fn push_fields(&self, out: &mut String) -> Result<(), CapsError> {
        let mut fields: Vec<&DiscoField> = self.fields.iter().filter(|field| field.var != Self::FORM_TYPE).collect();
        fields.sort_by_key(|field| &field.var);
        for field in fields {
            push(out, &field.var)?;
            let mut values: Vec<_> = field.values.iter().collect();
            values.sort_unstable();
            values.into_iter().try_for_each(|value| push(out, value))?;
        }
        Ok(())
    }
}

impl Caps {
    /// Bytes of each attribute that are taken.
    pub const MAX_BYTES: usize = 1024;

    /// The capabilities of an entity. `node` is the URI of its software (XEP-0115 § 4), at most [`Caps::MAX_BYTES`] long if
    /// it is to be understood here.
    ///
    /// # Errors
    ///
    /// As [`DiscoInfo::caps_ver`].
    pub fn of(info: &DiscoInfo, node: &str, algo: HashAlgo) -> Result<Self, CapsError> {
        let hash = HASHES.iter().find(|(_, known)| *known == algo).ok_or(CapsError::UnknownHash)?.0;
        Ok(Self { hash: hash.to_owned(), node: node.to_owned(), ver: info.caps_ver(algo)? })
    }

    /// Reads a `<c/>`. `None` for any other element, for one with an attribute that is missing, empty or too long, and so for
    /// the format before version 1.4, which has no hash and cannot be verified (XEP-0115 § 13).
    #[must_use]
    pub fn parse(element: ElementRef<'_>) -> Option<Self> {
        if !element.is("c", ns::CAPS) {
            return None;
        }
        let read = |name| {
            let value = element.attribute(name)?;
            (!value.is_empty() && value.len() <= Self::MAX_BYTES).then(|| value.to_owned())
        };
        Some(Self { hash: read("hash")?, node: read("node")?, ver: read("ver")? })
    }

    /// The hash algorithm; `None` for one that cannot be checked.
    #[must_use]
    pub fn algo(&self) -> Option<HashAlgo> {
        HASHES.iter().find(|(name, _)| *name == self.hash).map(|(_, algo)| *algo)
    }

    /// The URI of the software.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// The verification string.
    #[must_use]
    pub fn ver(&self) -> &str {
        &self.ver
    }

    /// The node under which the entity is asked (XEP-0115 § 6.2).
    #[must_use]
    pub fn disco_node(&self) -> String {
        format!("{}#{}", self.node, self.ver)
    }

    /// Whether this is what the entity announced (XEP-0115 § 5.4).
    ///
    /// # Errors
    ///
    /// When it is not, or that cannot be told: nothing of it may be held against another entity then.
    pub fn verify(&self, info: &DiscoInfo) -> Result<(), CapsError> {
        let ver = info.caps_ver(self.algo().ok_or(CapsError::UnknownHash)?)?;
        if ver == self.ver { Ok(()) } else { Err(CapsError::Mismatch) }
    }

    /// Appends the `<c/>`.
    pub fn write(&self, out: &mut String) {
        out.push_str("<c");
        write::attribute(out, "xmlns", ns::CAPS);
        write::attribute(out, "hash", &self.hash);
        write::attribute(out, "node", &self.node);
        write::attribute(out, "ver", &self.ver);
        out.push_str("/>");
    }

    /// Presence for this address alone (RFC 6121 § 4.6.2), with these capabilities and nothing else (XEP-0276). If it `asks`, whoever is
    /// there is asked to show itself as well.
    #[must_use]
    pub fn directed_presence(&self, to: &Jid, asks: bool) -> String {
        let mut presence = String::from("<presence");
        write::attribute(&mut presence, "to", to.as_str());
        presence.push('>');
        self.write(&mut presence);
        if asks {
            presence.push_str("<decloak");
            write::attribute(&mut presence, "xmlns", ns::DECLOAK);
            presence.push_str("/>");
        }
        presence + "</presence>"
    }
}

/// What an entity tells of itself: its answer to disco#info, and the `<c/>` for its presence.
///
/// ```
/// use xtls_stanza::{Disco, DiscoIdentity, DiscoInfo, Element, Iq, Limits};
///
/// let info = DiscoInfo::new(DiscoIdentity::new("client", "pc").with_name("Exodus 0.9.1"));
/// let disco = Disco::new(info, "http://code.google.com/p/exodus")?;
///
/// let query = "<iq type='get' id='1' from='a@b/c'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>";
/// let query = Element::parse(query, &Limits::default())?;
/// let mut answer = String::new();
/// if let Some(Ok(iq)) = Iq::parse(&query) {
///     assert!(disco.answer(&iq, "a@b/c", None, &mut answer));
/// }
/// assert!(answer.contains("<feature var='http://jabber.org/protocol/caps'/>"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// When the features change, make another one and send the presence again (XEP-0115 § 6.1).
#[derive(Debug, Clone)]
pub struct Disco {
    info: DiscoInfo,
    caps: Caps,
}

impl Disco {
    /// The entity that `info` describes, under SHA-1, which everybody knows (XEP-0115 § 9.1). The feature of capabilities is
    /// added (§ 7). `node` is the URI of its software.
    ///
    /// # Errors
    ///
    /// When it has no identity, or no verification string.
    pub fn new(info: DiscoInfo, node: &str) -> Result<Self, CapsError> {
        // XEP-0030 § 3.1: every entity has at least one.
        if info.identities.is_empty() {
            return Err(CapsError::Identity);
        }
        let info = info.with_features([ns::DISCO_INFO, ns::CAPS]);
        let caps = Caps::of(&info, node, HashAlgo::Sha1)?;
        Ok(Self { info, caps })
    }

    /// What it is and can do.
    #[must_use]
    pub fn info(&self) -> &DiscoInfo {
        &self.info
    }

    /// What belongs into its presence.
    #[must_use]
    pub fn caps(&self) -> &Caps {
        &self.caps
    }

    /// Appends the answer to a disco#info query, and tells whether `iq` is one. Another node than none and that of the
    /// capabilities is unknown: item-not-found.
    pub fn answer(&self, iq: &Iq<'_>, to: &str, from: Option<&str>, out: &mut String) -> bool {
        let query = iq.payload.filter(|payload| iq.iq_type == IqType::Get && payload.is("query", ns::DISCO_INFO));
        let Some(query) = query else { return false };
        let node = query.attribute("node");
        if node.is_none_or(|node| node == self.caps.disco_node()) {
            self.info.write_result(out, iq.id, to, from, node);
        } else {
            Iq::write_error(out, iq.id, to, from, &StanzaError::new(Condition::ItemNotFound));
        }
        true
    }
}

impl fmt::Display for CapsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DuplicateIdentity => "an identity given twice",
            Self::DuplicateFeature => "a feature given twice",
            Self::FormType => "forms whose types are not told apart",
            Self::Identity => "no identity with a category and a type",
            Self::Ambiguous => "a text that can be read in two ways",
            Self::UnknownHash => "a hash algorithm that cannot be checked",
            Self::Mismatch => "another verification string",
        })
    }
}

impl core::error::Error for CapsError {}

/// The names of the hash functions that are computed, as XEP-0115 takes them from their registry.
const HASHES: [(&str, HashAlgo); 5] = [
    ("sha-1", HashAlgo::Sha1),
    ("sha-224", HashAlgo::Sha224),
    ("sha-256", HashAlgo::Sha256),
    ("sha-384", HashAlgo::Sha384),
    ("sha-512", HashAlgo::Sha512),
];

/// Appends one part and the `<` that ends it.
fn push(out: &mut String, part: &str) -> Result<(), CapsError> {
    if part.contains('<') {
        return Err(CapsError::Ambiguous);
    }
    out.push_str(part);
    out.push('<');
    Ok(())
}

fn has_repetition<T: PartialEq>(sorted: &[T]) -> bool {
    sorted.windows(2).any(|pair| matches!(pair, [one, other] if one == other))
}
