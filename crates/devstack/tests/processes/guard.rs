//! Nothing is left behind, however devstack ends.

use std::process::Stdio;
use std::time::Duration;

use crate::support::{DEADLINE, is_alive, until};
use devstack::postgres::databases;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// A `devstack postgres` whose command starts a child in a session of its own and waits.
struct Running {
    devstack: Child,
    command: i32,
    grandchild: i32,
    url: String,
}

async fn start() -> Running {
    let script = "setsid sleep 600 >/dev/null 2>&1 & echo \"$$ $! $DATABASE_URL\"; wait";
    let mut devstack = Command::new(env!("CARGO_BIN_EXE_devstack"))
        .args(["postgres", "--", "sh", "-c", script])
        .env_remove("DATABASE_URL")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut reader = BufReader::new(devstack.stdout.take().unwrap());
    tokio::time::timeout(DEADLINE, reader.read_line(&mut line))
        .await
        .unwrap()
        .unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    let (command, grandchild) = (words[0].parse().unwrap(), words[1].parse().unwrap());
    let running = Running {
        devstack,
        command,
        grandchild,
        url: words[2].to_owned(),
    };
    databases::reachable(&running.url).await.unwrap();
    running
}

impl Running {
    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.devstack.id().unwrap()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    async fn is_gone(&self) -> bool {
        let free = devstack_port_is_free(&self.url);
        !is_alive(self.command) && !is_alive(self.grandchild) && free
    }
}

/// A refused connection: no server holds the port any more.
fn devstack_port_is_free(url: &str) -> bool {
    let port = url
        .rsplit_once(':')
        .unwrap()
        .1
        .split('/')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    std::net::TcpStream::connect(("127.0.0.1", port)).is_err()
}

#[tokio::test]
async fn a_killed_devstack_leaves_nothing_behind_within_two_seconds() {
    let running = start().await;
    running.signal(Signal::SIGKILL);
    until("that all is gone", Duration::from_secs(2), async || {
        running.is_gone().await
    })
    .await;
}

#[tokio::test]
async fn a_devstack_that_is_asked_to_stop_takes_its_command_along() {
    let mut running = start().await;
    running.signal(Signal::SIGTERM);
    let status = tokio::time::timeout(DEADLINE, running.devstack.wait())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(status.code(), Some(143));
    assert!(!is_alive(running.command) && devstack_port_is_free(&running.url));
    // The command's own child is in a session of its own, and ends with the stack all the same.
    until("the end of the grandchild", DEADLINE, async || {
        running.is_gone().await
    })
    .await;
}

#[tokio::test]
async fn the_command_s_exit_code_is_passed_on() {
    let status = Command::new(env!("CARGO_BIN_EXE_devstack"))
        .args([
            "postgres",
            "--",
            "sh",
            "-c",
            "test -n \"$DATABASE_URL\" && exit 7",
        ])
        .env_remove("DATABASE_URL")
        .status()
        .await
        .unwrap();
    assert_eq!(status.code(), Some(7));
}

#[tokio::test]
async fn a_given_database_is_passed_on_as_it_is() {
    let output = Command::new(env!("CARGO_BIN_EXE_devstack"))
        .args(["postgres", "--", "sh", "-c", "echo \"$DATABASE_URL\""])
        .env("DATABASE_URL", "postgres://mine/db")
        .output()
        .await
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "postgres://mine/db\n");
}
