//! What the claims of a token with a good signature must say. Pure: the time is given.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};
use switchhook_core::ids::UserId;

use super::User;

/// Clocks of others may be off by this much.
const LEEWAY: TimeDelta = TimeDelta::seconds(60);
const EMAIL_MAX_CHARS: usize = 320;

/// Why a token proves nothing. Each completes the sentence `The token …`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum TokenFault {
    /// Not three parts of base64, an algorithm of another kind, or a wrong signature.
    #[error("is malformed or not signed by a key that is trusted here")]
    Unproven,
    /// No `exp`, or one that is no number.
    #[error("has no usable expiry (exp)")]
    NoExpiry,
    /// `exp` has passed.
    #[error("has expired")]
    Expired,
    /// `nbf` has not come.
    #[error("is not valid yet")]
    NotYet,
    /// `iss` is another's.
    #[error("comes from another issuer")]
    Issuer,
    /// `aud` does not name us.
    #[error("is meant for another audience")]
    Audience,
    /// `sub` is no user id.
    #[error("names no user: sub must be text of 1 to 255 characters")]
    Subject,
    /// The keys cannot be had at the moment.
    #[error("cannot be verified now: the keys are out of reach")]
    KeysOutOfReach,
}

/// What is expected of every token.
#[derive(Debug, Clone, Default)]
pub(super) struct Expected {
    pub(super) issuer: Option<String>,
    pub(super) audience: Option<String>,
}

impl Expected {
    /// The user that the claims name.
    pub(super) fn user(&self, claims: Map<String, Value>, now: DateTime<Utc>) -> Result<User, TokenFault> {
        let expires_at = claims.get("exp").and_then(moment).ok_or(TokenFault::NoExpiry)?;
        if now >= expires_at + LEEWAY {
            return Err(TokenFault::Expired);
        }
        if let Some(not_before) = claims.get("nbf") {
            let not_before = moment(not_before).ok_or(TokenFault::NotYet)?;
            if now + LEEWAY < not_before {
                return Err(TokenFault::NotYet);
            }
        }
        if self.issuer.is_some() && claims.get("iss").and_then(Value::as_str) != self.issuer.as_deref() {
            return Err(TokenFault::Issuer);
        }
        if let Some(audience) = &self.audience
            && !texts(claims.get("aud")).any(|own| own == audience)
        {
            return Err(TokenFault::Audience);
        }
        let subject = claims.get("sub").and_then(Value::as_str).and_then(UserId::parse);
        let id = subject.ok_or(TokenFault::Subject)?;
        let email = claims
            .get("email")
            .and_then(Value::as_str)
            .filter(|text| is_storable(text))
            .map(str::to_owned);
        let roles = texts(claims.get("role")).map(str::to_owned).collect();
        Ok(User {
            id,
            email,
            roles,
            expires_at,
            claims,
        })
    }
}

fn is_storable(email: &str) -> bool {
    !email.is_empty() && !email.contains('\0') && email.chars().count() <= EMAIL_MAX_CHARS
}

/// A text, or the texts of an array.
fn texts(claim: Option<&Value>) -> impl Iterator<Item = &str> {
    let (one, several) = match claim {
        Some(Value::String(one)) => (Some(one.as_str()), None),
        Some(Value::Array(several)) => (None, Some(several)),
        _ => (None, None),
    };
    one.into_iter()
        .chain(several.into_iter().flatten().filter_map(Value::as_str))
}

/// Seconds since 1970, whole or not; beyond the calendar is the end of the calendar.
fn moment(claim: &Value) -> Option<DateTime<Utc>> {
    // The year 9999: what the wire's times can show, and far from any overflow.
    const LAST: f64 = 253_402_300_799.0;
    let seconds = claim.as_f64().filter(|seconds| seconds.is_finite())?;
    DateTime::from_timestamp(seconds.clamp(0.0, LAST) as i64, 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn judge(expected: &Expected, claims: Value) -> Result<User, TokenFault> {
        let Value::Object(claims) = claims else {
            panic!("claims are an object")
        };
        expected.user(claims, DateTime::from_timestamp(NOW, 0).unwrap())
    }

    fn open(claims: Value) -> Result<User, TokenFault> {
        judge(&Expected::default(), claims)
    }

    #[test]
    fn a_user_is_read_from_the_claims() {
        let user =
            open(json!({"sub": "u/1 é", "exp": NOW + 10, "email": "a@b.c", "role": "operator", "x": 1}))
                .unwrap();
        assert_eq!(
            (user.id.as_str(), user.email.as_deref()),
            ("u/1 é", Some("a@b.c"))
        );
        assert!(user.has_role("operator") && !user.has_role("admin"));
        assert_eq!(user.expires_at.timestamp(), NOW + 10);
        assert_eq!(user.claims["x"], 1);
        let several =
            open(json!({"sub": "u", "exp": NOW as f64 + 10.5, "role": ["a", 7, "operator"]})).unwrap();
        assert_eq!(several.roles, ["a", "operator"]);
        assert_eq!(several.email, None);
    }

    #[test]
    fn expiry_is_required_and_has_a_minute_of_leeway() {
        assert!(open(json!({"sub": "u", "exp": NOW - 59})).is_ok());
        assert_eq!(
            open(json!({"sub": "u", "exp": NOW - 60})),
            Err(TokenFault::Expired)
        );
        assert_eq!(open(json!({"sub": "u", "exp": -1e300})), Err(TokenFault::Expired));
        for claims in [
            json!({"sub": "u"}),
            json!({"sub": "u", "exp": "soon"}),
            json!({"sub": "u", "exp": null}),
        ] {
            assert_eq!(open(claims), Err(TokenFault::NoExpiry));
        }
        assert!(open(json!({"sub": "u", "exp": 1e300})).is_ok());
    }

    #[test]
    fn a_token_of_the_future_waits() {
        assert!(open(json!({"sub": "u", "exp": NOW + 999, "nbf": NOW + 60})).is_ok());
        assert_eq!(
            open(json!({"sub": "u", "exp": NOW + 999, "nbf": NOW + 61})),
            Err(TokenFault::NotYet)
        );
        assert_eq!(
            open(json!({"sub": "u", "exp": NOW + 999, "nbf": "later"})),
            Err(TokenFault::NotYet)
        );
    }

    #[test]
    fn issuer_and_audience_count_where_configured() {
        let strict = Expected {
            issuer: Some("https://id/".into()),
            audience: Some("calls".into()),
        };
        let with = |iss: Value, aud: Value| {
            judge(
                &strict,
                json!({"sub": "u", "exp": NOW + 9, "iss": iss, "aud": aud}),
            )
        };
        assert!(with(json!("https://id/"), json!("calls")).is_ok());
        assert!(with(json!("https://id/"), json!(["x", "calls"])).is_ok());
        assert_eq!(with(json!("https://id"), json!("calls")), Err(TokenFault::Issuer));
        assert_eq!(with(json!(null), json!("calls")), Err(TokenFault::Issuer));
        assert_eq!(
            with(json!("https://id/"), json!(["x"])),
            Err(TokenFault::Audience)
        );
        assert_eq!(with(json!("https://id/"), json!(null)), Err(TokenFault::Audience));
        assert!(open(json!({"sub": "u", "exp": NOW + 9, "iss": "other", "aud": "other"})).is_ok());
    }

    #[test]
    fn a_subject_is_text_within_bounds() {
        assert!(open(json!({"sub": "é".repeat(255), "exp": NOW + 9})).is_ok());
        for subject in [
            json!(null),
            json!(7),
            json!(""),
            json!("a".repeat(256)),
            json!("a\u{0}b"),
            json!(["u"]),
        ] {
            assert_eq!(
                open(json!({"sub": subject, "exp": NOW + 9})),
                Err(TokenFault::Subject),
                "{subject}"
            );
        }
    }

    #[test]
    fn an_address_that_cannot_be_stored_is_none() {
        for email in [json!(""), json!("a\u{0}@b"), json!(7), json!("a".repeat(400))] {
            assert_eq!(
                open(json!({"sub": "u", "exp": NOW + 9, "email": email}))
                    .unwrap()
                    .email,
                None
            );
        }
    }

    fn any_claim() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,300}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            proptest::collection::vec(inner, 0..4).prop_map(Value::from)
        })
    }

    proptest! {
        /// Whatever a signed token claims: nothing panics, and a user is one that can be stored.
        #[test]
        fn no_claims_make_it_panic(values in proptest::collection::vec(any_claim(), 7), is_strict: bool) {
            let names = ["sub", "exp", "nbf", "iss", "aud", "email", "role"];
            let claims = names.iter().map(|name| (*name).to_owned()).zip(values).collect();
            let text = || is_strict.then(|| "own".to_owned());
            let expected = Expected { issuer: text(), audience: text() };
            if let Ok(user) = expected.user(claims, DateTime::from_timestamp(NOW, 0).unwrap()) {
                prop_assert!(!user.id.as_str().contains('\0'));
                prop_assert!(user.email.is_none_or(|email| is_storable(&email)));
            }
        }
    }
}
