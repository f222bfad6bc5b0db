//! Row 6: a tunnel from its offer until it is secured at both ends, beside a handshake of bare rustls with the same certificates
//! and algorithms.

use std::{hint::black_box, sync::Arc};

use rustls::crypto::{CryptoProvider, aws_lc_rs::kx_group};
use xtls::{
    Engine,
    tls::{KeyAlgorithm, default_provider},
};

use crate::{
    clock,
    engines::{Who, direct_config, open, raw, settle},
    failure::Failure,
    plan::Plan,
    references::tls::{Configs, provider_with},
    report::{Line, Target, Unit},
    row::Row,
    stats::{Subject, speed},
};

/// Measures row 6, if it is wanted.
pub(crate) fn measure(plan: &Plan) -> Result<Vec<Line>, Failure> {
    if !plan.wants(Row::Handshake) {
        return Ok(Vec::new());
    }
    let mut lines = Vec::new();
    let post_quantum = || Arc::new(default_provider().as_ref().clone());
    for key in [KeyAlgorithm::EcdsaP256, KeyAlgorithm::Ed25519] {
        for (exchange, provider) in [("X25519MLKEM768", post_quantum()), ("X25519", provider_with(kx_group::X25519))] {
            lines.push(one(plan, key, exchange, &provider)?);
        }
    }
    Ok(lines)
}

fn one(plan: &Plan, key: KeyAlgorithm, exchange: &str, provider: &Arc<CryptoProvider>) -> Result<Line, Failure> {
    let who = Who::both(key);
    let [romeo, juliet] = &who;
    let now = clock::now();
    let configs = Configs::new(&who, provider);
    let mut ends = [
        romeo.engine(direct_config(), &[juliet], provider, now),
        juliet.engine(direct_config(), &[romeo], provider, now),
    ];
    check(&mut ends, juliet, exchange);
    let options = raw();
    let tunnels = |count: u64| {
        let mut seconds = 0.0;
        for _ in 0..count {
            let start = clock::now();
            let [id, _] = open(&mut ends, juliet, &options, now);
            seconds += clock::since(start);
            // What is opened is closed, and that does not count.
            let [one, other] = &mut ends;
            one.tunnel(id).expect("it is open").close(now);
            settle([one, other], now, &options, |_, _| ());
        }
        assert!(ends.iter().all(|end| end.tunnels().next().is_none()), "nothing stays");
        Ok(seconds)
    };
    let mut subjects = [
        Subject::timed("engine", tunnels),
        Subject::new("bare rustls", || {
            black_box(configs.handshake());
        }),
    ];
    plan.sampling().interleave(&mut subjects)?;
    for subject in &subjects {
        plan.note(format!("{key} with {exchange}: {} {:.0} us", subject.name(), subject.median() * 1e6));
    }
    let (gate, aim) =
        if key == KeyAlgorithm::EcdsaP256 && exchange == "X25519MLKEM768" { (0.85, 0.93) } else { (0.75, 0.85) };
    let name = format!("tunnels secured / handshakes of bare rustls, {key} with {exchange}");
    let target = Target::new(Row::Handshake, name, Unit::Speed, gate, aim);
    Ok(target.line(Ok(speed(subjects[0].samples(), subjects[1].samples()))))
}

/// Both sides of the ratio are to exchange keys alike.
fn check(ends: &mut [Engine; 2], to: &Who, exchange: &str) {
    let now = clock::now();
    let [id, _] = open(ends, to, &raw(), now);
    let mut tunnel = ends[0].tunnel(id).expect("it is open");
    let group = tunnel.security().map_or("none", |security| security.tls.group);
    assert!(group.eq_ignore_ascii_case(exchange), "{group}");
    tunnel.close(now);
    let [one, other] = ends;
    settle([one, other], now, &raw(), |_, _| ());
}
