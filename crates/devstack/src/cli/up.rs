//! `devstack up`, in the foreground and detached.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{Asked, standins};
use crate::environment::Environment;
use crate::instance::{self, Holder, Lock, State};
use crate::logs::Output;
use crate::places::Places;
use crate::stack::{DatabaseChoice, Ports, Stack};
use crate::{env_file, loan, probe, say, table, upkeep};

/// How long a detached stack may take until it is ready; PostgreSQL may have to be installed.
const READY_TIME: Duration = Duration::from_secs(600);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Runs the stack until it is asked to stop.
pub(super) async fn foreground(detached: bool) -> Result<u8> {
    standins::follow();
    let places = Places::of_clone()?;
    let lock = match instance::acquire(&places)? {
        Holder::Nobody(lock) => lock,
        Holder::Process(pid) => {
            bail!("the stack of this clone runs already (process {pid}): `make down` stops it")
        }
    };
    instance::clear(&places);
    let mut asked = Asked::new()?;
    let caller = Environment::of_process();
    let output = Output {
        terminal: !detached,
        directory: Some(places.log()),
    };
    let builder = Stack::builder()
        .database(DatabaseChoice::Stays)
        .ports(Ports::Default)
        .output(output)
        .places(places.clone());
    let stack = tokio::select! {
        started = builder.start() => started?,
        () = asked.stop() => {
            say::progress("stopped while starting");
            return Ok(130);
        }
    };
    let stack = Arc::new(stack);
    let kept = serve(&stack, &caller, &places, &mut asked).await;
    say::progress("stopping (again Ctrl-C: at once)");
    instance::clear(&places);
    let stopped = tokio::select! {
        stopped = stop(stack) => stopped,
        () = asked.stop() => Err(anyhow::anyhow!("stopped at once")),
    };
    release(lock);
    kept.and(stopped).map(|()| 0)
}

/// Says that it is ready, and keeps it so until it is asked to stop.
async fn serve(stack: &Arc<Stack>, caller: &Environment, places: &Places, asked: &mut Asked) -> Result<()> {
    env_file::write_private(&places.env_file(), &env_file::render(&stack.env().await?))?;
    let (listener, desk) = loan::open().await?;
    let state = State {
        pid: i32::try_from(std::process::id())?,
        ready: true,
        fingerprint: instance::fingerprint(caller)?,
        table: table::render(stack, caller, &places.env_file())?,
        urls: stack
            .replicas()
            .iter()
            .map(|replica| replica.url().to_owned())
            .collect(),
        loan: Some(desk.clone()),
    };
    instance::write(places, &state)?;
    say::result(&state.table);
    let env_file = places.env_file();
    tokio::select! {
        kept = upkeep::keep(stack, &env_file) => kept,
        () = loan::serve(listener, desk, Arc::clone(stack)) => Ok(()),
        () = asked.stop() => Ok(()),
    }
}

async fn stop(mut shared: Arc<Stack>) -> Result<()> {
    loop {
        // A loan that was broken off just now may hold the stack for a moment.
        match Arc::try_unwrap(shared) {
            Ok(stack) => return stack.stop().await,
            Err(still_shared) => shared = still_shared,
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The lock is given back last, so that whoever waits for it finds everything stopped.
fn release(lock: Lock) {
    drop(lock);
}

/// Starts the stack as a process of its own and returns once it is ready.
pub(super) async fn detach() -> Result<u8> {
    let places = Places::of_clone()?;
    let caller = Environment::of_process();
    let fingerprint = instance::fingerprint(&caller)?;
    if let Holder::Process(pid) = instance::acquire(&places)? {
        if let Some(state) = running(&places, pid, &fingerprint).await? {
            say::result(&state.table);
            return Ok(0);
        }
        say::progress("the stack runs with other settings or programs; starting it anew");
        instance::stop(&places)?;
    }
    let mut log = open_log(&places)?;
    let own = std::env::current_exe().context("cannot tell where this program is")?;
    let mut daemon = Command::new(own)
        .args(["up", "--daemon"])
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log.try_clone()?)
        .spawn()
        .context("cannot start the stack")?;
    match wait_until_ready(&places, &mut daemon, &mut log).await? {
        Some(state) => say::result(&state.table),
        None => bail!(
            "the stack did not start; its logs are in {}",
            places.log().display()
        ),
    }
    Ok(0)
}

/// The stack that runs already, once it is ready, if it runs with the same settings and programs.
async fn running(places: &Places, pid: i32, fingerprint: &str) -> Result<Option<State>> {
    let deadline = Instant::now() + READY_TIME;
    let state = loop {
        if let Some(state) = instance::read(places, pid).filter(|state| state.ready) {
            break state;
        }
        if !matches!(instance::acquire(places)?, Holder::Process(holder) if holder == pid)
            || Instant::now() > deadline
        {
            return Ok(None);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    };
    if state.fingerprint != fingerprint {
        return Ok(None);
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    for url in &state.urls {
        while let Err(error) = probe::ready(url).await {
            if Instant::now() > deadline {
                say::loudly(&format!("{url} is not ready: {error:#}"));
                return Ok(None);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    Ok(Some(state))
}

fn open_log(places: &Places) -> Result<File> {
    let path = places.own_log();
    // A new file, so that a process of an earlier stack cannot write into the middle of this one's.
    let _ = std::fs::remove_file(&path);
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Shows the daemon's progress until it is ready; none when it ended before.
async fn wait_until_ready(places: &Places, daemon: &mut Child, log: &mut File) -> Result<Option<State>> {
    let pid = i32::try_from(daemon.id())?;
    let deadline = Instant::now() + READY_TIME;
    let mut shown = 0;
    loop {
        let ended = daemon.try_wait()?;
        let state = instance::read(places, pid).filter(|state| state.ready);
        shown = show_progress(log, shown, state.is_some())?;
        if state.is_some() {
            return Ok(state);
        }
        if ended.is_some() || Instant::now() > deadline {
            return Ok(None);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Copies what is new in the log, without the table at its end: that is the result.
fn show_progress(log: &mut File, shown: usize, ready: bool) -> Result<usize> {
    use std::os::unix::fs::FileExt;
    let length = usize::try_from(log.metadata()?.len())?;
    let mut new = vec![0; length.saturating_sub(shown)];
    log.read_exact_at(&mut new, shown as u64)?;
    let text = String::from_utf8_lossy(&new);
    let progress = text.split("\nSwitchhook is ready.").next().unwrap_or_default();
    if !ready || progress.len() < text.len() {
        let _ = std::io::stderr().write_all(progress.as_bytes());
    }
    Ok(length)
}

/// Leaves the caller's terminal and closes whatever it had open beside the three standard streams: a detached stack
/// must not keep a pipe of its caller from ending.
pub(super) fn let_go_of_the_caller() -> Result<()> {
    nix::unistd::setsid().context("cannot leave the terminal")?;
    let mut name = std::path::Path::new("/proc/self/fd");
    if !name.is_dir() {
        name = std::path::Path::new("/dev/fd");
    }
    let open: Vec<i32> = std::fs::read_dir(name)?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|number| *number > 2)
        .collect();
    for number in open {
        // The directory that was just read is among them and closed already.
        let _ = nix::unistd::close(number);
    }
    Ok(())
}
