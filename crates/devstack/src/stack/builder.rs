//! What a stack consists of, and how it is started.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use switchhook_standins::{LiveKit, N8n, Options, Retell, livekit, retell};
use tokio::sync::Mutex;

use super::Stack;
use super::database::Database;
use super::replica::{Replica, Slot};
use crate::env_file;
use crate::environment::Environment;
use crate::guard::Guard;
use crate::logs::Output;
use crate::places::{self, Places};
use crate::postgres::{Durability, home};
use crate::say;
use crate::services::{self, SERVICES, Service};
use crate::settings::{self, Keys, Surroundings, given};

/// Ports of n8n's stand-in in `make up`: control, and webhooks.
const N8N_PORTS: (u16, u16) = (5680, 5681);
/// Ports of Retell's stand-in: control, and API.
const RETELL_PORTS: (u16, u16) = (5682, 5683);
/// Ports of LiveKit's stand-in: control, and API.
const LIVEKIT_PORTS: (u16, u16) = (5684, 5685);

/// Which ports a stack uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ports {
    /// The services' own ones where they are free.
    Default,
    /// Any free ones.
    Free,
}

/// Which database a stack uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseChoice {
    /// The caller's `DATABASE_URL` as it is, else a private server whose data stays.
    Stays,
    /// A new database on the caller's `DATABASE_URL`, else a private server; gone afterwards.
    Fresh,
    /// A private server in any case; gone afterwards.
    PrivateFresh,
    /// As [`DatabaseChoice::PrivateFresh`], as durable as in production: for figures.
    PrivateMeasured,
}

/// A stack to be.
pub struct Builder {
    caller: Environment,
    overrides: Vec<(String, String)>,
    services: Vec<(&'static Service, usize)>,
    programs: BTreeMap<&'static str, PathBuf>,
    ports: Ports,
    database: DatabaseChoice,
    output: Output,
    places: Option<Places>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            caller: Environment::of_process(),
            overrides: Vec::new(),
            services: SERVICES.iter().map(|service| (service, 1)).collect(),
            programs: BTreeMap::new(),
            ports: Ports::Free,
            database: DatabaseChoice::Fresh,
            output: Output::quiet(),
            places: None,
        }
    }
}

impl Builder {
    /// Only these services.
    ///
    /// # Panics
    /// There is no such service.
    #[must_use]
    pub fn services(mut self, names: &[&str]) -> Self {
        self.services = names.iter().map(|name| (known(name), 1)).collect();
        self
    }

    /// So many processes of a service, on ports of their own and one database.
    ///
    /// # Panics
    /// There is no such service.
    #[must_use]
    pub fn replicas(mut self, service: &str, count: usize) -> Self {
        let service = known(service);
        self.services.retain(|(other, _)| other.name != service.name);
        self.services.push((service, count));
        self
    }

    /// A variable for the services, as if the caller had set it.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.caller.set(name, value);
        self.overrides.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Another program in place of a service's own.
    ///
    /// # Panics
    /// There is no such service.
    #[must_use]
    pub fn program(mut self, service: &str, program: PathBuf) -> Self {
        self.programs.insert(known(service).name, program);
        self
    }

    /// A PostgreSQL of its own, which can be stopped and paused, whatever `DATABASE_URL` says.
    #[must_use]
    pub fn private_postgres(self) -> Self {
        self.database(DatabaseChoice::PrivateFresh)
    }

    /// A PostgreSQL of its own that writes to disk as in production does: for figures.
    #[must_use]
    pub fn measured_postgres(self) -> Self {
        self.database(DatabaseChoice::PrivateMeasured)
    }

    /// Which database is used.
    #[must_use]
    pub fn database(mut self, choice: DatabaseChoice) -> Self {
        self.database = choice;
        self
    }

    /// Which ports are used.
    #[must_use]
    pub fn ports(mut self, ports: Ports) -> Self {
        self.ports = ports;
        self
    }

    /// Where the processes' lines go.
    #[must_use]
    pub fn output(mut self, output: Output) -> Self {
        self.output = output;
        self
    }

    /// Where what stays is kept.
    #[must_use]
    pub fn places(mut self, places: Places) -> Self {
        self.places = Some(places);
        self
    }

    /// Starts everything and waits until it is ready.
    ///
    /// # Errors
    /// Something does not start; with its last words.
    pub async fn start(self) -> Result<Stack> {
        let guard = Arc::new(Guard::start(&places::program("devstack")?)?);
        let temporary = home::temporary()?;
        guard.remove(temporary.path());
        let database = self.start_database(temporary.path().join("pg"), &guard).await?;
        let keys = self.keys()?;
        let n8n = self.start_n8n(&keys)?;
        let retell = self.start_retell(&keys)?;
        let livekit = self.start_livekit(&keys)?;
        let n8n_base = n8n.webhook_url("");
        let mut around = Surroundings {
            database_url: database.url(),
            n8n: n8n_base.trim_end_matches("/webhook/").to_owned(),
            retell: retell.url(),
            retell_api: retell.api_url(),
            livekit_api: livekit.api_url(),
            urls: BTreeMap::new(),
            keys,
        };
        let replicas = self.lay_out(&mut around)?;
        n8n.set_secret(&around.keys.webhook_secret);
        if let Some(url) = around.urls.get("SESSION") {
            n8n.set_session(url, Some(&around.keys.webhook_secret));
        }
        if let Some(url) = around.urls.get("RETELL") {
            retell.set_service(url);
        }
        if let Some(url) = around.urls.get("DISPATCH") {
            livekit.set_service(url);
        }
        let stack = Stack {
            replicas,
            n8n,
            retell,
            livekit,
            database,
            around,
            guard,
            temporary: Some(temporary),
        };
        say::progress("starting the services");
        for replica in &stack.replicas {
            replica.start(&stack.guard).await?;
        }
        for replica in &stack.replicas {
            stack.wait_until_ready(replica).await?;
        }
        Ok(stack)
    }

    async fn start_database(&self, throw_away: PathBuf, guard: &Arc<Guard>) -> Result<Database> {
        let given = self.given_database();
        match (self.database, given) {
            (DatabaseChoice::Stays, Some(url)) => Ok(Database::Given(url)),
            (DatabaseChoice::Fresh, Some(url)) => Database::fresh_beside(&url).await,
            (DatabaseChoice::Stays, None) => {
                say::progress("starting PostgreSQL");
                let places = self.places.as_ref().context("data that stays needs a place")?;
                let output = Output {
                    terminal: false,
                    ..self.output.clone()
                };
                Database::private_in(places.postgres(), Durability::Kept, output, guard).await
            }
            (DatabaseChoice::Fresh, None) | (DatabaseChoice::PrivateFresh, _) => {
                Database::private_in(throw_away, Durability::ThrowAway, Output::quiet(), guard).await
            }
            (DatabaseChoice::PrivateMeasured, _) => {
                Database::private_in(throw_away, Durability::Measured, Output::quiet(), guard).await
            }
        }
    }

    /// The caller's database: `DATABASE_URL`, or the first service's when every service has one of its own.
    fn given_database(&self) -> Option<String> {
        let own = || {
            let urls: Option<Vec<&str>> = self
                .services
                .iter()
                .map(|(service, _)| given(service, "DATABASE_URL", &self.caller))
                .collect();
            urls?.first().copied()
        };
        self.caller.get("DATABASE_URL").or_else(own).map(str::to_owned)
    }

    /// The stack's secrets. What is encrypted in a database that stays can be read by the next stack too.
    fn keys(&self) -> Result<Keys> {
        let mut keys = Keys::of(&self.caller);
        if let (DatabaseChoice::Stays, Some(places)) = (self.database, &self.places) {
            let path = places.data_key();
            match std::fs::read_to_string(&path) {
                Ok(kept) if !kept.is_empty() => keys.data_key = kept,
                _ => env_file::write_private(&path, &keys.data_key)?,
            }
        }
        Ok(keys)
    }

    fn standin_port(&self, port: u16) -> Result<u16> {
        places::port((self.ports == Ports::Default).then_some(port))
    }

    fn start_retell(&self, keys: &Keys) -> Result<Retell> {
        let options = retell::Options {
            control_port: self.standin_port(RETELL_PORTS.0)?,
            api_port: self.standin_port(RETELL_PORTS.1)?,
            keys: vec![(keys.retell_key.clone(), vec![retell::DEFAULT_AGENT.to_owned()])],
            ..retell::Options::default()
        };
        Retell::start(options).context("cannot start Retell's stand-in")
    }

    fn start_livekit(&self, keys: &Keys) -> Result<LiveKit> {
        let options = livekit::Options {
            control_port: self.standin_port(LIVEKIT_PORTS.0)?,
            api_port: self.standin_port(LIVEKIT_PORTS.1)?,
            keys: vec![keys.livekit_key.clone()],
            ..livekit::Options::default()
        };
        LiveKit::start(options).context("cannot start LiveKit's stand-in")
    }

    fn start_n8n(&self, keys: &Keys) -> Result<N8n> {
        let options = Options {
            control_port: self.standin_port(N8N_PORTS.0)?,
            webhook_port: self.standin_port(N8N_PORTS.1)?,
            secret: Some(keys.n8n_secret.clone()),
            ..Options::default()
        };
        N8n::start(options).context("cannot start n8n's stand-in")
    }

    /// Gives every process its port and its settings.
    fn lay_out(&self, around: &mut Surroundings) -> Result<Vec<Arc<Replica>>> {
        // The caller's plain DATABASE_URL names the server then, not the database.
        let caller = match self.database {
            DatabaseChoice::Stays => self.caller.clone(),
            _ => self.caller.without("DATABASE_URL"),
        };
        let mut processes = Vec::new();
        for (service, count) in &self.services {
            for number in 0..*count {
                let port = self.port(service, number)?;
                let sockets = self.sockets_port(service, number)?;
                let url = format!("http://127.0.0.1:{port}");
                around.urls.entry(service.key).or_insert_with(|| url.clone());
                processes.push((*service, number, (port, sockets), url));
            }
        }
        type Laid = (&'static Service, usize, (u16, Option<u16>), String);
        let replica = |(service, number, (port, sockets), url): Laid| {
            let mut variables = self.overrides.clone();
            variables.extend(settings::variables(service, port, around, &caller));
            // Without this a second replica would take the address that was meant for the first.
            if number > 0 {
                variables.push((format!("{}__BIND_ADDR", service.key), format!("127.0.0.1:{port}")));
            }
            let ws_url = sockets.map(|port| format!("ws://127.0.0.1:{port}/ws"));
            if let (Some(of), Some(port), Some(url)) = (&service.sockets, sockets, &ws_url) {
                let own = [(of.bind, format!("127.0.0.1:{port}")), (of.public, url.clone())];
                let unset = own
                    .into_iter()
                    .filter(|(name, _)| number > 0 || given(service, name, &caller).is_none());
                variables.extend(unset.map(|(name, value)| (format!("{}__{name}", service.key), value)));
            }
            let name = if number == 0 {
                service.name.to_owned()
            } else {
                format!("{}-{}", service.name, number + 1)
            };
            Ok(Arc::new(Replica {
                service,
                number,
                name,
                url,
                ws_url,
                program: self.program_of(service)?,
                variables,
                output: self.output.clone(),
                slot: Mutex::new(Slot::empty()),
            }))
        };
        processes.into_iter().map(replica).collect()
    }

    fn port(&self, service: &Service, number: usize) -> Result<u16> {
        self.port_of(service, number, "BIND_ADDR", service.port)
    }

    fn sockets_port(&self, service: &Service, number: usize) -> Result<Option<u16>> {
        let sockets = service.sockets.as_ref();
        sockets
            .map(|sockets| self.port_of(service, number, sockets.bind, sockets.port))
            .transpose()
    }

    fn port_of(&self, service: &Service, number: usize, setting: &str, usual: u16) -> Result<u16> {
        let bound = given(service, setting, &self.caller).and_then(|address| address.rsplit_once(':'));
        if let (0, Some((_, port))) = (number, bound) {
            return port
                .parse()
                .with_context(|| format!("{setting} of {} has no port", service.name));
        }
        let wanted = (number == 0 && self.ports == Ports::Default).then_some(usual);
        let port = places::port(wanted)?;
        if wanted.is_some_and(|wanted| wanted != port) {
            say::progress(&format!(
                "port {usual} is taken; {} listens on {port}",
                service.name
            ));
        }
        Ok(port)
    }

    fn program_of(&self, service: &Service) -> Result<PathBuf> {
        self.programs
            .get(service.name)
            .cloned()
            .map_or_else(|| places::program(service.name), Ok)
    }
}

fn known(name: &str) -> &'static Service {
    services::by_name(name).unwrap_or_else(|| panic!("there is no service {name}"))
}
