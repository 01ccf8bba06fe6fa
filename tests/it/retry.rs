//! What the gateway does when a member can't, won't, or is lost: it asks again, elsewhere or
//! there, within the deadline, and the write has one effect.

use panel_harness::scripted::Act::{self, DoAndAbort, DoAndVanish, Refuse, Vanish};
use panel_harness::{Answer, Backend, Rig, Scripted, on_both_databases};
use panel_kernel::message::Refusal::{Aborted, Busy, DeadlinePassed, Draining, Unsupported};
use serde_json::json;

on_both_databases!(
    a_write_is_sent_again_and_done_once,
    a_write_that_nobody_takes_is_refused_and_not_done
);

/// A probe with a scripted member beside it.
async fn scripted(backend: Backend) -> (Rig, Scripted) {
    let rig = Rig::start(backend).await;
    let member = Scripted::join(&rig, "probe").await;
    (rig, member)
}

async fn write(rig: &Rig, value: &str) -> Answer {
    rig.client().post("/api/v2/probe/write").json(&json!({"value": value})).await
}

async fn effects(rig: &Rig) -> Vec<String> {
    let effects = rig.client().get("/api/v2/probe/effects").await.expect(200).json();
    serde_json::from_value(effects["values"].clone()).unwrap()
}

async fn a_write_is_sent_again_and_done_once(backend: Backend) {
    let (rig, member) = scripted(backend).await;
    let mut expected = Vec::new();
    // What the scripted member does until the real one is asked, and whether the answer is then that of the first time.
    let scripts: [(&[Act], bool); 9] = [
        (&[Refuse(Draining)], false),
        (&[Refuse(Busy)], false),
        (&[Refuse(Unsupported)], false),
        // Whoever lost a worker is asked again.
        (&[Refuse(Aborted), Refuse(Draining)], false),
        (&[Refuse(Aborted), Refuse(Busy)], false),
        (&[Vanish], false),
        (&[DoAndAbort, Refuse(Draining)], true),
        (&[DoAndAbort, Refuse(Busy)], true),
        (&[DoAndVanish], true),
    ];
    for (script, replayed) in scripts {
        let value = format!("{script:?}");
        member.will(script);
        let answer = write(&rig, &value).await.expect(201);
        assert_eq!(member.done(), script, "it was asked, and as often as it should be");
        assert_eq!(answer.header("idempotency-replayed").is_some(), replayed, "{value}");
        expected.push(value);
        assert_eq!(effects(&rig).await, expected);
    }
    member.leave().await;
    rig.shutdown().await;
}

async fn a_write_that_nobody_takes_is_refused_and_not_done(backend: Backend) {
    let (rig, member) = scripted(backend).await;
    // Three attempts, and no more: the real one is not asked, whatever it could do.
    member.will(&[Refuse(Aborted); 5]);
    let problem = write(&rig, "aborted").await.refused(503, "unavailable");
    assert_eq!(problem.service.as_deref(), Some("probe"));
    assert_eq!(member.done().len(), 3);
    // Whose clock is ahead is not asked again.
    member.will(&[Refuse(DeadlinePassed); 2]);
    write(&rig, "late").await.refused(504, "deadline_exceeded");
    assert_eq!(member.done().len(), 1);
    // Who is busy is not asked again, and nobody else is left.
    member.will(&[Refuse(Busy); 2]);
    write(&rig, "busy").await.refused(503, "unavailable");
    assert_eq!(member.done().len(), 1);
    assert!(
        rig.raw_sql("probe").await.texts("SELECT value FROM effects", 0).await.unwrap().is_empty()
    );
    member.leave().await;
    rig.shutdown().await;
}
