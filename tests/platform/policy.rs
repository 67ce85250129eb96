//! The rules that no schema knows. A finding names the object and says what is wrong with it.

mod availability;
mod environment;
mod network;
mod pods;
mod references;
mod routes;

use crate::rendered::Rendered;

/// What is wrong, one sentence each.
pub(crate) type Findings = Vec<String>;

/// All findings of an overlay.
pub(crate) fn findings(overlay: &str, rendered: &Rendered) -> Findings {
    let mut findings = Findings::new();
    pods::judge(rendered, &mut findings);
    availability::judge(rendered, &mut findings);
    network::judge(rendered, &mut findings);
    references::judge(rendered, &mut findings);
    routes::judge(rendered, &mut findings);
    environment::judge(overlay, rendered, &mut findings);
    findings
}
