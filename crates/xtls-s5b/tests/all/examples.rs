//! The examples of XEP-0260.

use xtls_s5b::{CandidateType, DstAddr, S5bPayload};

use crate::{JULIET, ROMEO, jid, read};

#[test]
fn xep_0260_example_1_candidates_of_the_initiator_and_what_its_proxies_are_asked_for() {
    let offer = read(
        "dstaddr='972b7bf47291ca609517f67f86b5081086052dad' mode='tcp' sid='vj3hs98y'",
        "<candidate cid='hft54dqy' host='192.168.4.1' jid='romeo@montague.lit/orchard' port='5086' priority='8257636' type='direct'/>\
         <candidate cid='hutr46fe' host='24.24.24.1' jid='romeo@montague.lit/orchard' port='5087' priority='8258636' type='direct'/>\
         <candidate cid='xmdh4b7i' host='123.456.7.8' jid='streamer.shakespeare.lit' port='7625' priority='7878787' type='proxy'/>",
    );
    let offer = offer.unwrap();
    let places: Vec<_> = offer.candidates().iter().map(|at| (at.cid.as_str(), at.host.as_str(), at.port)).collect();
    // The one of the proxy is no address: whoever looks it up finds nothing.
    assert_eq!(
        places,
        [("hutr46fe", "24.24.24.1", 5087), ("hft54dqy", "192.168.4.1", 5086), ("xmdh4b7i", "123.456.7.8", 7625)]
    );
    assert_eq!(offer.candidates()[2].jid, jid("streamer.shakespeare.lit"));
    assert_eq!(offer.dst_addr, Some(DstAddr::new("vj3hs98y", &jid(ROMEO), &jid(JULIET))));
}

#[test]
fn xep_0260_example_3_candidates_of_the_responder_and_what_its_proxies_are_asked_for() {
    let answer = read(
        "dstaddr='1a12fb7bc625e55f3ed5b29a53dbe0e4aa7d80ba' sid='vj3hs98y'",
        "<candidate cid='ht567dq' host='192.169.1.10' jid='juliet@capulet.lit/balcony' port='6539' priority='8257636' type='direct'/>\
         <candidate cid='grt654q2' host='2001:638:708:30c9:219:d1ff:fea4:a17d' jid='juliet@capulet.lit/balcony' port='6539' \
         priority='8257606' type='direct'/>\
         <candidate cid='hr65dqyd' host='134.102.201.180' jid='juliet@capulet.lit/balcony' port='16453' priority='7929856' type='assisted'/>\
         <candidate cid='pzv14s74' host='234.567.8.9' jid='proxy.marlowe.lit' port='7676' priority='7788877' type='proxy'/>",
    );
    let answer = answer.unwrap();
    let kinds: Vec<_> = answer.candidates().iter().map(|candidate| candidate.kind).collect();
    use CandidateType::{Assisted, Direct, Proxy};
    assert_eq!(kinds, [Direct, Direct, Assisted, Proxy]);
    assert_eq!(answer.candidates()[1].host.as_str(), "2001:638:708:30c9:219:d1ff:fea4:a17d");
    assert_eq!(answer.dst_addr, Some(DstAddr::new("vj3hs98y", &jid(JULIET), &jid(ROMEO))));
}

#[test]
fn xep_0260_example_5_7_11_and_12_are_what_is_said_of_candidates() {
    for (inner, payload) in [
        ("<candidate-used cid='hr65dqyd'/>", S5bPayload::CandidateUsed("hr65dqyd".into())),
        ("<candidate-error/>", S5bPayload::CandidateError),
        ("<activated cid='xmdh4b7i'/>", S5bPayload::Activated("xmdh4b7i".into())),
        ("<proxy-error/>", S5bPayload::ProxyError),
    ] {
        assert_eq!(read("sid='vj3hs98y'", inner).unwrap().payload, payload);
    }
}
