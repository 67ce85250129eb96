//! Who may talk to whom: every pod has a NetworkPolicy, and no rule of it admits everybody.

use serde_json::Value;

use super::Findings;
use crate::rendered::{Rendered, Workload, list, name_of};

const DNS: u64 = 53;
const POSTGRESQL: u64 = 5432;

pub(super) fn judge(rendered: &Rendered, findings: &mut Findings) {
    for workload in rendered.workloads() {
        let mut say = |what: &str| findings.push(format!("{}: {what}", workload.name()));
        let policies: Vec<&Value> = rendered
            .all("NetworkPolicy")
            .map(|policy| &policy["spec"])
            .filter(|spec| workload.is_selected_by(&spec["podSelector"]["matchLabels"]))
            .collect();
        for direction in ["Ingress", "Egress"] {
            let covers = |spec: &&Value| list(&spec["policyTypes"]).iter().any(|kind| kind == direction);
            if !policies.iter().any(covers) {
                say(&format!("no NetworkPolicy bounds its {direction}"));
            }
        }
        for rule in policies.iter().flat_map(|spec| list(&spec["ingress"])) {
            opens_a_port_of(workload, rule, &mut say);
        }
        if workload.0["kind"] == "Deployment" {
            let out: Vec<&Value> = policies.iter().flat_map(|spec| list(&spec["egress"])).collect();
            reaches(&out, &mut say);
        }
    }
    for policy in rendered.all("NetworkPolicy") {
        let rules = [("ingress", "from"), ("egress", "to")];
        let open = |(direction, peers): &(&str, &str)| {
            let each = list(&policy["spec"][direction]).iter();
            each.clone()
                .any(|rule| list(&rule[peers]).is_empty() || list(&rule["ports"]).is_empty())
        };
        if rules.iter().any(open) {
            findings.push(format!(
                "NetworkPolicy {}: a rule admits everybody or every port",
                name_of(policy)
            ));
        }
    }
}

fn opens_a_port_of(workload: Workload, rule: &Value, say: &mut impl FnMut(&str)) {
    for port in list(&rule["ports"]) {
        if workload.port(&port["port"]).is_none() {
            say(&format!(
                "its NetworkPolicy opens a port that there is not: {}",
                port["port"]
            ));
        }
    }
}

fn reaches(out: &[&Value], say: &mut impl FnMut(&str)) {
    let goes_to = |wanted: u64| {
        let mut ports = out.iter().flat_map(|rule| list(&rule["ports"]));
        ports.any(|port| port["port"] == wanted)
    };
    for (port, what) in [
        (DNS, "names"),
        (POSTGRESQL, "PostgreSQL"),
        (443, "what lies outside"),
    ] {
        if !goes_to(port) {
            say(&format!("its NetworkPolicy keeps it from {what} (port {port})"));
        }
    }
}
