//! A connection that is lost in the middle of a commit: nobody knows whether it was done. The
//! gateway asks again under the same key.

use panel_harness::{Backend, Probe, RigBuilder, on_both_databases};
use panel_kernel::role::Role;
use serde_json::json;

on_both_databases!(a_lost_commit_is_asked_for_again, an_outcome_that_stays_unknown_is_said_so);

async fn a_lost_commit_is_asked_for_again(backend: Backend) {
    let probe = Probe::new();
    let builder = RigBuilder::new(backend.database().await).probe(&probe);
    let rig = Box::pin(builder.start()).await;
    let client = rig.signed_in(Role::User);
    let body = json!({"value": "x", "fault": "lose_first"});
    // The client gives no key: the gateway's own keeps the second try from being a second write.
    let answer = client.post("/api/v2/probe/write").json(&body).await.expect(201);
    assert_eq!(answer.header("idempotency-replayed"), Some("true"));
    assert_eq!(probe.count("write"), 2);
    let effects = client.get("/api/v2/probe/effects").await.expect(200).json();
    assert_eq!(effects["values"], json!(["x"]));
    rig.shutdown().await;
}

async fn an_outcome_that_stays_unknown_is_said_so(backend: Backend) {
    let probe = Probe::new();
    let builder = RigBuilder::new(backend.database().await).probe(&probe);
    let rig = Box::pin(builder.start()).await;
    let client = rig.signed_in(Role::User);
    let body = json!({"value": "x", "fault": "lose_every"});
    let answer = client.post("/api/v2/probe/write").idempotency_key("k").json(&body).await;
    let problem = answer.refused(503, "unavailable");
    assert!(problem.detail.contains("same Idempotency-Key"), "{}", problem.detail);
    assert_eq!(problem.service.as_deref(), Some("probe"));
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(probe.count("write"), 3, "tried again, and not for ever");
    let effects = client.get("/api/v2/probe/effects").await.expect(200).json();
    assert_eq!(effects["values"], json!(["x"]));
    rig.shutdown().await;
}
