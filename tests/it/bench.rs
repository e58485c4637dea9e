//! The parts of the bench that a wrong figure could come from. They are tested here because a bench of its own runner has
//! no tests.

#[path = "../bench/end_to_end/compare.rs"]
#[expect(dead_code, reason = "the bench makes more of it")]
mod compare;
#[path = "../bench/end_to_end/load/hpack.rs"]
mod hpack;
#[path = "../bench/end_to_end/load/latency.rs"]
mod latency;

use std::time::Duration;

use compare::Figure;
use compare::Samples;
use compare::Target;
use compare::Verdict;
use compare::judge;
use hpack::Malformed;
use hpack::Table;
use latency::Latency;

#[test]
fn only_what_every_round_says_is_claimed() {
    let goal = Some(Target::AtMost { required: 1.0, goal: Some(0.75) });
    let least = Some(Target::AtLeast { required: 1.4 });
    let no_claim = |why: &str| Verdict::NoClaim(why.to_owned());
    for (ours, base, target, want) in [
        (&[7.0, 7.2, 6.9][..], Some(&[10.0, 10.1, 9.9][..]), goal, Verdict::Goal),
        (&[8.0, 8.2, 7.9], Some(&[10.0, 10.1, 9.9]), goal, Verdict::Pass),
        (&[12.0, 12.2, 11.9], Some(&[10.0, 10.1, 9.9]), goal, Verdict::Fail),
        (&[9.9, 10.2], Some(&[10.0, 10.0]), goal, no_claim("1 of 2 rounds meet the target")),
        (&[5.0, 7.0], Some(&[10.0, 10.0]), goal, no_claim("runs spread by 33 %, over 15 %")),
        (&[5.0, 5.0], Some(&[10.0, 14.0]), goal, no_claim("runs spread by 33 %, over 15 %")),
        (&[5.0], Some(&[10.0]), goal, no_claim("one round proves nothing")),
        (&[f64::NAN, 5.0], Some(&[10.0, 10.0]), goal, no_claim("a round found no number")),
        (&[5.0, 5.0], Some(&[10.0, 0.0]), goal, no_claim("a round found no number")),
        (&[15.0, 15.1], Some(&[10.0, 10.0]), least, Verdict::Pass),
        (&[13.0, 13.1], Some(&[10.0, 10.0]), least, Verdict::Fail),
        (&[14.0, 14.5], None, Some(Target::at_most(15.0)), Verdict::Pass),
        (&[14.0, 24.5], None, None, Verdict::Told),
    ] {
        let figure = Figure { ours: Samples(ours.to_vec()), base: base.map(|base| Samples(base.to_vec())) };
        assert_eq!(judge(&figure, target, 0.15), want, "{figure:?}");
    }
}

#[test]
fn quantiles_are_where_they_should_be() {
    for (step, unit) in [(1, "ns"), (1000, "us"), (1_000_000, "ms")] {
        let mut latency = Latency::new();
        for count in 1..=1000 {
            latency.record(Duration::from_nanos(count * step));
        }
        for (share, want) in [(0.001, 1), (0.5, 500), (0.99, 990), (0.999, 999), (1.0, 1000)] {
            let (got, want) = (latency.quantile(share).as_nanos(), want * u128::from(step));
            assert!((want..=want + want / 64).contains(&got), "{share} of {unit}: {got}, not {want}");
        }
    }
}

fn read(table: &mut Table, block: &[u8]) -> Result<Vec<String>, Malformed> {
    let mut lines = Vec::new();
    table.read(block, |name, value| {
        lines.push(format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value)));
    })?;
    Ok(lines)
}

/// RFC 7541 C.6: answers with Huffman coding over one table of 256 octets, so that the third pushes out the first.
#[test]
fn the_header_blocks_of_the_rfc_are_read() {
    let octets = |hex: &str| -> Vec<u8> {
        let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
        digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).expect("two digits")).collect()
    };
    let mut table = Table::new();
    // §6.3: a table of 256 octets.
    assert_eq!(read(&mut table, &octets("3fe101")), Ok(vec![]));
    for (block, want) in [
        (
            "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 \
             63c7 8f0b 97c8 e9ae 82ae 43d3",
            &[
                ":status: 302",
                "cache-control: private",
                "date: Mon, 21 Oct 2013 20:13:21 GMT",
                "location: https://www.example.com",
            ][..],
        ),
        (
            "4883 640e ffc1 c0bf",
            &[
                ":status: 307",
                "cache-control: private",
                "date: Mon, 21 Oct 2013 20:13:21 GMT",
                "location: https://www.example.com",
            ],
        ),
        (
            "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 \
             b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
            &[
                ":status: 200",
                "cache-control: private",
                "date: Mon, 21 Oct 2013 20:13:22 GMT",
                "location: https://www.example.com",
                "content-encoding: gzip",
                "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
            ],
        ),
    ] {
        assert_eq!(read(&mut table, &octets(block)).expect("a block"), want);
    }
}

#[test]
fn a_header_block_that_is_cut_short_is_malformed() {
    for block in [&[0x40][..], &[0x48, 0x82, 0x64], &[0xff], &[0xff, 0x80, 0x80, 0x80, 0x80], &[0x80], &[0xc0]] {
        assert_eq!(read(&mut Table::new(), block), Err(Malformed), "{block:?}");
    }
}
