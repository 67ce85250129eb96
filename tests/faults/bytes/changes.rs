//! Changes of what is really sent: of its bytes, and of its JSON.

use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

/// What breaks parsers.
const TOKENS: [&str; 24] = [
    "\0",
    "\u{fffd}",
    "\u{202e}",
    "\\u0000",
    "\\ud800",
    "\"",
    "{",
    "[[[[[[[[[[[[[[[[",
    "]",
    ",",
    ":",
    "null",
    "1e999",
    "-0",
    "99999999999999999999",
    "0.1e-400",
    "NaN",
    "true",
    "''; DROP TABLE x; --",
    "%00",
    "\r\n\r\n",
    "../../etc/passwd",
    "{{ $json }}",
    "<script>alert(1)</script>",
];

/// A text with some of its bytes changed.
pub(super) fn mangled(random: &mut StdRng, text: &[u8]) -> Vec<u8> {
    let mut bytes = text.to_vec();
    for _ in 0..random.random_range(1..5) {
        let at = random.random_range(0..=bytes.len());
        match random.random_range(0..6) {
            0 if !bytes.is_empty() => {
                let at = at.min(bytes.len() - 1);
                bytes[at] = random.random();
            }
            1 => bytes.truncate(at),
            2 => {
                let token = TOKENS[random.random_range(0..TOKENS.len())];
                bytes.splice(at..at, token.bytes());
            }
            3 => {
                let end = random.random_range(at..=bytes.len());
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            4 => {
                let end = random.random_range(at..=bytes.len().min(at + 20));
                bytes.drain(at..end);
            }
            _ => {
                let many = vec![bytes.get(at).copied().unwrap_or(b'a'); random.random_range(1..3000)];
                bytes.splice(at..at, many);
            }
        }
    }
    bytes
}

fn odd(random: &mut StdRng) -> Value {
    match random.random_range(0..12) {
        0 => Value::Null,
        1 => json!(random.random::<bool>()),
        2 => json!(random.random::<i64>()),
        3 => json!(random.random::<f64>() * 1e300),
        4 => json!(u64::MAX),
        5 => json!(""),
        6 => json!(TOKENS[random.random_range(0..TOKENS.len())]),
        7 => json!("é𝄞\u{0301}".repeat(random.random_range(1..400))),
        8 => json!([]),
        9 => json!({}),
        10 => json!([[[{"a": [null, {"b": 1}]}]]]),
        _ => json!({"body": {"body": {"headers": {}}}}),
    }
}

/// JSON with some of its values replaced, removed or wrapped.
fn bent(random: &mut StdRng, value: &mut Value, depth: usize) {
    let children = match value {
        Value::Object(fields) => fields.len(),
        Value::Array(items) => items.len(),
        _ => 0,
    };
    if children == 0 || depth > 6 || random.random_range(0..8) == 0 {
        *value = odd(random);
        return;
    }
    let nth = random.random_range(0..children);
    match value {
        Value::Object(fields) => {
            let name = fields.keys().nth(nth).unwrap().clone();
            match random.random_range(0..6) {
                0 => drop(fields.remove(&name)),
                1 => drop(fields.insert(name + "x", odd(random))),
                _ => bent(random, &mut fields[&name], depth + 1),
            }
        }
        Value::Array(items) => match random.random_range(0..5) {
            0 => drop(items.remove(nth)),
            1 => items.extend(items.clone()),
            _ => bent(random, &mut items[nth], depth + 1),
        },
        _ => {}
    }
}

pub(super) fn body(random: &mut StdRng, seed: &Value) -> Vec<u8> {
    match random.random_range(0..3) {
        0 => mangled(random, seed.to_string().as_bytes()),
        _ => {
            let mut value = seed.clone();
            for _ in 0..random.random_range(1..4) {
                bent(random, &mut value, 0);
            }
            match random.random_range(0..4) {
                0 => json!([value]),
                1 => json!({"headers": {}, "params": {}, "query": {}, "body": value}),
                _ => value,
            }
            .to_string()
            .into_bytes()
        }
    }
}

/// A token whose parts are not what they should be.
pub(super) fn forged(random: &mut StdRng, token: &str) -> String {
    use base64::Engine;
    let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    let nth = random.random_range(0..2);
    let mut value: Value = serde_json::from_slice(&engine.decode(&parts[nth]).unwrap()).unwrap();
    bent(random, &mut value, 0);
    parts[nth] = engine.encode(value.to_string());
    if random.random() {
        parts[0] = engine.encode(r#"{"alg":"none","typ":"JWT"}"#);
        parts[2].clear();
    }
    parts.join(".")
}
