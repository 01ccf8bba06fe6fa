//! Arming, counting, and what is refused. One test: the points are the process's.

use std::time::{Duration, Instant};

use super::*;

fn acted(name: &str) -> u32 {
    list().iter().find(|point| point.name == name).unwrap().acted
}

#[tokio::test]
async fn points_act_as_armed_and_no_more() {
    assert!(arm("write.after_commit=error").unwrap_err().contains("faults.enabled"));
    assert!(disarm(None).unwrap_err().contains("faults.enabled"));
    assert_eq!(pass(&WRITE_AFTER_COMMIT).await, Ok(()));
    start(&FaultsConfig {
        enabled: true,
        arm: vec!["write.after_commit=error*2@1".into()],
        ..FaultsConfig::default()
    })
    .unwrap();
    let fails = Err(Injected("write.after_commit"));
    for expected in [Ok(()), fails, fails, Ok(()), Ok(())] {
        assert_eq!(pass(&WRITE_AFTER_COMMIT).await, expected);
    }
    assert_eq!(acted("write.after_commit"), 2);
    assert!(!ARMED.load(Ordering::Relaxed), "what has acted costs nothing any more");

    arm("door.admit=error*9").unwrap();
    arm("relay.deliver=delay(20ms)").unwrap();
    assert_eq!(pass(&WRITE_AFTER_COMMIT).await, Ok(()), "others are not armed");
    let begun = Instant::now();
    assert_eq!(pass(&RELAY_DELIVER).await, Ok(()));
    assert!(begun.elapsed() >= Duration::from_millis(20));
    assert_eq!(point(&DOOR_ADMIT), Err(Injected("door.admit")));
    let armed = |name: &str| list().into_iter().find(|point| point.name == name).unwrap().armed;
    assert_eq!(armed("door.admit").as_deref(), Some("door.admit=error*9@0"));
    disarm(Some("door.admit")).unwrap();
    assert_eq!(point(&DOOR_ADMIT), Ok(()));
    assert_eq!(armed("door.admit"), None);

    arm("reply.sent=panic").unwrap();
    let panic = std::panic::catch_unwind(|| point(&REPLY_SENT)).unwrap_err();
    assert!(panic.downcast_ref::<String>().unwrap().contains("reply.sent"));
    arm("write.in_transaction=error").unwrap();
    disarm(None).unwrap();
    assert_eq!(point(&WRITE_IN_TRANSACTION), Ok(()));
}

#[test]
fn what_makes_no_sense_is_refused_with_a_hint() {
    for (text, part) in [
        ("write.after_comit=exit", "write.after_commit"),
        ("write.after_commit", "<action>"),
        ("write.after_commit=explode", "freeze"),
        ("write.after_commit=exit*many", "not a number"),
        ("write.after_commit=exit*1@x", "not a number"),
        ("write.after_commit=delay(soon)", "length of time"),
        ("write.after_commit=delay(1h)", "at most"),
        ("door.admit=delay(1s)", "wait"),
        ("reply.sent=error", "fail"),
    ] {
        let refused = text.parse::<Arming>().unwrap_err();
        assert!(refused.contains(part), "{text}: {refused}");
        let enabled =
            FaultsConfig { enabled: true, arm: vec![text.to_owned()], ..FaultsConfig::default() };
        assert_eq!(enabled.check("faults").unwrap_err().key, "faults.arm");
    }
    let armed = FaultsConfig {
        enabled: false,
        arm: vec!["write.after_commit=exit".to_owned()],
        ..FaultsConfig::default()
    };
    assert!(armed.check("faults").unwrap_err().reason.contains("faults.enabled"));
}

#[test]
fn every_point_has_a_name_of_its_own() {
    let mut names: Vec<&str> = POINTS.iter().map(|point| point.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), POINTS.len());
    assert!(POINTS.iter().all(|point| find(point.name).is_ok()));
}
