//! The services' own lists of settings, and their own judgement of what they would be given.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::{LazyLock, Mutex};

use devstack::places;
use devstack::services::SERVICES;

use crate::tools::said;

/// The settings of one service: the variable and its default, as the service prints them.
pub(crate) type Settings = BTreeMap<String, String>;

/// The names of all services.
pub(crate) fn services() -> impl Iterator<Item = &'static str> {
    SERVICES.iter().map(|service| service.name)
}

/// What a service can be told, by its own list.
pub(crate) fn of(service: &str) -> &'static Settings {
    static ALL: LazyLock<BTreeMap<&str, Settings>> =
        LazyLock::new(|| services().map(|service| (service, listed(service))).collect());
    ALL.get(service)
        .unwrap_or_else(|| panic!("there is no service {service}"))
}

/// The default of a setting, where there are such a service and setting.
pub(crate) fn default(service: &str, variable: &str) -> Option<&'static str> {
    services()
        .any(|known| known == service)
        .then(|| of(service).get(variable).map(String::as_str))
        .flatten()
}

fn listed(service: &str) -> Settings {
    let output = Command::new(places::program(service).unwrap())
        .arg("settings")
        .output()
        .unwrap();
    let table = said(&output).unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| {
        let (variable, rest) = row.split_once("` | ")?;
        let default = rest.split(" | ").next()?.trim_matches('`');
        Some((variable.to_owned(), default.to_owned()))
    })
    .collect()
}

/// What a service cannot start without.
pub(crate) fn required(service: &str) -> impl Iterator<Item = &'static str> {
    of(service)
        .iter()
        .filter(|(_, default)| *default == "required")
        .map(|(variable, _)| variable.as_str())
}

/// What may stand in front of a setting's name to mean one service only: `SESSION__`.
fn prefix(service: &str) -> String {
    let found = SERVICES.iter().find(|known| known.name == service).unwrap();
    format!("{}__", found.key)
}

/// The setting that a variable is to a service, if it is one.
pub(crate) fn setting(service: &str, variable: &str) -> Option<&'static str> {
    let own = prefix(service);
    let plain = variable.strip_prefix(&own).unwrap_or(variable);
    of(service).get_key_value(plain).map(|(name, _)| name.as_str())
}

/// Every name that may stand in an environment for all services: plain, or with a service's prefix.
pub(crate) fn names_for_all() -> BTreeSet<String> {
    let names = services().flat_map(|service| {
        let own = prefix(service);
        of(service)
            .keys()
            .flat_map(move |name| [name.clone(), format!("{own}{name}")])
    });
    names.collect()
}

/// What the service itself says about an environment: nothing, or why it would not start. Asked once for each.
pub(crate) fn complaint(service: &str, environment: &BTreeMap<String, String>) -> Option<String> {
    type Asked = BTreeMap<(String, BTreeMap<String, String>), Option<String>>;
    static ASKED: Mutex<Asked> = Mutex::new(BTreeMap::new());
    let question = (service.to_owned(), environment.clone());
    if let Some(known) = ASKED.lock().unwrap().get(&question) {
        return known.clone();
    }
    let output = Command::new(places::program(service).unwrap())
        .arg("check-config")
        .env_clear()
        .envs(environment)
        .output()
        .unwrap();
    let complaint = said(&output).err().map(|words| words.trim().to_owned());
    ASKED.lock().unwrap().insert(question, complaint.clone());
    complaint
}
