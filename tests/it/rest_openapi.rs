//! The OpenAPI document, held against the server by schemathesis: requests made from it, answers that must fit it.

use std::process::Stdio;

use tokio::process::Command;

use crate::clients::python;
use crate::rest_support::Rest;
use crate::support::token::{mint, service};

/// Routes that are not asked: they need another token, and are tested where they are.
const OTHERS: &str = "^/metrics";

#[tokio::test]
async fn the_server_does_what_its_openapi_document_says() {
    let python = python().await;
    let rest = Rest::with("", &[("TENANT_FROM_HOST", "false")]).await;
    let bin = python.parent().unwrap();
    for token in [service(), mint(serde_json::json!({ "role": "anon" }))] {
        let mut command = Command::new(bin.join("schemathesis"));
        command
            .args(["run", &format!("{}/api/openapi", rest.server.url())])
            .args(["--exclude-path-regex", OTHERS])
            .args(["--header", &format!("Authorization: Bearer {token}")])
            .args(["--seed", "20250601", "--max-examples", "15", "--max-failures", "5"])
            .args(["--phases", "examples,coverage,fuzzing", "--suppress-health-check", "all"])
            .args(["--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance"])
            .arg("--no-color")
            .current_dir(env!("CARGO_TARGET_TMPDIR"))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = command.output().await.expect("schemathesis starts");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}\n{}", rest.server.log());
        assert!(said.contains("generated"), "nothing was tested:\n{said}");
    }
}
