//! How many pods there are: never fewer than one, never more than PostgreSQL has connections for.

use serde_json::Value;

use super::Findings;
use crate::rendered::{Rendered, Workload, list, name_of, text};
use crate::settings;

/// Connections that are PostgreSQL's own superusers'.
const RESERVED: u64 = 3;
/// Connections for people and monitoring.
const SPARE: u64 = 8;
/// The listener of a replica, which is not of its pool.
const LISTENERS: u64 = 1;
/// Where an overlay without a PostgreSQL of its own says what the one outside must allow.
const PROMISE: &str = "switchhook.dev/postgres-max-connections";

pub(super) fn judge(rendered: &Rendered, findings: &mut Findings) {
    for deployment in rendered.services() {
        let mut say = |what: &str| findings.push(format!("{}: {what}", deployment.name()));
        if !deployment.0["spec"]["replicas"].is_null() {
            say("`replicas` would undo what the autoscaler did at each apply");
        }
        let autoscaler = autoscaler(rendered, deployment);
        if autoscaler.is_none() {
            say("has no HorizontalPodAutoscaler");
        }
        let fewest = autoscaler.map_or(1, |found| found["minReplicas"].as_u64().unwrap_or(1));
        if fewest < 2 || autoscaler.is_some_and(|found| maximum(found) < fewest) {
            say("fewer than two replicas are no availability (minReplicas)");
        }
        let mut budgets = rendered.all("PodDisruptionBudget").map(|budget| &budget["spec"]);
        match budgets.find(|spec| deployment.is_selected_by(&spec["selector"]["matchLabels"])) {
            None => say("has no PodDisruptionBudget"),
            Some(budget) => {
                let kept = budget["minAvailable"].as_u64().unwrap_or(0);
                if kept == 0 || kept >= fewest {
                    say("its PodDisruptionBudget allows the last pod to go, or none (minAvailable)");
                }
            }
        }
    }
    for autoscaler in rendered.all("HorizontalPodAutoscaler") {
        let target = &autoscaler["spec"]["scaleTargetRef"];
        if rendered
            .find(text(&target["kind"]), text(&target["name"]))
            .is_none()
        {
            findings.push(format!(
                "HorizontalPodAutoscaler {}: scales nothing",
                name_of(autoscaler)
            ));
        }
    }
    connections(rendered, findings);
}

fn autoscaler<'a>(rendered: &'a Rendered, deployment: Workload) -> Option<&'a Value> {
    let mut specs = rendered
        .all("HorizontalPodAutoscaler")
        .map(|object| &object["spec"]);
    specs.find(|spec| spec["scaleTargetRef"]["name"] == deployment.name())
}

fn maximum(autoscaler: &Value) -> u64 {
    autoscaler["maxReplicas"].as_u64().unwrap_or(0)
}

/// All replicas at their maxima, in the middle of a roll-out of all services.
fn connections(rendered: &Rendered, findings: &mut Findings) {
    let each = |deployment: Workload| {
        let surge = &deployment.0["spec"]["strategy"]["rollingUpdate"]["maxSurge"];
        let replicas = autoscaler(rendered, deployment).map_or(1, maximum) + surge.as_u64().unwrap_or(0);
        replicas * (pool(rendered, deployment) + LISTENERS)
    };
    let needed = rendered.services().map(each).sum::<u64>() + SPARE;
    match allowed(rendered) {
        None => findings.push("nothing says how many connections PostgreSQL allows".into()),
        Some(allowed) if needed + RESERVED > allowed => findings.push(format!(
            "the replicas may need {needed} connections, and PostgreSQL has {allowed}, of which {RESERVED} are reserved"
        )),
        Some(_) => (),
    }
}

/// The connections of one replica's pool.
fn pool(rendered: &Rendered, deployment: Workload) -> u64 {
    const NAME: &str = "DATABASE_MAX_CONNECTIONS";
    let set = list(&deployment.pod()["containers"])
        .iter()
        .flat_map(|container| list(&container["envFrom"]))
        .filter_map(|source| rendered.find("ConfigMap", text(&source["configMapRef"]["name"])))
        .find_map(|map| map["data"][NAME].as_str());
    let default = settings::default(deployment.name(), NAME);
    set.or(default)
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

/// `max_connections` of the overlay's own PostgreSQL, or what the overlay demands of the one outside.
fn allowed(rendered: &Rendered) -> Option<u64> {
    if let Some(own) = rendered.all("StatefulSet").next() {
        let arguments = Workload(own)
            .containers()
            .iter()
            .flat_map(|container| list(&container["args"]));
        let number = arguments
            .into_iter()
            .find_map(|word| text(word).strip_prefix("max_connections="));
        return number?.parse().ok();
    }
    if let Some(cluster) = rendered.all("Cluster").next() {
        return text(&cluster["spec"]["postgresql"]["parameters"]["max_connections"])
            .parse()
            .ok();
    }
    let namespace = rendered.all("Namespace").next()?;
    text(&namespace["metadata"]["annotations"][PROMISE]).parse().ok()
}
