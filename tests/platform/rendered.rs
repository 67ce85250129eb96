//! An overlay as kubectl renders it: its objects, and how to look into them.

use std::path::Path;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::tools;

/// All objects of an overlay.
pub(crate) struct Rendered {
    pub(crate) text: String,
    objects: Vec<Value>,
}

impl Rendered {
    /// Renders `overlays/<overlay>` of a tree like `k8s/`.
    pub(crate) fn of(tree: &Path, overlay: &str) -> Result<Self, String> {
        let folder = tree.join("overlays").join(overlay);
        let text = tools::run("kubectl", &["kustomize".as_ref(), folder.as_ref()], tree)?;
        let objects = serde_saphyr::from_multiple(&text).map_err(|error| error.to_string())?;
        Ok(Self { text, objects })
    }

    /// The objects of a kind.
    pub(crate) fn all(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter(move |object| object["kind"] == kind)
    }

    /// The object of a kind with that name.
    pub(crate) fn find(&self, kind: &str, name: &str) -> Option<&Value> {
        self.all(kind).find(|object| name_of(object) == name)
    }

    /// What makes pods.
    pub(crate) fn workloads(&self) -> impl Iterator<Item = Workload<'_>> {
        let kinds = ["Deployment", "StatefulSet"];
        let makes_pods = move |object: &&Value| kinds.iter().any(|kind| object["kind"] == *kind);
        self.objects.iter().filter(makes_pods).map(Workload)
    }

    /// The services' Deployments.
    pub(crate) fn services(&self) -> impl Iterator<Item = Workload<'_>> {
        self.all("Deployment").map(Workload)
    }
}

/// Something that makes pods.
#[derive(Clone, Copy)]
pub(crate) struct Workload<'a>(pub(crate) &'a Value);

impl<'a> Workload<'a> {
    pub(crate) fn name(self) -> &'a str {
        name_of(self.0)
    }

    pub(crate) fn pod(self) -> &'a Value {
        &self.0["spec"]["template"]["spec"]
    }

    pub(crate) fn labels(self) -> &'a Map<String, Value> {
        map(&self.0["spec"]["template"]["metadata"]["labels"])
    }

    /// The containers that run as long as the pod does.
    pub(crate) fn containers(self) -> &'a [Value] {
        list(&self.pod()["containers"])
    }

    /// Those that run before them.
    pub(crate) fn init_containers(self) -> &'a [Value] {
        list(&self.pod()["initContainers"])
    }

    pub(crate) fn all_containers(self) -> impl Iterator<Item = &'a Value> {
        self.init_containers().iter().chain(self.containers())
    }

    /// The number of the port, which may be given by name.
    pub(crate) fn port(self, wanted: &Value) -> Option<u64> {
        let ports = self
            .containers()
            .iter()
            .flat_map(|container| list(&container["ports"]));
        let matches = |port: &&Value| port["name"] == *wanted || port["containerPort"] == *wanted;
        ports.into_iter().find(matches)?["containerPort"].as_u64()
    }

    /// Whether `matchLabels` of a selector are all among the labels of the pods. One that names none selects none here.
    pub(crate) fn is_selected_by(self, selector: &Value) -> bool {
        let wanted = map(selector);
        !wanted.is_empty()
            && wanted
                .iter()
                .all(|(key, value)| self.labels().get(key) == Some(value))
    }
}

pub(crate) fn name_of(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// The entries of a list; none where it is absent.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The entries of a map; none where it is absent.
pub(crate) fn map(value: &Value) -> &Map<String, Value> {
    static NOTHING: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
    value.as_object().unwrap_or(&NOTHING)
}

/// A text; empty where it is absent.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
