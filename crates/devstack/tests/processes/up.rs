//! `devstack up`, `down`, `run` and `exec` as a person types them, in a clone made for the test.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use crate::support::{DEADLINE, fake_service, get, is_alive, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

/// A directory that looks like a clone, with devstack and a service built in it.
struct Clone {
    directory: tempfile::TempDir,
}

impl Clone {
    fn make() -> Self {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let clone = Self { directory };
        for path in ["crates/devstack", "target/debug"] {
            std::fs::create_dir_all(clone.path().join(path)).unwrap();
        }
        std::fs::write(clone.path().join("crates/devstack/Cargo.toml"), "").unwrap();
        place(Path::new(env!("CARGO_BIN_EXE_devstack")), &clone.program());
        for service in devstack::stack::service_names() {
            place(&fake_service(), &clone.path().join("target/debug").join(service));
        }
        clone
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn program(&self) -> PathBuf {
        self.path().join("target/debug/devstack")
    }

    fn env_file(&self) -> PathBuf {
        self.path().join("target/devstack/env")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.program());
        command
            .args(arguments)
            .current_dir(self.path())
            .env_remove("DATABASE_URL")
            .stdin(Stdio::null());
        command
    }

    async fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut command = self.command(arguments);
        command.envs(variables.iter().copied());
        tokio::time::timeout(DEADLINE, command.output())
            .await
            .expect("an end in time")
            .unwrap()
    }

    /// What a shell reads from the env file.
    fn env(&self) -> BTreeMap<String, String> {
        let text = std::fs::read_to_string(self.env_file()).unwrap_or_default();
        let pair = |line: &str| {
            let (name, value) = line.split_once('=')?;
            Some((name.to_owned(), value.trim_matches('\'').to_owned()))
        };
        text.lines().filter_map(pair).collect()
    }

    fn pid(&self) -> Option<i32> {
        self.env().get("SESSION_PID")?.parse().ok()
    }
}

impl Drop for Clone {
    fn drop(&mut self) {
        let _ = std::process::Command::new(self.program())
            .arg("down")
            .current_dir(self.path())
            .output();
        // Where root's PostgreSQL cannot reach the clone, its cluster lies elsewhere.
        if let Ok(elsewhere) = std::fs::read_link(self.path().join("target/devstack/pg")) {
            let _ = std::fs::remove_dir_all(elsewhere);
        }
    }
}

fn place(from: &Path, to: &Path) {
    if std::fs::hard_link(from, to).is_err() {
        std::fs::copy(from, to).unwrap();
    }
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()), signal).unwrap();
}

#[tokio::test]
async fn a_detached_stack_is_found_again_changed_and_stopped() {
    let clone = Clone::make();
    // The end of the output is awaited here: a daemon that kept the pipe would make this time out.
    let up = clone.run(&["up", "--detach"], &[]).await;
    assert!(up.status.success(), "{}", text(&up));
    let table = String::from_utf8(up.stdout).unwrap();
    let env = clone.env();
    let url = env["SESSION_URL"].clone();
    assert!(
        table.contains(&format!("{}/_call", env["STANDIN_RETELL_URL"])),
        "{table}"
    );
    let data_key = get(&env["RETELL_URL"], "/env/RETELL__DATA_KEY").await;
    assert!(
        table.contains(&format!("{url}/#token={}", env["USER_TOKEN"])),
        "{table}"
    );
    assert!(table.contains("curl -sS -X POST"), "{table}");
    assert_eq!(
        std::fs::metadata(clone.env_file()).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let pid = clone.pid().unwrap();

    let again = clone.run(&["up", "--detach"], &[]).await;
    assert_eq!(String::from_utf8(again.stdout).unwrap(), table);
    assert_eq!(clone.pid(), Some(pid));

    let second = clone.run(&["up"], &[]).await;
    assert_eq!(second.status.code(), Some(1), "{}", text(&second));
    assert!(text(&second).contains("runs already"), "{}", text(&second));

    let other = [("SESSION__N8N_WEBHOOK_URL", "http://127.0.0.1:9/mine")];
    let changed = clone.run(&["up", "--detach"], &other).await;
    assert!(
        text(&changed).contains("http://127.0.0.1:9/mine (yours)"),
        "{}",
        text(&changed)
    );
    assert_ne!(clone.pid(), Some(pid));
    assert!(!is_alive(pid));
    let key_of_the_next = get(&clone.env()["RETELL_URL"], "/env/RETELL__DATA_KEY").await;
    assert_eq!(key_of_the_next, data_key, "what stays could not be read any more");
    let given = get(&clone.env()["SESSION_URL"], "/env/SESSION__N8N_WEBHOOK_URL").await;
    assert_eq!(given.as_deref(), Some("http://127.0.0.1:9/mine"));

    let last = clone.pid().unwrap();
    for _ in 0..2 {
        let down = clone.run(&["down"], &[]).await;
        assert!(down.status.success(), "{}", text(&down));
        assert!(!is_alive(last) && !clone.env_file().exists());
    }
}

#[tokio::test]
async fn a_service_that_dies_is_started_again_and_the_env_file_follows() {
    let clone = Clone::make();
    assert!(clone.run(&["up", "--detach"], &[]).await.status.success());
    let pid = clone.pid().unwrap();
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    until("another process", DEADLINE, async || {
        clone.pid().is_some_and(|other| other != pid && is_alive(other))
    })
    .await;
    let url = clone.env()["SESSION_URL"].clone();
    until("its answer", DEADLINE, async || {
        get(&url, "/readyz").await.is_some()
    })
    .await;
    let log = std::fs::read_to_string(clone.path().join("target/devstack/log/devstack.log")).unwrap();
    assert!(log.contains("session-svc died"), "{log}");
}

#[tokio::test]
async fn ctrl_c_stops_a_stack_in_the_foreground() {
    let clone = Clone::make();
    let log = clone.path().join("shown");
    let shown = std::fs::File::create(&log).unwrap();
    let mut up = clone
        .command(&["up"])
        .stdout(shown)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    until("the env file", DEADLINE, async || clone.pid().is_some()).await;
    let pid = clone.pid().unwrap();
    signal(&up, Signal::SIGINT);
    let status = tokio::time::timeout(DEADLINE, up.wait()).await.unwrap().unwrap();
    assert!(status.success());
    assert!(!is_alive(pid) && !clone.env_file().exists());
    let shown = std::fs::read_to_string(log).unwrap();
    assert!(
        shown.contains("session-svc        | the fake service starts"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_killed_stack_leaves_no_process_and_starts_again() {
    let clone = Clone::make();
    let up = clone.command(&["up"]).stdout(Stdio::null()).spawn().unwrap();
    until("the env file", DEADLINE, async || clone.pid().is_some()).await;
    let (pid, server) = (
        clone.pid().unwrap(),
        clone.path().join("target/devstack/pg/data/postmaster.pid"),
    );
    let server: i32 = std::fs::read_to_string(server)
        .unwrap()
        .lines()
        .next()
        .unwrap()
        .parse()
        .unwrap();
    signal(&up, Signal::SIGKILL);
    until("that all is gone", Duration::from_secs(2), async || {
        !is_alive(pid) && !is_alive(server)
    })
    .await;
    let again = clone.run(&["up", "--detach"], &[]).await;
    assert!(again.status.success(), "{}", text(&again));
}

#[tokio::test]
async fn a_stubborn_service_does_not_keep_a_killed_stack_alive() {
    let clone = Clone::make();
    let mut command = clone.command(&["up"]);
    let up = command
        .env("FAKE_STUBBORN", "1")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    until("the env file", DEADLINE, async || clone.pid().is_some()).await;
    let pid = clone.pid().unwrap();
    signal(&up, Signal::SIGKILL);
    until("its end", Duration::from_secs(2), async || !is_alive(pid)).await;
}

#[tokio::test]
async fn a_service_can_be_run_in_the_stack_s_place() {
    let clone = Clone::make();
    let without = clone.run(&["run", "session-svc"], &[]).await;
    assert!(text(&without).contains("make up DETACH=1"), "{}", text(&without));
    let unknown = clone.run(&["run", "no-svc"], &[]).await;
    assert!(text(&unknown).contains("session-svc"), "{}", text(&unknown));

    assert!(clone.run(&["up", "--detach"], &[]).await.status.success());
    let (pid, url) = (clone.pid().unwrap(), clone.env()["SESSION_URL"].clone());
    let mut run = clone
        .command(&["run", "session-svc"])
        .env("SESSION__LOG_FORMAT", "json")
        .spawn()
        .unwrap();
    until("the loan", DEADLINE, async || {
        get(&url, "/env/SESSION__LOG_FORMAT").await.as_deref() == Some("json")
    })
    .await;
    assert!(!is_alive(pid));
    until("its number", DEADLINE, async || {
        clone.pid().is_some_and(|other| other != pid && is_alive(other))
    })
    .await;
    let lent = clone.pid().unwrap();
    signal(&run, Signal::SIGINT);
    tokio::time::timeout(DEADLINE, run.wait()).await.unwrap().unwrap();
    until("the stack's own again", DEADLINE, async || {
        get(&url, "/env/SESSION__LOG_FORMAT").await.as_deref() == Some("pretty")
    })
    .await;
    assert!(!is_alive(lent));
}

#[tokio::test]
async fn exec_gives_a_command_a_stack_of_its_own() {
    let clone = Clone::make();
    let script = "echo \"$SESSION_URL $USER_TOKEN $STANDIN_N8N_URL\"; exit 5";
    let output = clone.run(&["exec", "--", "sh", "-c", script], &[]).await;
    assert_eq!(output.status.code(), Some(5), "{}", text(&output));
    let words: Vec<String> = String::from_utf8(output.stdout)
        .unwrap()
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    assert_eq!(words.len(), 3, "{words:?}");
    assert_eq!(get(&words[0], "/readyz").await, None);
    assert!(!clone.env_file().exists());
}
