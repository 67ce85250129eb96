//! Where things are: the clone, what devstack keeps in it, the built programs, free ports.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use rand::Rng;

/// Ports that are tried. They lie below the range from which systems take ports for outgoing connections, so that a
/// service which restarts finds its own port free again.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
const PORT_TRIES: usize = 200;
/// Ports that this process gave away: whoever got one may not have bound it yet.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// What one stack keeps on disk.
#[derive(Clone, Debug)]
pub struct Places {
    state: PathBuf,
}

impl Places {
    /// The stack of this clone: `target/devstack`.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn of_clone() -> Result<Self> {
        Self::at(root().join("target/devstack"))
    }

    /// A stack that keeps its things elsewhere.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn at(state: PathBuf) -> Result<Self> {
        let places = Self { state };
        for directory in [places.state.clone(), places.log()] {
            std::fs::create_dir_all(&directory)
                .with_context(|| format!("cannot make {}", directory.display()))?;
        }
        Ok(places)
    }

    /// The file that a shell can source.
    #[must_use]
    pub fn env_file(&self) -> PathBuf {
        self.state.join("env")
    }

    /// Logs, one file a process.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.state.join("log")
    }

    /// What devstack itself says when it is detached.
    #[must_use]
    pub fn own_log(&self) -> PathBuf {
        self.log().join("devstack.log")
    }

    /// Held as long as a stack runs.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.state.join("lock")
    }

    /// What a running stack says about itself.
    #[must_use]
    pub fn state_file(&self) -> PathBuf {
        self.state.join("state.json")
    }

    /// The private PostgreSQL cluster.
    #[must_use]
    pub fn postgres(&self) -> PathBuf {
        self.state.join("pg")
    }

    /// The key to what is encrypted in that cluster.
    #[must_use]
    pub fn data_key(&self) -> PathBuf {
        self.state.join("data-key")
    }
}

/// The clone: the nearest directory upwards that holds this workspace, else the one devstack was built in.
#[must_use]
pub fn root() -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    let is_root = |directory: &&Path| directory.join("crates/devstack/Cargo.toml").is_file();
    let built_in = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let found = here
        .ancestors()
        .find(is_root)
        .map_or_else(built_in, Path::to_path_buf);
    found.canonicalize().unwrap_or(found)
}

/// A program of this workspace, built in the same profile as the one that runs.
///
/// # Errors
/// It is not there.
pub fn program(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot tell where this program is")?;
    let mut directory = own.parent().unwrap_or(Path::new("/"));
    if directory.ends_with("deps") {
        directory = directory.parent().unwrap_or(directory);
    }
    let program = directory.join(name);
    if !program.is_file() {
        bail!(
            "{} is not built: run `cargo build --bins` first",
            program.display()
        );
    }
    Ok(program)
}

/// The wanted port when it is free, else a free one.
///
/// # Errors
/// No free port was found.
pub fn port(wanted: Option<u16>) -> Result<u16> {
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(wanted) = wanted.filter(|port| is_free(*port)) {
        return Ok(wanted);
    }
    let mut random = rand::rng();
    let mut tries = (0..PORT_TRIES).map(|_| random.random_range(PORTS));
    let port = tries
        .find(|port| !given.contains(port) && is_free(*port))
        .context("found no free port on 127.0.0.1")?;
    given.insert(port);
    Ok(port)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_replaced_by_a_free_one() {
        // Any other program may take the port in the moment in which it is free.
        let is_given_back = (0..5).any(|_| {
            let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let number = taken.local_addr().unwrap().port();
            let given = port(Some(number)).unwrap();
            assert_ne!(given, number);
            assert!(PORTS.contains(&given));
            drop(taken);
            port(Some(number)).unwrap() == number
        });
        assert!(is_given_back);
    }

    #[test]
    fn the_clone_is_found_from_anywhere_inside_it() {
        assert!(root().join("crates/devstack/Cargo.toml").is_file());
    }

    #[test]
    fn a_program_that_is_not_built_is_named() {
        let error = program("no-such-service").unwrap_err().to_string();
        assert!(
            error.contains("no-such-service") && error.contains("cargo build"),
            "{error}"
        );
    }
}
