use super::*;

const ANN: Id = Id::from_raw(1);
const BOB: Id = Id::from_raw(2);
const NOW: Timestamp = Timestamp::from_seconds(1_000);

const STATUSES: [Status; 5] =
    [Status::Draft, Status::InReview, Status::Scheduled, Status::Published, Status::Archived];

fn viewer(who: Id, role: Role) -> Viewer {
    Viewer { who: Some(who), level: role.level() }
}

#[test]
fn premium_people_write_and_moderators_decide() {
    let nobody = Viewer { who: None, level: 0 };
    for (by, posts, pages) in [
        (nobody, false, false),
        (viewer(ANN, Role::User), false, false),
        (viewer(ANN, Role::Premium), true, false),
        (viewer(ANN, Role::Moderator), true, true),
        (viewer(ANN, Role::SystemAdmin), true, true),
    ] {
        assert_eq!(may_begin(by, Kind::Post).is_ok(), posts, "{by:?}");
        assert_eq!(may_begin(by, Kind::Page).is_ok(), pages, "{by:?}");
    }
    for status in STATUSES {
        let is_hers = matches!(status, Status::Draft | Status::InReview);
        let change = |by: Viewer| may_change(by, (by.is(ANN), Kind::Post), status).is_ok();
        assert_eq!(change(viewer(ANN, Role::Premium)), is_hers, "{status}");
        assert!(!change(viewer(BOB, Role::Premium)) && change(viewer(BOB, Role::Moderator)));
        // Who may not write any more does not go on with what they began.
        assert!(!change(viewer(ANN, Role::User)));
    }
    assert!(viewer(ANN, Role::User).sees(ANN) && !viewer(BOB, Role::Premium).sees(ANN));
    assert!(viewer(BOB, Role::Moderator).sees(ANN) && !nobody.sees(ANN));
    // Whose it is, moderators change alone.
    assert!(may_sign(viewer(ANN, Role::Premium), ANN, ANN).is_ok());
    assert!(may_sign(viewer(ANN, Role::Premium), ANN, BOB).is_err());
    assert!(may_sign(viewer(BOB, Role::Moderator), ANN, BOB).is_ok());
}

#[test]
fn an_article_goes_one_way_at_a_time() {
    use Status::{Archived, Draft, InReview, Published, Scheduled};
    let all = [
        (Step::Submit, [Some(InReview), None, None, None, None]),
        (Step::Approve, [None, Some(Published), None, None, None]),
        (Step::Reject, [None, Some(Draft), None, None, None]),
        (Step::Publish, [Some(Published), Some(Published), Some(Published), None, Some(Published)]),
        (
            Step::Schedule,
            [Some(Scheduled), Some(Scheduled), Some(Scheduled), None, Some(Scheduled)],
        ),
        (Step::Unpublish, [None, Some(Draft), Some(Draft), Some(Draft), Some(Draft)]),
        (Step::Archive, [Some(Archived), Some(Archived), Some(Archived), Some(Archived), None]),
    ];
    for (step, expected) in all {
        for (status, expected) in STATUSES.into_iter().zip(expected) {
            let take = |by: Viewer| takes(step, by, (by.is(ANN), status), (None, NOW));
            assert_eq!(take(viewer(BOB, Role::Moderator)).ok(), expected, "{step:?} {status}");
            // Its author, who decides about nothing.
            let own = step == Step::Submit || (step, status) == (Step::Unpublish, InReview);
            let hers = expected.filter(|_| own);
            assert_eq!(take(viewer(ANN, Role::Premium)).ok(), hers, "{step:?} {status}");
            assert!(take(viewer(BOB, Role::Premium)).is_err());
        }
    }
    // Who may not write any more does not submit what they began, and may take it back.
    let take = |step, status| takes(step, viewer(ANN, Role::User), (true, status), (None, NOW));
    assert!(take(Step::Submit, Draft).is_err() && take(Step::Unpublish, InReview).is_ok());
    // As its author wished.
    let by = viewer(BOB, Role::Moderator);
    let approve = |at| takes(Step::Approve, by, (false, InReview), (Some(at), NOW)).unwrap();
    assert_eq!(approve(Timestamp::from_seconds(1_001)), Scheduled);
    assert_eq!(approve(NOW), Published);
}

#[test]
fn statuses_are_read_as_they_are_written() {
    for status in STATUSES {
        assert_eq!(status.to_string().parse(), Ok(status));
        assert_eq!(serde_json::to_value(status).unwrap(), status.name());
    }
    assert_eq!("gone".parse::<Status>(), Err(()));
    assert_eq!(("page".parse(), "post".parse()), (Ok(Kind::Page), Ok(Kind::Post)));
}
