//! Programs of the system: found, or installed with the system's own package manager.
//!
//! What would be run is a pure function of what the machine has ([`plan`]). `sudo` is used only after saying so, and only
//! where it can work: without a password, or with a terminal to ask for one.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::{node, say};

/// What the project needs beside Rust.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Need {
    /// PostgreSQL's server programs.
    Postgresql,
    /// Node.js with npm.
    Node,
    /// Chromium.
    Chromium,
    /// Python 3 with what makes environments of its own.
    Python,
}

/// A package manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manager {
    /// Debian, Ubuntu.
    Apt,
    /// Fedora, Red Hat.
    Dnf,
    /// Alpine.
    Apk,
    /// Arch.
    Pacman,
    /// macOS, and Linux without root.
    Brew,
}

/// What this user may do to the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Everything.
    Root,
    /// `sudo` works, or can ask for a password.
    Sudo,
    /// Nothing.
    None,
}

/// What is to be done to get a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Run these, one after the other.
    Run(Vec<Vec<String>>),
    /// It cannot be done from here: tell the person this line.
    Say(String),
}

const MANAGERS: [(Manager, &str); 5] = [
    (Manager::Apt, "apt-get"),
    (Manager::Dnf, "dnf"),
    (Manager::Apk, "apk"),
    (Manager::Pacman, "pacman"),
    (Manager::Brew, "brew"),
];
/// Keeps Debian's packages from making and starting a cluster of their own.
const NO_MAIN_CLUSTER: &str = "/etc/postgresql-common/createcluster.d/switchhook.conf";

impl Need {
    fn name(self) -> &'static str {
        match self {
            Self::Postgresql => "PostgreSQL",
            Self::Node => "Node.js",
            Self::Chromium => "Chromium",
            Self::Python => "Python",
        }
    }

    /// The program, when the machine has it.
    #[must_use]
    pub fn find(self) -> Option<PathBuf> {
        match self {
            Self::Postgresql => crate::postgres::programs::find().map(|programs| programs.directory),
            Self::Node => node::find(),
            Self::Python => on_path("python3").filter(|program| makes_environments(program)),
            Self::Chromium => [
                "chromium",
                "chromium-browser",
                "google-chrome",
                "google-chrome-stable",
            ]
            .into_iter()
            .find_map(on_path)
            .or_else(|| {
                let applications = [
                    "Chromium.app/Contents/MacOS/Chromium",
                    "Google Chrome.app/Contents/MacOS/Google Chrome",
                ];
                applications
                    .iter()
                    .map(|path| Path::new("/Applications").join(path))
                    .find(|path| path.is_file())
            }),
        }
    }

    fn packages(self, manager: Manager) -> &'static [&'static str] {
        match (self, manager) {
            (Self::Postgresql, Manager::Dnf) => &["postgresql-server"],
            (Self::Postgresql, Manager::Brew) => &["postgresql@17"],
            (Self::Postgresql, _) => &["postgresql"],
            (Self::Node, Manager::Brew) => &["node"],
            (Self::Node, _) => &["nodejs", "npm"],
            (Self::Chromium, Manager::Brew) => &["--cask", "chromium"],
            (Self::Chromium, Manager::Apt) => &["chromium", "fonts-dejavu-core"],
            (Self::Chromium, _) => &["chromium"],
            (Self::Python, Manager::Apt) => &["python3", "python3-venv"],
            (Self::Python, Manager::Pacman | Manager::Brew) => &["python"],
            (Self::Python, _) => &["python3"],
        }
    }
}

/// What gets a program onto a machine with this package manager and these rights.
#[must_use]
pub fn plan(need: Need, manager: Option<Manager>, rights: Rights) -> Plan {
    let name = need.name();
    let Some(manager) = manager else {
        return Plan::Say(format!(
            "{name} is not installed, and no package manager is known here: install {name}"
        ));
    };
    let install = install_command(need, manager);
    if manager == Manager::Brew {
        return match rights {
            Rights::Root => Plan::Say(format!(
                "{name} is not installed: run `{}` as yourself",
                install.join(" ")
            )),
            _ => Plan::Run(vec![install]),
        };
    }
    let mut commands = vec![install];
    if manager == Manager::Apt {
        commands.insert(0, words(&["apt-get", "update", "-qq"]));
        if need == Need::Postgresql {
            let directory = Path::new(NO_MAIN_CLUSTER)
                .parent()
                .unwrap_or(Path::new("/"))
                .display();
            let write =
                format!("mkdir -p {directory} && echo 'create_main_cluster = false' > {NO_MAIN_CLUSTER}");
            commands.insert(1, words(&["sh", "-c", &write]));
            commands.push(words(&["rm", "-f", NO_MAIN_CLUSTER]));
        }
    }
    match rights {
        Rights::Root => Plan::Run(commands),
        Rights::Sudo => {
            let with_sudo = |command: Vec<String>| [words(&["sudo"]), command].concat();
            Plan::Run(commands.into_iter().map(with_sudo).collect())
        }
        Rights::None => {
            let packages = need.packages(manager).join(" ");
            let verb = install_words(manager).join(" ");
            Plan::Say(format!(
                "{name} is not installed, and sudo cannot be used: have somebody run `sudo {verb} {packages}`"
            ))
        }
    }
}

fn install_words(manager: Manager) -> &'static [&'static str] {
    match manager {
        Manager::Apt => &["apt-get", "install", "-y", "--no-install-recommends"],
        Manager::Dnf => &["dnf", "install", "-y"],
        Manager::Apk => &["apk", "add"],
        Manager::Pacman => &["pacman", "-S", "--noconfirm", "--needed"],
        Manager::Brew => &["brew", "install"],
    }
}

fn install_command(need: Need, manager: Manager) -> Vec<String> {
    let mut command = Vec::new();
    if manager == Manager::Apt {
        command.extend(words(&["env", "DEBIAN_FRONTEND=noninteractive"]));
    }
    command.extend(words(install_words(manager)));
    if manager == Manager::Apt {
        command.extend(words(&["-o", "DPkg::Lock::Timeout=120"]));
    }
    command.extend(words(need.packages(manager)));
    command
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Finds a program, or installs it and finds it then.
///
/// # Errors
/// One line that says what to install.
pub fn ensure(need: Need) -> Result<PathBuf> {
    if let Some(found) = need.find() {
        return Ok(found);
    }
    let is_old_node = || need == Need::Node && on_path("npm").is_some() && on_path("node").is_some();
    if !is_old_node() {
        install(need)?;
    }
    if is_old_node() && need.find().is_none() {
        node::take_from_npm()?;
    }
    let found = need.find();
    found.with_context(|| {
        format!(
            "{} was installed and still cannot be found: is it on the PATH?",
            need.name()
        )
    })
}

fn install(need: Need) -> Result<()> {
    let manager = MANAGERS
        .into_iter()
        .find(|(_, program)| on_path(program).is_some())
        .map(|(manager, _)| manager);
    let hint = if need == Need::Postgresql {
        ", or set DATABASE_URL to a server of yours"
    } else {
        ""
    };
    let commands = match plan(need, manager, rights()) {
        Plan::Run(commands) => commands,
        Plan::Say(line) => bail!("{line}{hint}"),
    };
    say::progress(&format!("{} is not installed; installing it:", need.name()));
    commands.iter().try_for_each(|command| run(command, need))
}

fn run(command: &[String], need: Need) -> Result<()> {
    let line = command.join(" ");
    say::progress(&format!("  {line}"));
    let (program, arguments) = command.split_first().context("a command has a program")?;
    // The manager's own words are progress: results of devstack alone go to standard output.
    let status = Command::new(program)
        .args(arguments)
        .stdout(Stdio::from(std::io::stderr()))
        .status();
    let status = status.with_context(|| format!("cannot run `{line}`"))?;
    if !status.success() {
        bail!(
            "`{line}` failed ({status}): install {} by hand and try again",
            need.name()
        );
    }
    Ok(())
}

/// Whether this Python can make an environment with `pip` in it: Debian's cannot by itself.
fn makes_environments(python: &Path) -> bool {
    let status = Command::new(python)
        .args([
            "-c",
            "import ensurepip, sys, venv; assert sys.version_info >= (3, 10)",
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

fn rights() -> Rights {
    if nix::unistd::geteuid().is_root() {
        return Rights::Root;
    }
    if on_path("sudo").is_none() {
        return Rights::None;
    }
    let silent = Command::new("sudo")
        .args(["-n", "true"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let usable = silent.is_ok_and(|status| status.success()) || std::io::stdin().is_terminal();
    if usable { Rights::Sudo } else { Rights::None }
}

/// The first program of this name on the PATH.
#[must_use]
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|program| is_executable(program))
}

/// Whether this is a file that can be run.
pub(crate) fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(plan: Plan) -> Vec<String> {
        match plan {
            Plan::Run(commands) => commands.into_iter().map(|command| command.join(" ")).collect(),
            Plan::Say(line) => panic!("expected commands, got: {line}"),
        }
    }

    #[test]
    fn debian_s_own_cluster_is_never_made() {
        let lines = lines(plan(Need::Postgresql, Some(Manager::Apt), Rights::Root));
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[0], "apt-get update -qq");
        assert!(lines[1].contains("create_main_cluster = false"), "{}", lines[1]);
        assert!(
            lines[2].contains("apt-get install -y --no-install-recommends"),
            "{}",
            lines[2]
        );
        assert!(lines[2].ends_with(" postgresql"), "{}", lines[2]);
        assert_eq!(lines[3], format!("rm -f {NO_MAIN_CLUSTER}"));
    }

    #[test]
    fn each_manager_has_its_own_words() {
        let cases = [
            (Manager::Dnf, "sudo dnf install -y postgresql-server"),
            (Manager::Apk, "sudo apk add postgresql"),
            (Manager::Pacman, "sudo pacman -S --noconfirm --needed postgresql"),
            (Manager::Brew, "brew install postgresql@17"),
        ];
        for (manager, wanted) in cases {
            assert_eq!(
                lines(plan(Need::Postgresql, Some(manager), Rights::Sudo)),
                [wanted]
            );
        }
        assert_eq!(
            lines(plan(Need::Node, Some(Manager::Apk), Rights::Root)),
            ["apk add nodejs npm"]
        );
        assert_eq!(
            lines(plan(Need::Chromium, Some(Manager::Brew), Rights::None)),
            ["brew install --cask chromium"]
        );
    }

    #[test]
    fn without_rights_or_manager_one_line_says_what_to_install() {
        let plans = [
            plan(Need::Postgresql, Some(Manager::Apt), Rights::None),
            plan(Need::Postgresql, None, Rights::Root),
            plan(Need::Postgresql, Some(Manager::Brew), Rights::Root),
        ];
        for plan in plans {
            let Plan::Say(line) = plan else { panic!("{plan:?}") };
            assert!(
                line.contains("PostgreSQL is not installed") && !line.contains('\n'),
                "{line}"
            );
        }
    }

    #[test]
    fn programs_are_found_on_the_path() {
        assert!(on_path("sh").is_some());
        assert!(on_path("no-such-program-here").is_none());
    }
}
