//! What several of the tests need.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use devstack::stack::service_names;
use devstack::{Builder, Stack};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest wait of any test.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// The program that stands in for a service.
pub(crate) fn fake_service() -> PathBuf {
    let devstack = PathBuf::from(env!("CARGO_BIN_EXE_devstack"));
    let program = devstack.parent().unwrap().join("examples/fake-service");
    assert!(program.is_file(), "{} is not built", program.display());
    program
}

/// A stack whose services are all the program that stands in for them.
pub(crate) fn fake_stack() -> Builder {
    let programs = service_names().into_iter();
    programs.fold(Stack::builder(), |builder, service| {
        builder.program(service, fake_service())
    })
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, within: Duration, mut holds: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + within;
    while !holds().await {
        assert!(Instant::now() < end, "{what} did not come true within {within:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The body of an answer; none when there is no answer.
pub(crate) async fn get(url: &str, path: &str) -> Option<String> {
    let host = url.strip_prefix("http://").unwrap();
    let exchange = async {
        let mut stream = TcpStream::connect(host).await.ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await.ok()?;
        text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
    };
    tokio::time::timeout(Duration::from_secs(2), exchange)
        .await
        .ok()
        .flatten()
}

/// Whether a process is there and has not ended.
pub(crate) fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}
