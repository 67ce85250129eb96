//! Writes that a cookie authenticates come from our own pages, or they do not come at all.

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap};
use switchhook_core::problem::Problem;
use url::Url;

use super::super::address;

/// Refuses a write that another site makes. Browsers always say where a write comes from; who says nothing is no browser.
pub(crate) fn refuse_cross_site(request: &HttpRequest, public_url: Option<&Url>) -> Result<(), Problem> {
    let reads = [Method::GET, Method::HEAD, Method::OPTIONS];
    if reads.contains(request.method()) || is_own(request.headers(), public_url) {
        return Ok(());
    }
    Err(Problem::new(
        403,
        "cross_site_request",
        "This request comes from another site and was refused",
    ))
}

fn is_own(headers: &HeaderMap, public_url: Option<&Url>) -> bool {
    let mut sites = headers.get_all("sec-fetch-site").peekable();
    if sites.peek().is_some() {
        return sites.all(|site| site.as_bytes() == b"same-origin");
    }
    headers.get_all(header::ORIGIN).all(|origin| {
        let origin = origin.to_str().ok().and_then(|origin| Url::parse(origin).ok());
        origin.is_some_and(|origin| is_ours(&origin, headers, public_url))
    })
}

fn is_ours(origin: &Url, headers: &HeaderMap, public_url: Option<&Url>) -> bool {
    if !origin.origin().is_tuple() {
        return false;
    }
    let is_public = public_url.is_some_and(|public| public.origin() == origin.origin());
    is_public || address::host(headers).is_some_and(|host| is_host(origin, host))
}

/// Whether the `Host` is the origin's, its port left out or not.
fn is_host(origin: &Url, host: &str) -> bool {
    let as_url = Url::parse(&format!("{}://{host}", origin.scheme()));
    as_url.is_ok_and(|as_url| as_url.origin() == origin.origin())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn write(headers: &[(&'static str, &str)]) -> bool {
        let mut request = TestRequest::post().insert_header(("host", "calls.example:3000"));
        for (name, value) in headers {
            request = request.append_header((*name, *value));
        }
        let public = Url::parse("https://public.example/base").unwrap();
        refuse_cross_site(&request.to_http_request(), Some(&public)).is_ok()
    }

    #[test]
    fn the_browsers_word_decides() {
        assert!(write(&[("sec-fetch-site", "same-origin")]));
        assert!(write(&[
            ("sec-fetch-site", "same-origin"),
            ("origin", "https://evil.example")
        ]));
        for site in ["cross-site", "same-site", "none", "", "SAME-ORIGIN"] {
            assert!(!write(&[("sec-fetch-site", site)]), "{site}");
        }
        assert!(!write(&[
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-site", "cross-site")
        ]));
        assert!(!write(&[
            ("sec-fetch-site", "cross-site"),
            ("origin", "https://public.example")
        ]));
    }

    #[test]
    fn else_the_origin_does() {
        for own in [
            "https://public.example",
            "http://calls.example:3000",
            "https://calls.example:3000",
        ] {
            assert!(write(&[("origin", own)]), "{own}");
        }
        for other in [
            "http://calls.example",
            "http://calls.example:3001",
            "http://public.example",
            "https://evil.example",
            "https://calls.example.evil.example:3000",
            "null",
            "",
            "file://",
        ] {
            assert!(!write(&[("origin", other)]), "{other}");
        }
    }

    #[test]
    fn a_default_port_may_be_left_out() {
        let request = |host: &'static str, origin: &'static str| {
            let request = TestRequest::post()
                .insert_header(("host", host))
                .insert_header(("origin", origin));
            refuse_cross_site(&request.to_http_request(), None).is_ok()
        };
        assert!(request("a.example", "https://a.example:443"));
        assert!(request("A.example:80", "http://a.example"));
        assert!(!request("a.example", "http://a.example:443"));
    }

    #[test]
    fn who_says_nothing_is_no_browser_and_reads_are_free() {
        assert!(write(&[]));
        let read = TestRequest::get()
            .insert_header(("sec-fetch-site", "cross-site"))
            .to_http_request();
        assert!(refuse_cross_site(&read, None).is_ok());
    }
}
