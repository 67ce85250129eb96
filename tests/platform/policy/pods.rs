//! What a pod may do and what it must say about itself.

use serde_json::{Value, json};

use super::Findings;
use crate::rendered::{Rendered, Workload, list, map, name_of, text};

/// Longer than `DRAIN_DELAY` (5 s) and `SHUTDOWN_TIMEOUT` (25 s), with room for what follows them.
const GRACE_S: u64 = 40;

pub(super) fn judge(rendered: &Rendered, findings: &mut Findings) {
    for workload in rendered.workloads() {
        let mut say = |what: &str| findings.push(format!("{}: {what}", workload.name()));
        pod(workload, &mut say);
        for container in workload.all_containers() {
            let name = container["name"].as_str().unwrap_or("?");
            let mut say = |what: &str| say(&format!("{name}: {what}"));
            rights(workload, container, &mut say);
            resources(container, &mut say);
        }
        for container in workload.containers() {
            probes(workload, container, &mut say);
        }
    }
    for deployment in rendered.services() {
        let mut say = |what: &str| findings.push(format!("{}: {what}", deployment.name()));
        rolls_without_loss(deployment, &mut say);
    }
    let secrets = rendered.all("Secret").map(name_of);
    findings.extend(secrets.map(|name| format!("Secret {name}: secrets are never in the manifests")));
}

fn pod(workload: Workload, say: &mut impl FnMut(&str)) {
    let pod = workload.pod();
    if pod["automountServiceAccountToken"] != false {
        say("mounts a service account's token");
    }
    if pod["enableServiceLinks"] != false {
        say("is given variables named after Services (enableServiceLinks)");
    }
    for shared in ["hostNetwork", "hostPID", "hostIPC"] {
        if pod[shared] == true {
            say(&format!("shares the node's things ({shared})"));
        }
    }
    if list(&pod["volumes"])
        .iter()
        .any(|volume| volume["hostPath"].is_object())
    {
        say("mounts a directory of the node");
    }
    if !workload.is_selected_by(&workload.0["spec"]["selector"]["matchLabels"]) {
        say("its selector does not match its pods");
    }
}

/// What a container says wins over what its pod says.
fn effective<'a>(workload: Workload<'a>, container: &'a Value, field: &str) -> &'a Value {
    match &container["securityContext"][field] {
        Value::Null => &workload.pod()["securityContext"][field],
        own => own,
    }
}

fn rights(workload: Workload, container: &Value, say: &mut impl FnMut(&str)) {
    let own = &container["securityContext"];
    if effective(workload, container, "runAsNonRoot") != true {
        say("may run as root (runAsNonRoot)");
    }
    if effective(workload, container, "runAsUser").as_u64().unwrap_or(0) == 0 {
        say("runs as root (runAsUser)");
    }
    if effective(workload, container, "seccompProfile")["type"] != "RuntimeDefault" {
        say("has no seccomp profile");
    }
    if own["readOnlyRootFilesystem"] != true {
        say("may write to its root file system");
    }
    if own["allowPrivilegeEscalation"] != false {
        say("may gain privileges");
    }
    if own["privileged"] == true {
        say("is privileged");
    }
    if own["capabilities"]["drop"] != json!(["ALL"]) || !list(&own["capabilities"]["add"]).is_empty() {
        say("keeps capabilities");
    }
    let image = text(&container["image"]);
    let tag = image
        .rsplit('/')
        .next()
        .and_then(|last| last.split_once([':', '@']));
    if tag.is_none_or(|(_, tag)| tag == "latest") {
        say(&format!("its image {image} has no tag that stays"));
    }
}

fn resources(container: &Value, say: &mut impl FnMut(&str)) {
    for bound in ["requests", "limits"] {
        for resource in ["cpu", "memory"] {
            if !map(&container["resources"][bound]).contains_key(resource) {
                say(&format!("{bound} no {resource}"));
            }
        }
    }
}

fn probes(workload: Workload, container: &Value, say: &mut impl FnMut(&str)) {
    for kind in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let probe = &container[kind];
        if !probe.is_object() {
            say(&format!("has no {kind}"));
        }
        let http = &probe["httpGet"];
        if http.is_object() && workload.port(&http["port"]).is_none() {
            say(&format!("{kind} asks a port that there is not: {}", http["port"]));
        }
    }
    // Else an outage of the database restarts every pod.
    if container["livenessProbe"]["httpGet"]["path"] == "/readyz" {
        say("livenessProbe asks whether it is ready");
    }
    for port in list(&container["ports"]) {
        if port["protocol"] != "TCP" {
            say(&format!("port {} does not state its protocol", port["name"]));
        }
    }
}

fn rolls_without_loss(deployment: Workload, say: &mut impl FnMut(&str)) {
    let spec = &deployment.0["spec"];
    if spec["strategy"]["rollingUpdate"]["maxUnavailable"] != 0 {
        say("a roll-out takes pods away before others are ready (maxUnavailable)");
    }
    if spec["strategy"]["rollingUpdate"]["maxSurge"]
        .as_u64()
        .is_none_or(|surge| surge == 0)
    {
        say("a roll-out has no room for new pods (maxSurge)");
    }
    if deployment.pod()["terminationGracePeriodSeconds"]
        .as_u64()
        .is_none_or(|grace| grace < GRACE_S)
    {
        say("is killed before it could finish (terminationGracePeriodSeconds)");
    }
    let migrates = |container: &Value| container["args"] == json!(["migrate"]);
    if !deployment.init_containers().iter().any(migrates) {
        say("nobody migrates its schema");
    }
    let spread = list(&deployment.pod()["topologySpreadConstraints"]);
    let over_nodes = |constraint: &&Value| {
        constraint["topologyKey"] == "kubernetes.io/hostname"
            && deployment.is_selected_by(&constraint["labelSelector"]["matchLabels"])
    };
    if spread.iter().find(over_nodes).is_none() {
        say("its pods are not spread over nodes");
    }
}
