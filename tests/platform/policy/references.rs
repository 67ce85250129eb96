//! What names something else: Services their pods and ports, volumes their ConfigMaps. Settings are another rule's.

use serde_json::Value;

use super::Findings;
use crate::rendered::{Rendered, Workload, list, map, name_of, text};

pub(super) fn judge(rendered: &Rendered, findings: &mut Findings) {
    let services = rendered.services().map(Workload::name);
    let deployments: Vec<&str> = services.collect();
    for name in &deployments {
        for kind in [
            "Service",
            "HorizontalPodAutoscaler",
            "PodDisruptionBudget",
            "NetworkPolicy",
        ] {
            if rendered.find(kind, name).is_none() {
                findings.push(format!("{name}: there is no {kind} of its name"));
            }
        }
    }
    for service in rendered.all("Service") {
        reaches_pods(rendered, service, findings);
    }
    for workload in rendered.workloads() {
        for volume in list(&workload.pod()["volumes"]) {
            let wanted = text(&volume["configMap"]["name"]);
            if !wanted.is_empty() && rendered.find("ConfigMap", wanted).is_none() {
                findings.push(format!("{}: there is no ConfigMap {wanted}", workload.name()));
            }
        }
        mounts(workload, findings);
    }
}

fn reaches_pods(rendered: &Rendered, service: &Value, findings: &mut Findings) {
    let name = name_of(service);
    let selects = |workload: &Workload| workload.is_selected_by(&service["spec"]["selector"]);
    let Some(workload) = rendered.workloads().find(selects) else {
        findings.push(format!("Service {name}: selects no pods"));
        return;
    };
    for port in list(&service["spec"]["ports"]) {
        if workload.port(&port["targetPort"]).is_none() {
            findings.push(format!(
                "Service {name}: its pods have no port {}",
                port["targetPort"]
            ));
        }
        if port["protocol"] != "TCP" {
            findings.push(format!(
                "Service {name}: port {} does not state its protocol",
                port["name"]
            ));
        }
    }
}

fn mounts(workload: Workload, findings: &mut Findings) {
    let pod = workload.pod();
    let claimed = list(&workload.0["spec"]["volumeClaimTemplates"])
        .iter()
        .map(name_of);
    let known: Vec<&str> = list(&pod["volumes"])
        .iter()
        .map(|volume| text(&volume["name"]))
        .chain(claimed)
        .collect();
    for mount in workload
        .all_containers()
        .flat_map(|container| list(&container["volumeMounts"]))
    {
        if !known.contains(&text(&map(mount)["name"])) {
            findings.push(format!(
                "{}: mounts a volume that there is not: {}",
                workload.name(),
                mount["name"]
            ));
        }
    }
}
