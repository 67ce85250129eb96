//! What the tests start in a service's place: answers `/readyz`, tells its environment, and misbehaves when told to.
//!
//! `FAKE_DIE=1` ends it at once; `FAKE_STUBBORN=1` makes it ignore SIGTERM; `POST /die` ends it later.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::io::{Read, Write};
use std::net::TcpListener;

fn main() {
    let variable = |name: &str| {
        std::env::vars_os()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    };
    println!("the fake service starts");
    if variable("FAKE_DIE").is_some() {
        println!("the fake service cannot start");
        std::process::exit(3);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    if variable("FAKE_STUBBORN").is_some() {
        runtime.spawn(async {
            let mut asked =
                tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap();
            loop {
                asked.recv().await;
            }
        });
    }
    let address = std::env::vars_os()
        .find(|(name, _)| name.to_string_lossy().ends_with("__BIND_ADDR"))
        .map(|(_, value)| value.into_string().unwrap())
        .unwrap();
    let listener = TcpListener::bind(address).unwrap();
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let mut bytes = [0; 2048];
        let read = stream.read(&mut bytes).unwrap();
        let request = String::from_utf8_lossy(&bytes[..read]).into_owned();
        let path = request.split(' ').nth(1).unwrap_or("/");
        let (status, body) = match path {
            "/readyz" => ("200 OK", r#"{"status":"ok"}"#.to_owned()),
            "/die" => std::process::exit(9),
            _ => match path.strip_prefix("/env/").and_then(variable) {
                Some(value) => ("200 OK", value.into_string().unwrap()),
                None => ("404 Not Found", String::new()),
            },
        };
        let length = body.len();
        let _ = write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
    }
}
