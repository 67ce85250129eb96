//! Deliberate defects: each is planted in a copy of `k8s/`, and one of the checks must name it.

use crate::overlays::{complaints, copy, edit};

/// One defect: in which file of the copy what is replaced by what, and what a check says about it.
struct Defect {
    file: &'static str,
    from: &'static str,
    to: &'static str,
    found: &'static str,
}

/// `FILE: "what stands there" => "what is planted", "what is found";`
macro_rules! defects {
    ($($file:ident: $from:expr => $to:expr, $found:expr;)+) => {
        &[$(Defect { file: $file, from: $from, to: $to, found: $found }),+]
    };
}

const ALL: &str = "components/service/deployment.yaml";
const SESSION: &str = "base/session-svc/deployment.yaml";
const SETTINGS: &str = "base/session-svc/settings.env";
const NETWORK: &str = "base/session-svc/network.yaml";
const AVAILABILITY: &str = "base/session-svc/availability.yaml";
const SERVICE: &str = "base/session-svc/service.yaml";
const PARTS: &str = "base/session-svc/kustomization.yaml";
const BASE: &str = "base/kustomization.yaml";
const INGRESS: &str = "base/ingress.yaml";
const AGENTS: &str = "base/task-chat-svc/settings.env";
const OVERLAY: &str = "overlays/dev/kustomization.yaml";
const POSTGRES: &str = "overlays/dev/postgres/postgres.yaml";

const READINESS: &str = "readinessProbe:
            httpGet: {path: /readyz, port: http}
            periodSeconds: 2
            timeoutSeconds: 3
            failureThreshold: 2
";
const SECRET: &str = "secretKeyRef: {name: session-svc, key: WEBHOOK_SECRETS}";

/// Plants each in a copy of its own.
fn all_are_found(defects: &[Defect]) {
    let mut missed = Vec::new();
    for Defect {
        file,
        from,
        to,
        found,
    } in defects
    {
        let copy = copy();
        edit(copy.path(), file, from, to);
        if !complaints(copy.path(), "dev").any(|complaint| complaint.contains(found)) {
            let said: Vec<String> = complaints(copy.path(), "dev").collect();
            missed.push(format!(
                "{file}: {from:?} -> {to:?}: nobody says {found:?}: {said:?}"
            ));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn a_pod_that_may_too_much_is_found() {
    all_are_found(defects! {
        ALL: "runAsUser: 65532" => "runAsUser: 0", "runs as root";
        ALL: "runAsNonRoot: true" => "runAsNonRoot: false", "may run as root";
        ALL: "readOnlyRootFilesystem: true" => "readOnlyRootFilesystem: false", "migrate: may write to its root";
        ALL: "allowPrivilegeEscalation: false" => "allowPrivilegeEscalation: true", "may gain privileges";
        ALL: "drop: [ALL]" => "drop: [NET_RAW]", "keeps capabilities";
        ALL: "drop: [ALL]" => "drop: [ALL]\n              add: [NET_ADMIN]", "keeps capabilities";
        ALL: "type: RuntimeDefault" => "type: Unconfined", "has no seccomp profile";
        ALL: "automountServiceAccountToken: false" => "hostNetwork: true", "mounts a service account's token";
        ALL: "automountServiceAccountToken: false" => "hostNetwork: true", "shares the node's things";
        ALL: "enableServiceLinks: false" => "enableServiceLinks: true", "variables named after Services";
        POSTGRES: "emptyDir: {sizeLimit: 16Mi}" => "hostPath: {path: /run}", "mounts a directory of the node";
    });
}

#[test]
fn a_pod_that_nobody_could_run_is_found() {
    all_are_found(defects! {
        ALL: READINESS => "tty: false\n", "has no readinessProbe";
        ALL: "{path: /readyz, port: http}" => "{path: /readyz, port: web}", "asks a port that there is not";
        ALL: "livenessProbe:\n            httpGet: {path: /healthz" => "livenessProbe:\n            httpGet: {path: /readyz", "whether it is ready";
        SESSION: "cpu: 200m, memory: 128Mi" => "cpu: 200m", "requests no memory";
        SESSION: "{cpu: \"1\", memory: 256Mi}" => "{memory: 256Mi}", "limits no cpu";
        OVERLAY: "switchhook/session-svc, newTag: dev" => "switchhook/session-svc, newTag: latest", "no tag that stays";
        SESSION: "topologyKey: kubernetes.io/hostname" => "topologyKey: zone", "not spread over nodes";
        SESSION: "- topologyKey" => "- unheardOf: 1\n          topologyKey", "unheardOf";
        ALL: "terminationGracePeriodSeconds: 40" => "terminationGracePeriodSeconds: 20", "killed before it could finish";
        ALL: "maxUnavailable: 0" => "maxUnavailable: 1", "takes pods away";
        SESSION: "matchLabels:\n      app.kubernetes.io/name: session-svc" => "matchLabels:\n      app.kubernetes.io/name: session", "does not match its pods";
        POSTGRES: "{name: tmp, mountPath: /tmp}" => "{name: temp, mountPath: /tmp}", "mounts a volume that there is not";
    });
}

#[test]
fn what_leads_nowhere_is_found() {
    all_are_found(defects! {
        SESSION: "containerPort: 3000" => "containerPort: 3009", "not the one where it listens";
        SESSION: "name: http, containerPort: 3000, protocol: TCP" => "name: http, containerPort: 3000", "state its protocol";
        SERVICE: "targetPort: http" => "targetPort: web", "its pods have no port";
        SERVICE: "selector:\n    app.kubernetes.io/name: session-svc" => "selector:\n    app.kubernetes.io/name: session", "selects no pods";
        INGRESS: "{name: session-svc, port: {name: http}}" => "{name: session, port: {name: http}}", "which there is not";
        INGRESS: "{name: chat-ws-svc, port: {name: ws}}" => "{name: chat-ws-svc, port: {name: socket}}", "which there is not";
        INGRESS: "- path: /api/tasks" => "- path: /api/task", "/api/tasks does not reach task-chat-svc";
        INGRESS: "- path: /sessions" => "- path: /", "lets the outside in";
        INGRESS: "- path: /sessions" => "- path: /metrics", "lets the outside in";
        SESSION: SECRET => "secretKeyRef: {name: session-svc, key: WEBHOOK_SECRET}", "has no key WEBHOOK_SECRET";
        SESSION: SECRET => "secretKeyRef: {name: session, key: WEBHOOK_SECRETS}", "there is no Secret session";
        SESSION: SECRET => "secretKeyRef: {name: chat-ws-svc, key: WEBHOOK_SECRETS}", "reads the Secret of another";
        SESSION: "configMapRef: {name: session-svc}" => "configMapRef: {name: session}", "there is no ConfigMap session";
        POSTGRES: "configMap: {name: postgres-roles}" => "configMap: {name: roles}", "there is no ConfigMap roles";
        PARTS: "  - service.yaml\n" => "", "there is no Service of its name";
        BASE: "  - ingress.yaml" => "  - ingres.yaml", "does not render";
    });
}

#[test]
fn a_wrong_or_missing_setting_is_found() {
    all_are_found(defects! {
        SETTINGS: "N8N_WEBHOOK_URL=" => "# ", "would not start: session-svc: N8N_WEBHOOK_URL";
        SETTINGS: "N8N_WEBHOOK_URL=" => "N8N_WEBHOOK_URI=", "N8N_WEBHOOK_URI is no setting";
        SETTINGS: "TRUSTED_PROXIES=10.0.0.0/8" => "TRUSTED_PROXIES=10.0.0/8", "would not start: session-svc: TRUSTED_PROXIES";
        SETTINGS: "TRUSTED_PROXIES=" => "JWT_SECRET=hunter2\nTRUSTED_PROXIES=", "JWT_SECRET is a secret and stands in a ConfigMap";
        SESSION: "{name: WEBHOOK_SECRETS, valueFrom" => "{name: WEBHOOK_SECRET, valueFrom", "WEBHOOK_SECRET is no setting";
        SESSION: "{name: WEBHOOK_SECRETS, valueFrom" => "{name: WEBHOOK_SECRET, valueFrom", "would not start";
        AGENTS: "AGENT_WEBHOOKS={" => "AGENT_WEBHOOKS=", "would not start: task-chat-svc: AGENT_WEBHOOKS";
        ALL: "{name: MIGRATE_ON_START, value: \"false\"}" => "{name: MIGRATE_ON_START, value: \"true\"}", "every start migrates";
        ALL: "args: [migrate]" => "args: [check-config]", "nobody migrates";
        ALL: "{name: DRAIN_DELAY, value: 5s}" => "{name: DRAIN_DELAY, value: 20s}", "killed before it could finish";
        ALL: "{name: DRAIN_DELAY, value: 5s}" => "{name: DRAIN_DELAY, value: 0s}", "an Ingress still sends";
    });
}

#[test]
fn what_could_take_a_service_down_is_found() {
    all_are_found(defects! {
        PARTS: "  - availability.yaml\n" => "", "has no HorizontalPodAutoscaler";
        PARTS: "  - availability.yaml\n" => "", "has no PodDisruptionBudget";
        PARTS: "  - network.yaml\n" => "", "no NetworkPolicy bounds its Ingress";
        AVAILABILITY: "kind: Deployment\n    name: session-svc" => "kind: Deployment\n    name: session", "scales nothing";
        AVAILABILITY: "minReplicas: 2" => "minReplicas: 1", "no availability";
        AVAILABILITY: "minAvailable: 1" => "minAvailable: 0", "allows the last pod to go";
        AVAILABILITY: "minAvailable: 1" => "minAvailable: 2", "allows the last pod to go";
        OVERLAY: "value: 3" => "value: 9", "the replicas may need 308 connections";
        POSTGRES: "max_connections=200" => "max_connections=100", "PostgreSQL has 100";
        SETTINGS: "TRUSTED_PROXIES=" => "DATABASE_MAX_CONNECTIONS=40\nTRUSTED_PROXIES=", "the replicas may need";
        ALL: "  revisionHistoryLimit: 5" => "  replicas: 3", "`replicas` would undo";
        NETWORK: "policyTypes: [Ingress, Egress]" => "policyTypes: [Ingress]", "no NetworkPolicy bounds its Egress";
        NETWORK: "  ingress:\n" => "  ingress:\n    - ports:\n        - {port: http, protocol: TCP}\n", "admits everybody";
        NETWORK: "- {port: 5432, protocol: TCP}" => "- {port: 5433, protocol: TCP}", "keeps it from PostgreSQL";
        NETWORK: "- {port: http, protocol: TCP}" => "- {port: web, protocol: TCP}", "opens a port that there is not";
    });
}
