//! Where a private cluster lives, and the mark by which it is known as ours.
//!
//! PostgreSQL refuses to run as root, so root hands the cluster to another account. Where that account cannot reach the
//! wanted place (a clone under `/root`, say), the cluster goes under `/var/tmp` and a symbolic link stands in its place.
//! A directory that is not marked as ours is never touched.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::unistd::{Gid, Uid, User};

use crate::process::Account;

/// The file that marks a directory as devstack's.
const MARK: &str = "made-by-devstack";
/// A place that every account can reach and that survives a restart.
const REACHABLE: &str = "/var/tmp";
/// Accounts that may run PostgreSQL for root, the best first.
const ACCOUNTS: [&str; 2] = ["postgres", "nobody"];

/// The directory of one private cluster.
#[derive(Clone, Debug)]
pub struct Home {
    /// Holds the cluster, its password and the mark.
    pub directory: PathBuf,
    /// Who runs it, when that is not the caller.
    pub account: Option<Account>,
}

impl Home {
    /// Finds the directory for a cluster wanted at this path, or makes it.
    ///
    /// # Errors
    /// Something is there that devstack did not make, or nothing can be made.
    pub fn prepare(wanted: &Path) -> Result<Self> {
        let account = account_for(wanted)?;
        let linked = std::fs::read_link(wanted)
            .ok()
            .filter(|target| target.join(MARK).is_file());
        let directory = match (linked, account) {
            (Some(linked), _) => linked,
            (None, Some(account)) if !can_reach(wanted, account) => elsewhere(wanted)?,
            _ => wanted.to_path_buf(),
        };
        claim(&directory, account)?;
        if directory != wanted {
            link(wanted, &directory)?;
        }
        Ok(Self { directory, account })
    }

    /// PostgreSQL's data directory.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Removes the cluster and everything around it.
    ///
    /// # Errors
    /// It is not ours, or cannot be removed.
    pub fn remove(&self) -> Result<()> {
        if !self.directory.join(MARK).is_file() {
            bail!("{} was not made by devstack", self.directory.display());
        }
        std::fs::remove_dir_all(&self.directory)
            .with_context(|| format!("cannot remove {}", self.directory.display()))
    }

    /// Gives a file or directory to the account that runs the cluster.
    ///
    /// # Errors
    /// It cannot be given.
    pub fn hand_over(&self, path: &Path) -> Result<()> {
        let Some(account) = self.account else {
            return Ok(());
        };
        nix::unistd::chown(
            path,
            Some(Uid::from_raw(account.uid)),
            Some(Gid::from_raw(account.gid)),
        )
        .with_context(|| format!("cannot hand {} to another account", path.display()))
    }
}

/// A directory for things of a stack that does not stay; every account can reach it.
///
/// # Errors
/// It cannot be made.
pub fn temporary() -> Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("switchhook-");
    let made = builder.tempdir().context("cannot make a temporary directory")?;
    std::fs::set_permissions(made.path(), std::fs::Permissions::from_mode(0o711))?;
    match account_for(made.path())? {
        Some(account) if !can_reach(&made.path().join("pg"), account) => {
            let made = builder
                .tempdir_in(REACHABLE)
                .with_context(|| format!("cannot write to {REACHABLE}"))?;
            std::fs::set_permissions(made.path(), std::fs::Permissions::from_mode(0o711))?;
            Ok(made)
        }
        _ => Ok(made),
    }
}

/// Who runs PostgreSQL: the caller, or for root the owner of an existing cluster, `postgres` or `nobody`.
fn account_for(wanted: &Path) -> Result<Option<Account>> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(None);
    }
    if let Ok(metadata) = std::fs::metadata(wanted.join("data"))
        && metadata.uid() != 0
    {
        return Ok(Some(Account {
            uid: metadata.uid(),
            gid: metadata.gid(),
        }));
    }
    for name in ACCOUNTS {
        if let Some(user) = User::from_name(name)?.filter(|user| !user.uid.is_root()) {
            return Ok(Some(Account {
                uid: user.uid.as_raw(),
                gid: user.gid.as_raw(),
            }));
        }
    }
    bail!("PostgreSQL does not run as root, and there is neither an account `postgres` nor `nobody`")
}

/// Whether the account may pass through every directory above the path.
fn can_reach(path: &Path, account: Account) -> bool {
    let real = path.parent().and_then(|parent| parent.canonicalize().ok());
    let Some(real) = real else { return false };
    real.ancestors().all(|directory| {
        std::fs::metadata(directory).is_ok_and(|metadata| {
            let bit = match (metadata.uid() == account.uid, metadata.gid() == account.gid) {
                (true, _) => 0o100,
                (false, true) => 0o010,
                (false, false) => 0o001,
            };
            metadata.mode() & bit != 0
        })
    })
}

/// The place under `/var/tmp` that belongs to a wanted path, always the same one.
fn elsewhere(wanted: &Path) -> Result<PathBuf> {
    let parent = wanted
        .parent()
        .context("a cluster has a directory")?
        .canonicalize()?;
    let mut hasher = DefaultHasher::new();
    parent
        .join(wanted.file_name().unwrap_or_default())
        .hash(&mut hasher);
    Ok(Path::new(REACHABLE).join(format!("switchhook-{:016x}", hasher.finish())))
}

/// Makes the directory and marks it, or checks that what is there is ours.
fn claim(directory: &Path, account: Option<Account>) -> Result<()> {
    let mark = directory.join(MARK);
    match std::fs::symlink_metadata(directory) {
        Ok(metadata) => {
            let owner = metadata.uid();
            let ours = owner == nix::unistd::geteuid().as_raw()
                || account.is_some_and(|account| account.uid == owner);
            let empty = std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none());
            if !metadata.is_dir() || !ours || !(mark.is_file() || empty) {
                bail!(
                    "{} is there and was not made by devstack: move it away",
                    directory.display()
                );
            }
        }
        Err(_) => {
            std::fs::create_dir(directory).with_context(|| format!("cannot make {}", directory.display()))?
        }
    }
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755))?;
    std::fs::write(&mark, "devstack made this directory and may remove it.\n")?;
    let home = Home {
        directory: directory.to_path_buf(),
        account,
    };
    home.hand_over(directory)
}

fn link(wanted: &Path, directory: &Path) -> Result<()> {
    match std::fs::symlink_metadata(wanted) {
        Ok(metadata) if metadata.is_symlink() => std::fs::remove_file(wanted)?,
        Ok(_) => bail!(
            "{} is there and was not made by devstack: move it away",
            wanted.display()
        ),
        Err(_) => {}
    }
    std::os::unix::fs::symlink(directory, wanted).with_context(|| format!("cannot link {}", wanted.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_somebody_else_is_not_touched() {
        let directory = temporary().unwrap();
        let wanted = directory.path().join("pg");
        std::fs::create_dir_all(wanted.join("data")).unwrap();
        std::fs::write(wanted.join("data/PG_VERSION"), "15\n").unwrap();
        let error = Home::prepare(&wanted).unwrap_err().to_string();
        assert!(error.contains("was not made by devstack"), "{error}");
        assert_eq!(
            std::fs::read_to_string(wanted.join("data/PG_VERSION")).unwrap(),
            "15\n"
        );
        let home = Home {
            directory: wanted,
            account: None,
        };
        assert!(home.remove().is_err());
    }

    #[test]
    fn a_home_is_found_again_and_can_be_removed() {
        let directory = temporary().unwrap();
        let wanted = directory.path().join("pg");
        let made = Home::prepare(&wanted).unwrap();
        assert_eq!(Home::prepare(&wanted).unwrap().directory, made.directory);
        made.remove().unwrap();
        assert!(!made.directory.exists());
    }

    #[test]
    fn a_closed_directory_cannot_be_passed_by_others() {
        let directory = tempfile::tempdir().unwrap();
        let stranger = Account {
            uid: 64_999,
            gid: 64_999,
        };
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        assert!(!can_reach(&directory.path().join("pg"), stranger));
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
        assert!(can_reach(&directory.path().join("pg"), stranger));
    }

    #[test]
    fn the_place_elsewhere_depends_on_the_wanted_one_alone() {
        let directory = tempfile::tempdir().unwrap();
        let (one, two) = (directory.path().join("a"), directory.path().join("b"));
        assert_eq!(elsewhere(&one).unwrap(), elsewhere(&one).unwrap());
        assert_ne!(elsewhere(&one).unwrap(), elsewhere(&two).unwrap());
    }
}
