//! A gibibyte through one tunnel, in a process of its own: the bytes are what was sent, and memory stays as it is.

use crate::{
    args::Part,
    engines::{Pair, direct_config, noise},
    failure::{Failure, Missing},
    memory::{RESIDENT, resident},
    part,
    plan::Plan,
    references::tls::bulk_provider,
    report::{Line, Target, Unit},
    row::Row,
    stats::Quartiles,
};

/// Bytes that are sent at once. No whole number of blocks, so that each time they are cut up in another way.
const WRITE: usize = (1 << 20) - 7;
/// Memory is looked at each time that so many bytes have gone through.
const LOOK: usize = 64 << 20;

/// Measures it, if it is wanted.
pub(crate) fn measure(plan: &Plan) -> Result<Vec<Line>, Failure> {
    if !plan.wants(Row::Long) {
        return Ok(Vec::new());
    }
    let mebibytes = plan.mebibytes();
    let name = format!("most resident bytes until {mebibytes} MiB went through / after {} MiB", LOOK >> 20);
    let target = Target::new(Row::Long, name, Unit::Bytes, 1.05, 1.0);
    let found = if resident().is_err() {
        Err(Missing::new(format!("no {RESIDENT}")))
    } else {
        let looks = part::run(&Part::Long { mebibytes })?;
        let first = *looks.first().ok_or_else(|| Failure::new("figures were expected"))?;
        let most = looks.iter().copied().fold(first, f64::max);
        plan.note(format!("{mebibytes} MiB: {first:.0} bytes resident after {} MiB, {most:.0} at most", LOOK >> 20));
        Ok(Quartiles::exact(most / first))
    };
    Ok(vec![target.line(found)])
}

/// What a process of its own measures: resident bytes, each time that [`LOOK`] more have gone through and at the end.
pub(crate) fn of(mebibytes: u16) -> Result<String, Failure> {
    let data = noise(WRITE);
    let mut pair = Pair::bulk(&direct_config(), &bulk_provider());
    let (mut sent, mut next, mut looks) = (0, LOOK, Vec::new());
    while sent < usize::from(mebibytes) << 20 {
        let mut rest = &data[..];
        pair.transfer(
            &data,
            |_, _| (),
            |bytes| {
                let (now, later) = rest.split_at(bytes.len());
                assert!(bytes == now, "what comes is what was sent");
                rest = later;
            },
        );
        assert!(rest.is_empty(), "all of it comes");
        sent += WRITE;
        if sent >= next {
            looks.push(resident()?);
            next += LOOK;
        }
    }
    looks.push(resident()?);
    Ok(looks.iter().map(f64::to_string).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::float;

    #[test]
    fn what_comes_is_compared_and_memory_is_looked_at() {
        let looks = of(2).expect("it goes through");
        let bytes: f64 = looks.parse().expect("one figure");
        assert!(bytes > float(WRITE), "{bytes}");
    }
}
