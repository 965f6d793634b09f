//! A sequence is found exactly when a plain search over all kept matches finds one: what the
//! real search leaves out early never mattered.

use super::*;

const TIMESPAN: f64 = 30.0;
/// The second step binds anew what the first has bound.
const BODY: &str = "type: sequence, timespan: 30s, steps: [{rule: a, bind: {target: dst, who: user}}, {rule: b, match: {target: host}, bind: {target: dst}}, {rule: c, match: {target: host, who: user}}]";

/// A match as the test makes it: second, step, and three values.
type Made = (u8, usize, u8, u8, u8);

fn fields(made: &Made) -> [(&'static str, &'static str); 3] {
    const VALUES: [&str; 2] = ["x", "y"];
    let value = |number: u8| VALUES[usize::from(number) % VALUES.len()];
    let (_, _, dst, host, user) = *made;
    [
        ("dst", value(dst)),
        ("host", value(host)),
        ("user", value(user)),
    ]
}

fn value(made: &Made, name: &str) -> &'static str {
    let fields = fields(made);
    let found = fields.iter().find(|(field, _)| *field == name);
    found.map_or("", |(_, value)| value)
}

fn is_chain(first: &Made, second: &Made, third: &Made) -> bool {
    let in_order = first.0 <= second.0 && second.0 <= third.0;
    let in_time = f64::from(third.0) - f64::from(first.0) <= TIMESPAN;
    in_order
        && in_time
        && value(first, "dst") == value(second, "host")
        && value(second, "dst") == value(third, "host")
        && value(first, "user") == value(third, "user")
}

/// Whether any three of the matches, one of them the last, make a chain.
fn has_chain(kept: &[(usize, Made)]) -> bool {
    let of = |step: usize| kept.iter().filter(move |(_, made)| made.1 == step);
    let last = kept.last().map(|(number, _)| *number);
    of(0).any(|first| {
        of(1).any(|second| {
            of(2).any(|third| {
                let numbers = [first.0, second.0, third.0];
                numbers.iter().any(|number| Some(*number) == last)
                    && is_chain(&first.1, &second.1, &third.1)
            })
        })
    })
}

proptest! {
    #[test]
    fn nothing_is_left_out_that_makes_a_chain(
        made in proptest::collection::vec((0_u8..60, 0_usize..3, 0_u8..2, 0_u8..2, 0_u8..2), 1..40)
    ) {
        let set = set(BODY);
        let mut analytics = Analytics::new(&set);
        let mut kept: Vec<(usize, Made)> = Vec::new();
        for (number, one) in made.iter().enumerate() {
            kept.push((number, *one));
            let fields = fields(one);
            let findings = feed(&mut analytics, &set, number, &(f64::from(one.0), one.1, &fields));
            prop_assert_eq!(!findings.is_empty(), has_chain(&kept), "at match {}", number);
            let used = findings.iter().flat_map(|finding| &finding.event_ids);
            let used: Vec<usize> = used.map(|id| id.position() as usize).collect();
            kept.retain(|(number, _)| !used.contains(number));
        }
    }
}
