//! Tokens that are verified with published keys, and tokens that try to choose how they are verified.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use switchhook_chassis::clock::ManualClock;
use switchhook_chassis::testing::TestApp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::mini::{Mini, NO_DATABASE, mini};

/// Made for these tests; it opens nothing anywhere.
const RSA_TEST_KEY: &[u8] = include_bytes!("rsa_test_key.der");
/// PKCS#8 around 32 bytes of an Ed25519 and of a P-256 private key.
const ED25519_HEAD: &str = "302e020100300506032b657004220420";
const P256_HEAD: &str = "3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420";
const NOW: i64 = 1_900_000_000;

/// A key pair with a name.
struct Pair {
    id: &'static str,
    algorithm: Algorithm,
    key: EncodingKey,
}

impl Pair {
    fn rsa(id: &'static str) -> Self {
        Self {
            id,
            algorithm: Algorithm::RS256,
            key: EncodingKey::from_rsa_der(RSA_TEST_KEY),
        }
    }

    fn ed(id: &'static str) -> Self {
        Self {
            id,
            algorithm: Algorithm::EdDSA,
            key: EncodingKey::from_ed_der(&pkcs8(ED25519_HEAD)),
        }
    }

    fn ec(id: &'static str) -> Self {
        Self {
            id,
            algorithm: Algorithm::ES256,
            key: EncodingKey::from_ec_der(&pkcs8(P256_HEAD)),
        }
    }

    fn public(&self) -> Value {
        let mut jwk =
            serde_json::to_value(Jwk::from_encoding_key(&self.key, self.algorithm).unwrap()).unwrap();
        jwk["kid"] = self.id.into();
        jwk["use"] = "sig".into();
        jwk
    }

    fn token(&self, kid: Option<&str>) -> String {
        signed(self.algorithm, kid, &self.key)
    }
}

fn pkcs8(head: &str) -> Vec<u8> {
    let head = (0..head.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&head[at..at + 2], 16).unwrap());
    // A P-256 scalar must be below the group's order: a first byte of 1 makes sure.
    let scalar: [u8; 31] = rand::random();
    head.chain([1]).chain(scalar).collect()
}

fn signed(algorithm: Algorithm, kid: Option<&str>, key: &EncodingKey) -> String {
    let header = Header {
        kid: kid.map(str::to_owned),
        ..Header::new(algorithm)
    };
    jsonwebtoken::encode(&header, &json!({"sub": "u", "exp": NOW + 100_000}), key).unwrap()
}

/// Publishes what it is told to, and counts how often it is asked.
#[derive(Clone)]
struct Publisher {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    answer: Arc<Mutex<(u16, String)>>,
}

impl Publisher {
    async fn of(keys: &[Value]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let publisher = Self {
            address,
            asked: Arc::default(),
            answer: Arc::default(),
        };
        publisher.publish(keys);
        let serving = publisher.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                serving.asked.fetch_add(1, Ordering::SeqCst);
                let (status, body) = serving.answer.lock().unwrap().clone();
                let answer = format!(
                    "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        publisher
    }

    fn publish(&self, keys: &[Value]) {
        *self.answer.lock().unwrap() = (200, json!({"keys": keys}).to_string());
    }

    fn fail(&self) {
        *self.answer.lock().unwrap() = (500, "down".to_owned());
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    async fn reader(&self) -> (TestApp<Mini>, ManualClock) {
        let clock = ManualClock::at(DateTime::from_timestamp(NOW, 0).unwrap());
        let url = format!("http://{}/keys.json", self.address);
        let overrides = [("JWT_SECRET", ""), ("JWT_JWKS_URL", url.as_str())];
        let (app, _) = TestApp::start_unready(NO_DATABASE, &overrides, Arc::new(clock.clone())).await;
        (app, clock)
    }
}

async fn status(app: &TestApp<Mini>, token: &str) -> u16 {
    app.client()
        .get(app.url("/api/mini/whoami"))
        .bearer_auth(token)
        .send()
        .await
        .unwrap()
        .status()
        .as_u16()
}

#[tokio::test]
async fn keys_of_all_three_types_verify() {
    let pairs = [Pair::rsa("r"), Pair::ec("e"), Pair::ed("d")];
    let publisher = Publisher::of(&pairs.iter().map(Pair::public).collect::<Vec<_>>()).await;
    let (app, _) = publisher.reader().await;
    for pair in &pairs {
        assert_eq!(
            status(&app, &pair.token(Some(pair.id))).await,
            200,
            "{:?}",
            pair.algorithm
        );
    }
    assert_eq!(
        status(&app, &pairs[0].token(None)).await,
        401,
        "among several keys a token names its own"
    );
    assert_eq!(
        status(&app, &Pair::ed("d").token(Some("d"))).await,
        401,
        "another key of the same name"
    );
    assert_eq!(publisher.asked(), 1, "they are fetched once");
}

#[tokio::test]
async fn a_set_of_one_key_needs_no_name() {
    let pair = Pair::ed("only");
    let publisher = Publisher::of(&[
        pair.public(),
        json!({"kty": "oct", "k": "c2VjcmV0", "kid": "s"}),
        json!({"kty": "?"}),
    ])
    .await;
    let (app, _) = publisher.reader().await;
    assert_eq!(status(&app, &pair.token(None)).await, 200);
}

#[tokio::test]
async fn the_key_decides_the_algorithm_never_the_token() {
    let (rsa, ec) = (Pair::rsa("r"), Pair::ec("e"));
    let publisher = Publisher::of(&[
        rsa.public(),
        ec.public(),
        json!({"kty": "oct", "k": "c2VjcmV0", "kid": "s"}),
    ])
    .await;
    let (app, _) = publisher.reader().await;
    assert_eq!(status(&app, &rsa.token(Some("r"))).await, 200, "the honest one");
    // What an attacker knows of the public key, taken as the secret of an HMAC.
    let modulus = rsa.public()["n"].as_str().unwrap().to_owned();
    let known = [
        modulus.clone().into_bytes(),
        URL_SAFE_NO_PAD.decode(&modulus).unwrap(),
        rsa.public().to_string().into_bytes(),
        b"secret".to_vec(),
    ];
    for secret in known {
        for kid in ["r", "e", "s"] {
            let forged = signed(Algorithm::HS256, Some(kid), &EncodingKey::from_secret(&secret));
            assert_eq!(status(&app, &forged).await, 401, "HS256 under {kid}");
        }
    }
    assert_eq!(
        status(&app, &signed(Algorithm::RS512, Some("r"), &rsa.key)).await,
        401,
        "RS512 with an RS256 key"
    );
    assert_eq!(
        status(&app, &rsa.token(Some("e"))).await,
        401,
        "an RSA signature under the name of an EC key"
    );
    assert_eq!(
        status(&app, &unsigned(json!({"alg": "none", "kid": "r"}))).await,
        401,
        "none"
    );
}

#[tokio::test]
async fn a_shared_secret_takes_hs256_alone() {
    let secret = "a-shared-secret-of-more-than-32-characters";
    let app = mini(&[("JWT_SECRET", secret)]).await;
    let key = EncodingKey::from_secret(secret.as_bytes());
    let good = signed(Algorithm::HS256, None, &key);
    assert_eq!(status(&app, &good).await, 200);
    for other in [Algorithm::HS384, Algorithm::HS512] {
        assert_eq!(status(&app, &signed(other, None, &key)).await, 401, "{other:?}");
    }
    for header in [
        json!({"alg": "none"}),
        json!({"alg": "None"}),
        json!({"alg": "HS256"}),
        json!({}),
    ] {
        assert_eq!(
            status(&app, &unsigned(header.clone())).await,
            401,
            "{header} without a signature"
        );
    }
    assert_eq!(
        status(
            &app,
            &signed(Algorithm::HS256, None, &EncodingKey::from_secret(b"other"))
        )
        .await,
        401
    );
    assert_eq!(
        status(
            &app,
            &signed(Algorithm::HS256, None, &EncodingKey::from_secret(b""))
        )
        .await,
        401
    );
    let [head, claims, signature] = good.split('.').collect::<Vec<_>>()[..] else {
        panic!("three parts")
    };
    let other_claims = URL_SAFE_NO_PAD.encode(json!({"sub": "admin", "exp": NOW + 9}).to_string());
    for tampered in [
        format!("{head}.{other_claims}.{signature}"),
        format!("{head}.{claims}"),
        format!("{head}.{claims}."),
        format!("{head}.{claims}.{signature}.x"),
        format!(".{claims}.{signature}"),
        "..".to_owned(),
        "x".repeat(5000),
    ] {
        assert_eq!(status(&app, &tampered).await, 401, "{tampered}");
    }
    let critical = Header {
        crit: Some(vec!["x".into()]),
        ..Header::new(Algorithm::HS256)
    };
    let claims = json!({"sub": "u", "exp": NOW + 100_000});
    let critical = jsonwebtoken::encode(&critical, &claims, &key).unwrap();
    assert_eq!(
        status(&app, &critical).await,
        401,
        "an extension that must be understood and is not"
    );
}

fn unsigned(header: Value) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!(
        "{}.{}.",
        part(header),
        part(json!({"sub": "u", "exp": NOW + 100_000}))
    )
}

#[tokio::test]
async fn a_new_key_is_found_and_invented_names_are_no_load() {
    let (old, new) = (Pair::ed("old"), Pair::ed("new"));
    let publisher = Publisher::of(&[old.public()]).await;
    let (app, clock) = publisher.reader().await;
    assert_eq!(status(&app, &old.token(Some("old"))).await, 200);
    publisher.publish(&[old.public(), new.public()]);
    assert_eq!(
        status(&app, &new.token(Some("new"))).await,
        401,
        "too soon after the last fetch"
    );
    assert_eq!(publisher.asked(), 1);
    clock.advance(TimeDelta::seconds(10));
    assert_eq!(
        status(&app, &new.token(Some("new"))).await,
        200,
        "fetched because a token names it"
    );
    assert_eq!(publisher.asked(), 2);
    for invented in 0..20 {
        assert_eq!(
            status(&app, &new.token(Some(&format!("invented-{invented}")))).await,
            401
        );
    }
    assert_eq!(publisher.asked(), 2, "twenty invented names, not one fetch");
}

#[tokio::test]
async fn a_withdrawn_key_goes_within_the_hour() {
    let (old, new) = (Pair::ed("old"), Pair::ed("new"));
    let publisher = Publisher::of(&[old.public()]).await;
    let (app, clock) = publisher.reader().await;
    assert_eq!(status(&app, &old.token(Some("old"))).await, 200);
    publisher.publish(&[new.public()]);
    clock.advance(TimeDelta::minutes(61));
    assert_eq!(status(&app, &old.token(Some("old"))).await, 401);
}

#[tokio::test]
async fn keys_out_of_reach_are_our_trouble_not_the_callers() {
    let pair = Pair::ed("k");
    let publisher = Publisher::of(&[pair.public()]).await;
    publisher.fail();
    let (app, clock) = publisher.reader().await;
    assert_eq!(status(&app, &pair.token(Some("k"))).await, 503);
    publisher.publish(&[pair.public()]);
    clock.advance(TimeDelta::seconds(10));
    assert_eq!(status(&app, &pair.token(Some("k"))).await, 200);
    publisher.fail();
    clock.advance(TimeDelta::hours(2));
    assert_eq!(
        status(&app, &pair.token(Some("k"))).await,
        200,
        "what is known stays while nothing newer can be had"
    );
}
