//! Row 6: a tunnel from its offer until it is secured at both ends, beside a handshake of bare rustls with the same certificates
//! and algorithms.

use std::{hint::black_box, sync::Arc, time::Instant};

use rustls::crypto::{CryptoProvider, aws_lc_rs::kx_group};
use xtls::{
    Engine, TunnelId,
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
    stats::{Subject, float_u64, speed},
};

/// Measures row 6, if it is wanted.
pub(crate) fn measure(plan: &Plan) -> Result<Vec<Line>, Failure> {
    if !plan.wants(Row::Handshake) {
        return Ok(Vec::new());
    }
    let mut lines = Vec::new();
    for key in [KeyAlgorithm::EcdsaP256, KeyAlgorithm::Ed25519] {
        for (exchange, provider) in [("X25519MLKEM768", post_quantum()), ("X25519", provider_with(kx_group::X25519))] {
            lines.push(one(plan, key, exchange, &provider)?);
        }
    }
    Ok(lines)
}

fn post_quantum() -> Arc<CryptoProvider> {
    Arc::new(default_provider().as_ref().clone())
}

/// Opens and closes tunnels for so many seconds and does nothing else; tells how many in a second.
pub(crate) fn alone(seconds: u16) -> String {
    let mut ends = Ends::new(&Who::both(KeyAlgorithm::EcdsaP256), &post_quantum());
    let (start, mut count) = (clock::now(), 0);
    while clock::since(start) < f64::from(seconds) {
        ends.tunnel();
        count += 1;
    }
    format!("{:.0} tunnels in a second", float_u64(count) / clock::since(start))
}

fn one(plan: &Plan, key: KeyAlgorithm, exchange: &str, provider: &Arc<CryptoProvider>) -> Result<Line, Failure> {
    let who = Who::both(key);
    let configs = Configs::new(&who, provider);
    let mut ends = Ends::new(&who, provider);
    ends.check(exchange);
    let mut subjects = [
        Subject::timed("engine", |count| Ok((0..count).map(|_| ends.tunnel()).sum())),
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

/// Two engines that open tunnels to each other.
struct Ends {
    engines: [Engine; 2],
    to: Who,
    now: Instant,
}

impl Ends {
    fn new(who: &[Who; 2], provider: &Arc<CryptoProvider>) -> Self {
        let [romeo, juliet] = who;
        let now = clock::now();
        let engines = [
            romeo.engine(direct_config(), &[juliet], provider, now),
            juliet.engine(direct_config(), &[romeo], provider, now),
        ];
        Self { engines, to: juliet.clone(), now }
    }

    /// Opens a tunnel, which is secured at both ends; how long it took. It is closed too, which does not count.
    fn tunnel(&mut self) -> f64 {
        let start = clock::now();
        let [id, _] = open(self.engines.each_mut(), &self.to, &raw(), self.now);
        let seconds = clock::since(start);
        self.close(id);
        seconds
    }

    fn close(&mut self, id: TunnelId) {
        self.engines[0].tunnel(id).expect("it is open").close(self.now);
        settle(self.engines.each_mut(), self.now, &raw(), |_, _| ());
        assert!(self.engines.iter().all(|end| end.tunnels().next().is_none()), "nothing stays");
    }

    /// Both sides of the ratio are to exchange keys alike.
    fn check(&mut self, exchange: &str) {
        let [id, _] = open(self.engines.each_mut(), &self.to, &raw(), self.now);
        let tunnel = self.engines[0].tunnel(id).expect("it is open");
        let group = tunnel.security().map_or("none", |security| security.tls.group);
        assert!(group.eq_ignore_ascii_case(exchange), "{group}");
        self.close(id);
    }
}
