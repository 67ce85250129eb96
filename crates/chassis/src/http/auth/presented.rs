//! What a request presents, before anything is verified.

use std::fmt;

use actix_web::http::header::{self, HeaderMap};

/// The cookie that holds a user's token.
pub(crate) const COOKIE: &str = "access_token";
/// The header that holds a machine's secret.
const SECRET_HEADER: &str = "x-n8n-webhook-secret";

/// Credentials, by where they were found. Unverified.
#[derive(PartialEq, Eq)]
pub(super) enum Presented {
    /// The secret's header.
    Secret(Vec<u8>),
    /// `Authorization: Bearer`: a token, or a machine's secret.
    Bearer(String),
    /// The cookie.
    Cookie(String),
    /// Nothing.
    Nothing,
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secret(_) => "Secret",
            Self::Bearer(_) => "Bearer",
            Self::Cookie(_) => "Cookie",
            Self::Nothing => "Nothing",
        })
    }
}

impl Presented {
    /// The secret's header decides where it is there; a Bearer wins over the cookie.
    pub(super) fn by(headers: &HeaderMap) -> Self {
        if let Some(secret) = headers.get(SECRET_HEADER) {
            return Self::Secret(secret.as_bytes().to_vec());
        }
        if let Some(credentials) = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| bearer(value.as_bytes()))
        {
            return Self::Bearer(credentials);
        }
        cookie(headers, COOKIE).map_or(Self::Nothing, Self::Cookie)
    }
}

/// The credentials of a `Bearer` scheme in any case; another scheme (a proxy's Basic) is nobody's concern here.
fn bearer(value: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(value);
    let (scheme, credentials) = text.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| credentials.trim().to_owned())
}

/// The first cookie of that name.
fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let pairs = headers
        .get_all(header::COOKIE)
        .filter_map(|value| value.to_str().ok());
    let mut named = pairs
        .flat_map(|pairs| pairs.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = named.find(|(own, value)| *own == name && !value.is_empty())?;
    Some(value.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn presented(headers: &[(&'static str, &str)]) -> Presented {
        let mut request = TestRequest::default();
        for (name, value) in headers {
            request = request.append_header((*name, *value));
        }
        Presented::by(request.to_http_request().headers())
    }

    #[test]
    fn the_secret_decides_then_bearer_then_cookie() {
        let all = [
            (SECRET_HEADER, "s"),
            ("authorization", "Bearer b"),
            ("cookie", "access_token=c"),
        ];
        assert_eq!(presented(&all), Presented::Secret(b"s".to_vec()));
        assert_eq!(presented(&all[1..]), Presented::Bearer("b".into()));
        assert_eq!(presented(&all[2..]), Presented::Cookie("c".into()));
        assert_eq!(presented(&[]), Presented::Nothing);
    }

    #[test]
    fn an_empty_secret_still_decides() {
        assert_eq!(
            presented(&[(SECRET_HEADER, ""), ("authorization", "Bearer b")]),
            Presented::Secret(Vec::new())
        );
    }

    #[test]
    fn schemes_have_no_case_and_others_do_not_count() {
        assert_eq!(
            presented(&[("authorization", "bEARER  b ")]),
            Presented::Bearer("b".into())
        );
        for other in ["Basic dTpw", "Bearer", "token b"] {
            assert_eq!(
                presented(&[("authorization", other), ("cookie", "access_token=c")]),
                Presented::Cookie("c".into())
            );
        }
    }

    #[test]
    fn cookies_are_found_among_others() {
        for line in [
            "a=b; access_token=c",
            "access_token=\"c\"; x",
            "x_access_token=n;access_token=c",
            "access_token=; access_token=c",
        ] {
            assert_eq!(
                presented(&[("cookie", line)]),
                Presented::Cookie("c".into()),
                "{line}"
            );
        }
        assert_eq!(
            presented(&[("cookie", "a=b"), ("cookie", "access_token=c")]),
            Presented::Cookie("c".into())
        );
        assert_eq!(
            presented(&[("cookie", "ACCESS_TOKEN=c; access_token")]),
            Presented::Nothing
        );
    }
}
