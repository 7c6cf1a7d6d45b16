//! Where an answer says to go on.

use reqwest::{Method, StatusCode, Url};

/// How often an answer may say to go elsewhere.
pub(super) const MOST: u32 = 5;

/// Where and how a request is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hop {
    pub(super) method: Method,
    pub(super) url: Url,
    /// Whether the body goes along.
    pub(super) with_body: bool,
    /// Whether the secret goes along: only to where it was meant for.
    pub(super) with_secret: bool,
}

impl Hop {
    /// The next request, if the answer asks for one that the standard (RFC 9110, 15.4) lets a program send
    /// by itself.
    ///
    /// # Errors
    /// Why it must not be sent.
    pub(super) fn next(&self, status: StatusCode, location: Option<&str>) -> Result<Option<Self>, String> {
        let becomes_get = match status.as_u16() {
            301 | 302 => self.method == Method::POST,
            303 => self.method != Method::HEAD,
            307 | 308 => false,
            _ => return Ok(None),
        };
        let Some(location) = location else { return Ok(None) };
        let url = self.url.join(location).map_err(|error| format!("it leads to no address: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("it leads to the scheme {}", url.scheme()));
        }
        if self.url.scheme() == "https" && url.scheme() == "http" {
            return Err("it leads from https to http".to_owned());
        }
        let with_secret = self.with_secret && url.origin() == self.url.origin();
        Ok(Some(if becomes_get {
            Self { method: Method::GET, url, with_body: false, with_secret }
        } else {
            Self { method: self.method.clone(), url, with_body: self.with_body, with_secret }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(
        method: Method,
        status: u16,
        location: &str,
    ) -> Result<Option<(Method, String, bool, bool)>, String> {
        let url = "https://a.b/x/y?z".parse().unwrap();
        let hop = Hop { method, url, with_body: true, with_secret: true };
        let next = hop.next(StatusCode::from_u16(status).unwrap(), Some(location))?;
        Ok(next.map(|next| (next.method, next.url.to_string(), next.with_body, next.with_secret)))
    }

    #[test]
    fn redirects_keep_what_the_standard_keeps() {
        let went = |method, url: &str, body, secret| Ok(Some((method, url.to_owned(), body, secret)));
        assert_eq!(next(Method::POST, 302, "/q"), went(Method::GET, "https://a.b/q", false, true));
        assert_eq!(next(Method::PUT, 302, "/q"), went(Method::PUT, "https://a.b/q", true, true));
        assert_eq!(next(Method::DELETE, 303, "q"), went(Method::GET, "https://a.b/x/q", false, true));
        assert_eq!(next(Method::HEAD, 303, "q"), went(Method::HEAD, "https://a.b/x/q", true, true));
        assert_eq!(next(Method::POST, 307, "https://c.d/"), went(Method::POST, "https://c.d/", true, false));
        assert_eq!(
            next(Method::GET, 308, "https://a.b:444/"),
            went(Method::GET, "https://a.b:444/", true, false)
        );
        assert_eq!(next(Method::GET, 304, "/q"), Ok(None));
        assert_eq!(next(Method::GET, 200, "/q"), Ok(None));
    }

    #[test]
    fn some_redirects_are_refused() {
        for location in ["http://a.b/", "file:///etc/passwd", "https://"] {
            assert!(next(Method::GET, 302, location).is_err(), "{location}");
        }
    }
}
