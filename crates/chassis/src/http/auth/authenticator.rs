//! Knows the secrets and the keys; turns what a request presents into who it is.

use std::num::NonZeroU32;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::Method;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use secrecy::{ExposeSecret, SecretString};
use switchhook_core::problem::Problem;
use switchhook_core::webhook::secret::{ADVISED_SECRET_CHARS, SecretSet};
use url::Url;

use super::claims::{Expected, TokenFault};
use super::jwks::Jwks;
use super::presented::Presented;
use super::tokens::{Keys, TokenKey, Tokens};
use super::{Caller, Failure, Identity, Machine, User, refuse_cross_site};
use crate::config::{CommonSettings, SettingError, Toggle};
use crate::kit::Kit;

/// HS256 wants a key as long as its digest.
const ADVISED_JWT_SECRET_CHARS: usize = 32;

/// A list of secrets that reach a part of the service only.
pub struct ScopedSecret {
    /// The part.
    pub scope: String,
    /// As in `WEBHOOK_SECRETS`.
    pub secrets: SecretString,
    /// The setting that holds it, for messages.
    pub variable: &'static str,
}

/// Knows users and machines.
pub struct Authenticator {
    secrets: Option<SecretSet>,
    /// Secrets that reach a part of the service, by the name of that part.
    scoped: Vec<(String, SecretSet)>,
    open_to_n8n: bool,
    rate: Option<DefaultKeyedRateLimiter<String>>,
    tokens: Tokens,
    public_url: Option<Url>,
    short_jwt_secret: bool,
}

impl Authenticator {
    /// Takes secrets and keys from the settings, or says what is missing.
    pub fn new(settings: &CommonSettings) -> Result<Self, SettingError> {
        let open_to_n8n = settings.webhook_auth == Toggle::Off;
        let secrets = settings.webhook_secrets.as_ref().map(|list| {
            let parsed = SecretSet::parse(list.expose_secret());
            parsed.map_err(|error| {
                fault(
                    "WEBHOOK_SECRETS",
                    &format!("is unusable: {error}"),
                    "n8n:a-long-random-secret",
                )
            })
        });
        let secrets = secrets.transpose()?;
        if secrets.is_none() && !open_to_n8n {
            let problem =
                "is not set, and n8n's requests would be refused (WEBHOOK_AUTH=off admits them unchecked)";
            return Err(fault("WEBHOOK_SECRETS", problem, "n8n:a-long-random-secret"));
        }
        let quota = settings
            .machine_rate
            .and_then(|rate| NonZeroU32::new(rate.get()))
            .map(Quota::per_second);
        let jwt_secret = settings.jwt_secret.as_ref();
        Ok(Self {
            secrets,
            scoped: Vec::new(),
            open_to_n8n,
            rate: quota.map(RateLimiter::keyed),
            tokens: Tokens {
                keys: keys(settings)?,
                expected: Expected {
                    issuer: settings.jwt_issuer.clone(),
                    audience: settings.jwt_audience.clone(),
                },
            },
            public_url: settings.public_url.clone(),
            short_jwt_secret: jwt_secret
                .is_some_and(|secret| secret.expose_secret().chars().count() < ADVISED_JWT_SECRET_CHARS),
        })
    }

    /// Knows secrets that reach a part of the service, too.
    pub fn with_scoped(mut self, secrets: Vec<ScopedSecret>) -> Result<Self, SettingError> {
        for ScopedSecret {
            scope,
            secrets,
            variable,
        } in secrets
        {
            let set = SecretSet::parse(secrets.expose_secret()).map_err(|error| {
                fault(
                    variable,
                    &format!("has an unusable secret for {scope:?}: {error}"),
                    "",
                )
            })?;
            self.scoped.push((scope, set));
        }
        Ok(self)
    }

    /// Says at start what somebody should know about.
    pub fn announce(&self) {
        if self.open_to_n8n {
            tracing::warn!(
                "WEBHOOK_AUTH=off: ANYONE who reaches this service may post as n8n, without any credentials"
            );
        }
        let all = self.secrets.iter().chain(self.scoped.iter().map(|(_, set)| set));
        let short: usize = all.map(SecretSet::short_entries).sum();
        if short > 0 {
            tracing::warn!(
                short,
                "there are webhook secrets of less than {ADVISED_SECRET_CHARS} characters"
            );
        }
        if self.short_jwt_secret {
            tracing::warn!("JWT_SECRET has less than {ADVISED_JWT_SECRET_CHARS} characters");
        }
    }

    /// Who the request is from. Wrong credentials are a failure, none are [`Identity::Nobody`].
    pub(crate) async fn identify(&self, request: &HttpRequest, kit: &Kit) -> Result<Identity, Failure> {
        let caller = match Presented::by(request.headers()) {
            Presented::Nothing => return Ok(Identity::Nobody),
            Presented::Secret(secret) => {
                let machine = self.machine(&secret);
                Caller::Machine(machine.ok_or_else(|| Problem::unauthorized("The webhook secret is wrong"))?)
            }
            Presented::Bearer(credentials) => match self.machine(credentials.as_bytes()) {
                Some(machine) => Caller::Machine(machine),
                None => Caller::User(self.user(&credentials, kit).await?),
            },
            Presented::Cookie(token) => {
                let user = self.user(&token, kit).await?;
                refuse_cross_site(request, self.public_url.as_ref())?;
                Caller::User(user)
            }
        };
        if let Caller::Machine(machine) = &caller {
            self.within_rate(&machine.name)?;
        }
        Ok(Identity::Known(caller))
    }

    /// The user whom a token proves.
    pub(crate) async fn user(&self, token: &str, kit: &Kit) -> Result<User, Failure> {
        self.tokens.verify(token, kit).await.map_err(|fault| {
            Failure(match fault {
                TokenFault::KeysOutOfReach => Problem::unavailable(format!("The token {fault}")),
                _ => Problem::unauthorized(format!("The token {fault}")),
            })
        })
    }

    /// A post of n8n without credentials: only with `WEBHOOK_AUTH=off`.
    pub(crate) fn admit_without_credentials(&self, method: &Method) -> Result<Machine, Failure> {
        if !self.open_to_n8n || method != Method::POST {
            return Err(Problem::unauthorized("The webhook secret is required").into());
        }
        let machine = Machine {
            name: "unverified".to_owned(),
            scope: None,
        };
        self.within_rate(&machine.name)?;
        Ok(machine)
    }

    fn machine(&self, secret: &[u8]) -> Option<Machine> {
        let everywhere = self.secrets.as_ref().and_then(|set| set.verify(secret));
        if let Some(name) = everywhere {
            return Some(Machine {
                name: name.to_owned(),
                scope: None,
            });
        }
        let mut scoped = self.scoped.iter();
        let (scope, name) = scoped.find_map(|(scope, set)| Some((scope, set.verify(secret)?)))?;
        Some(Machine {
            // Of another alphabet than the names of secrets: they never meet.
            name: format!("{scope}/{name}"),
            scope: Some(scope.clone()),
        })
    }

    fn within_rate(&self, name: &str) -> Result<(), Failure> {
        let Some(rate) = &self.rate else { return Ok(()) };
        rate.check_key(&name.to_owned()).map_err(|early| {
            let wait: Duration = early.wait_time_from(DefaultClock::default().now());
            let seconds = wait.as_secs_f64().ceil().clamp(1.0, 3600.0) as u32;
            Failure(Problem::rate_limited(seconds))
        })
    }
}

fn keys(settings: &CommonSettings) -> Result<Keys, SettingError> {
    match (&settings.jwt_secret, &settings.jwt_jwks_url) {
        (Some(secret), None) => Ok(Keys::Shared(Box::new(TokenKey::shared(secret)))),
        (None, Some(url)) => Ok(Keys::Published(Jwks::at(url.clone()))),
        (None, None) => Err(fault(
            "JWT_SECRET",
            "or JWT_JWKS_URL must be set, else no user can be known",
            "a-long-random-secret",
        )),
        (Some(_), Some(_)) => Err(fault(
            "JWT_SECRET",
            "and JWT_JWKS_URL exclude each other: set one",
            "a-long-random-secret",
        )),
    }
}

fn fault(variable: &str, problem: &str, example: &str) -> SettingError {
    SettingError {
        variable: variable.to_owned(),
        problem: problem.to_owned(),
        example: example.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{SettingsBlock, Source};
    use crate::service::Service;

    const SERVICE: Service = Service {
        name: "session-svc",
        env_prefix: "SESSION",
        schema: "session",
        port: 3000,
        path_prefix: "sessions",
        title: "Sessions",
        retention_days: 365,
        version: "0.1.0",
    };
    const SECRET: (&str, &str) = ("WEBHOOK_SECRETS", "n8n:a-secret-of-some-length");
    const KEY: (&str, &str) = ("JWT_SECRET", "a-key-of-more-than-thirty-two-characters");

    fn built(variables: &[(&str, &str)]) -> Result<Authenticator, String> {
        let given = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let given = given.chain([("DATABASE_URL".to_owned(), "postgres://h/d".to_owned())]);
        let source =
            Source::from_variables(&SERVICE, CommonSettings::SPECS, given).map_err(|e| e.to_string())?;
        let settings = CommonSettings::read(&source).map_err(|e| e.to_string())?;
        Authenticator::new(&settings).map_err(|error| error.to_string())
    }

    fn refused(variables: &[(&str, &str)]) -> String {
        built(variables).err().unwrap_or_else(|| "accepted".to_owned())
    }

    #[test]
    fn without_a_secret_it_refuses_unless_told_to_be_open() {
        assert!(
            refused(&[KEY]).starts_with("WEBHOOK_SECRETS is not set"),
            "{}",
            refused(&[KEY])
        );
        assert!(built(&[KEY, ("WEBHOOK_AUTH", "off")]).is_ok());
        assert!(
            refused(&[KEY, ("WEBHOOK_SECRETS", "a-secret-of-some-length,,x")]).contains("entry 2 is empty")
        );
    }

    #[test]
    fn users_are_known_by_exactly_one_kind_of_key() {
        let url = ("JWT_JWKS_URL", "https://id.example.com/keys");
        assert!(built(&[SECRET, KEY]).is_ok());
        assert!(built(&[SECRET, url]).is_ok());
        assert!(refused(&[SECRET]).starts_with("JWT_SECRET or JWT_JWKS_URL must be set"));
        assert!(refused(&[SECRET, KEY, url]).contains("exclude each other"));
    }

    #[test]
    fn a_scoped_secret_reaches_its_part_and_a_general_one_all() {
        let scoped = |secrets: &str| {
            vec![ScopedSecret {
                scope: "acme".into(),
                secrets: secrets.into(),
                variable: "CHAT_CHANNELS",
            }]
        };
        let known = built(&[SECRET, KEY])
            .unwrap()
            .with_scoped(scoped("n8n:of-acme, second-of-acme"));
        let known = known.ok().unwrap();
        let found = |secret: &str| {
            known
                .machine(secret.as_bytes())
                .map(|machine| (machine.name, machine.scope))
        };
        let of_acme = |name: &str| Some((name.to_owned(), Some("acme".to_owned())));
        assert_eq!(found("of-acme"), of_acme("acme/n8n"));
        assert_eq!(found("second-of-acme"), of_acme("acme/default"));
        assert_eq!(found("a-secret-of-some-length"), Some(("n8n".to_owned(), None)));
        assert_eq!(found("other"), None);
        let fault = built(&[SECRET, KEY])
            .unwrap()
            .with_scoped(scoped("words-of-a-secret,"))
            .err()
            .unwrap();
        assert!(
            fault.to_string().starts_with("CHAT_CHANNELS") && !fault.to_string().contains("words"),
            "{fault}"
        );
    }

    #[test]
    fn no_fault_quotes_a_secret() {
        for variables in [
            &[KEY, ("WEBHOOK_SECRETS", "words-of-a-secret,")][..],
            &[
                ("JWT_SECRET", "words-of-a-secret"),
                SECRET,
                ("JWT_JWKS_URL", "https://id.example.com/keys"),
            ][..],
            &[("JWT_SECRET", "words-of-a-secret")][..],
        ] {
            let fault = refused(variables);
            assert!(
                fault != "accepted" && !fault.contains("words-of-a-secret"),
                "{fault}"
            );
        }
    }

    #[test]
    fn posts_without_credentials_need_the_open_door_and_the_method() {
        let open = built(&[KEY, ("WEBHOOK_AUTH", "off")]).unwrap();
        assert!(open.admit_without_credentials(&Method::POST).is_ok());
        for method in [
            Method::GET,
            Method::DELETE,
            Method::PUT,
            Method::PATCH,
            Method::HEAD,
        ] {
            assert!(open.admit_without_credentials(&method).is_err(), "{method}");
        }
        let closed = built(&[KEY, SECRET]).unwrap();
        assert_eq!(
            closed
                .admit_without_credentials(&Method::POST)
                .unwrap_err()
                .0
                .status,
            401
        );
    }

    #[test]
    fn short_secrets_are_taken_and_noticed() {
        let short = built(&[("WEBHOOK_SECRETS", "short"), ("JWT_SECRET", "short")]).unwrap();
        assert!(short.short_jwt_secret);
        assert_eq!(short.secrets.as_ref().map(SecretSet::short_entries), Some(1));
        assert!(!built(&[KEY, SECRET]).unwrap().short_jwt_secret);
    }
}
