//! Days of a zone, ranges of them, and what is added up.

use proptest::prelude::*;

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn range(from: &str, to: &str, zone: Tz) -> Option<Range> {
    let limit = |text: &str| (!text.is_empty()).then(|| Limit::read(text).unwrap());
    Range::new(limit(from), limit(to), zone)
}

#[test]
fn a_day_begins_at_midnight_of_its_zone_or_as_soon_as_there_is_a_time() {
    let berlin = chrono_tz::Europe::Berlin;
    for (zone, date, expected) in [
        (berlin, "2026-01-15", "2026-01-14T23:00:00Z"),
        (berlin, "2026-07-15", "2026-07-14T22:00:00Z"),
        (chrono_tz::UTC, "2026-07-15", "2026-07-15T00:00:00Z"),
        // Clocks go from midnight to one.
        (chrono_tz::Africa::Cairo, "2026-04-24", "2026-04-23T22:00:00Z"),
        // Clocks go from one to midnight: it is midnight twice.
        (chrono_tz::America::Havana, "2026-11-01", "2026-11-01T04:00:00Z"),
        // A day that was skipped begins when the next one does.
        (chrono_tz::Pacific::Apia, "2011-12-30", "2011-12-30T10:00:00Z"),
        (chrono_tz::Pacific::Apia, "2011-12-31", "2011-12-30T10:00:00Z"),
    ] {
        assert_eq!(start_of(day(date), zone), at(expected), "{zone} {date}");
    }
    assert_eq!(day_of(at("2026-01-14T23:00:00Z"), berlin), day("2026-01-15"));
    assert_eq!(day_of(at("2026-01-14T22:59:59.999Z"), berlin), day("2026-01-14"));
}

#[test]
fn limits_are_dates_and_moments() {
    assert_eq!(Limit::read("2026-03-01"), Ok(Limit::Day(day("2026-03-01"))));
    for text in [
        "2026-03-01T12:00:00Z",
        "2026-03-01T14:00:00+02:00",
        "2026-03-01T14:00:00 02:00",
    ] {
        assert_eq!(
            Limit::read(text),
            Ok(Limit::Moment(at("2026-03-01T12:00:00Z"))),
            "{text}"
        );
    }
    for text in [
        "",
        "today",
        "2026-02-30",
        "2026-3-1",
        "2026-03-01T12:00",
        "+2026-03-1",
        "1772366400",
        "20260301",
    ] {
        assert!(Limit::read(text).is_err(), "{text}");
    }
}

#[test]
fn a_range_includes_its_last_day_but_not_its_last_moment() {
    let berlin = chrono_tz::Europe::Berlin;
    let days = range("2026-03-01", "2026-03-01", berlin).unwrap();
    assert_eq!(days.from, Some(at("2026-02-28T23:00:00Z")));
    assert_eq!(days.until, Some(at("2026-03-01T23:00:00Z")));
    let moments = range("2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z", berlin).unwrap();
    assert_eq!(moments.from, moments.until);
    assert_eq!(range("", "", berlin), Some(Range::default()));
    for (from, to) in [
        ("2026-03-02", "2026-03-01"),
        ("2026-03-01T00:00:01Z", "2026-03-01T00:00:00Z"),
        ("2026-03-02", "2026-03-01T22:59:59Z"),
        ("2026-03-01T23:00:00Z", "2026-03-01"),
    ] {
        assert_eq!(range(from, to, berlin), None, "{from} {to}");
    }
}

#[test]
fn a_range_is_cut_at_midnights() {
    let utc = chrono_tz::UTC;
    let parts = |from: &str, to: &str| {
        let parts = range(from, to, utc).unwrap().parts(utc);
        let pieces: Vec<_> = parts
            .pieces
            .iter()
            .map(|piece| (piece.from, piece.until))
            .collect();
        (parts.first, parts.last, pieces)
    };
    let (one, two, three) = (
        Some(day("2026-03-01")),
        Some(day("2026-03-02")),
        Some(day("2026-03-03")),
    );
    let (noon, evening) = ("2026-03-01T12:00:00Z", "2026-03-01T18:00:00Z");
    let (midnight, late) = ("2026-03-02T00:00:00Z", "2026-03-04T06:00:00Z");
    assert_eq!(parts("", ""), (None, None, vec![]));
    assert_eq!(parts("2026-03-01", "2026-03-03"), (one, three, vec![]));
    assert_eq!(parts("2026-03-01", ""), (one, None, vec![]));
    assert_eq!(parts(noon, ""), (two, None, vec![(at(noon), at(midnight))]));
    let both = vec![(at(noon), at(midnight)), (at("2026-03-04T00:00:00Z"), at(late))];
    assert_eq!(parts(noon, late), (two, three, both));
    // Within one day there is no whole one.
    let (first, last, pieces) = parts(noon, evening);
    assert_eq!((first, last), (two, Some(day("2026-02-28"))));
    assert_eq!(pieces, [(at(noon), at(evening))]);
    assert_eq!(
        parts("2026-03-01", evening).2,
        [(at("2026-03-01T00:00:00Z"), at(evening))]
    );
    assert_eq!(parts(noon, noon).2, []);
    assert_eq!(parts(noon, midnight).2, [(at(noon), at(midnight))]);
}

proptest! {
    /// Whatever the range and the zone, a moment is in the range exactly when one part has it.
    #[test]
    fn the_parts_of_a_range_are_the_range(
        from in proptest::option::of(0_i64..400), hours in 0_i64..400, open in any::<bool>(), probe in -100_i64..900,
        zone in prop::sample::select(vec![chrono_tz::UTC, chrono_tz::Europe::Berlin, chrono_tz::Africa::Cairo,
            chrono_tz::America::Havana, chrono_tz::Asia::Kathmandu]),
    ) {
        let base = at("2026-10-20T07:20:00Z");
        let from = from.map(|from| base + TimeDelta::hours(from));
        let until = (!open).then(|| from.unwrap_or(base) + TimeDelta::hours(hours));
        let range = Range { from, until };
        let parts = range.parts(zone);
        let probe = base + TimeDelta::hours(probe);
        let inside = from.is_none_or(|from| from <= probe) && until.is_none_or(|until| probe < until);
        let day = day_of(probe, zone);
        let pieces = parts.pieces.iter().filter(|piece| piece.from <= probe && probe < piece.until).count();
        prop_assert_eq!(pieces + usize::from(parts.has(day)), usize::from(inside));
        prop_assert!(parts.pieces.iter().all(|piece| day_of(piece.from, zone) == piece.day));
        let just_before = |piece: &Piece| day_of(piece.until - TimeDelta::microseconds(1), zone);
        prop_assert!(parts.pieces.iter().all(|piece| just_before(piece) == piece.day));
    }
}

#[test]
fn calls_add_up_in_every_way_that_is_shown() {
    let mut totals = Totals::default();
    let friday = day("2026-03-06");
    let good = Kind::new(friday, Some("Positive"), Some(true), Some("user_hangup"));
    let odd = Kind::new(friday, Some("angry"), None, None);
    totals.add(&good, Sums::of_call(Some(1.25), Some(0.1)));
    totals.add(&good, Sums::of_call(None, Some(0.2)));
    totals.add(&odd, Sums::of_call(Some(0.75), None));
    assert_eq!(
        (totals.all.calls, totals.all.minutes(), totals.all.cents()),
        (3, 2.0, 0.3)
    );
    assert_eq!(totals.sentiments[&Sentiment::Positive].calls, 2);
    assert_eq!(totals.sentiments[&Sentiment::Unknown].calls, 1);
    assert_eq!(
        (totals.outcomes[&Some(true)].calls, totals.outcomes[&None].calls),
        (2, 1)
    );
    assert_eq!(totals.frequent_reasons(), [("user_hangup", 2)]);
    let mut left = totals.days[&friday];
    for sums in [
        Sums::of_call(Some(2.0), Some(0.3)),
        Sums::of_call(None, None),
        Sums::of_call(None, None),
    ] {
        left.add(sums.negated());
    }
    assert!(left.is_nothing());
}

#[test]
fn the_most_frequent_reason_comes_first() {
    let mut totals = Totals::default();
    for (reason, calls) in [("a", 1), ("b", 3), ("c", 2), ("d", 2)] {
        let kind = Kind::new(day("2026-03-06"), None, None, Some(reason));
        totals.add(
            &kind,
            Sums {
                calls,
                ..Sums::default()
            },
        );
    }
    assert_eq!(
        totals.frequent_reasons(),
        [("b", 3), ("c", 2), ("d", 2), ("a", 1)]
    );
}

#[test]
fn a_reason_of_any_length_fits_into_an_index() {
    let kind = Kind::new(day("2026-03-06"), None, None, Some(&"é".repeat(10_000)));
    assert_eq!(kind.reason.chars().count(), 100);
}
