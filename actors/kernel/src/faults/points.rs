//! The points there are. A new one costs a constant, a line in the list and a call at its place.

/// A place in the program.
#[derive(Debug)]
pub struct Point {
    /// Its name: `<what passes>.<where>`.
    pub name: &'static str,
    /// Where it is, in words.
    pub place: &'static str,
    /// Whether whoever passes can be made to wait.
    pub waits: bool,
    /// Whether what happens there can be made to fail.
    pub fails: bool,
}

const fn of_write(name: &'static str, place: &'static str) -> Point {
    Point { name, place, waits: true, fails: true }
}

/// In [`Database::write`](crate::data::Database::write), before anything was done.
pub(crate) static WRITE_BEFORE_TRANSACTION: Point =
    of_write("write.before_transaction", "a client's write, before its transaction begins");
/// After the service's own statements.
pub(crate) static WRITE_IN_TRANSACTION: Point = of_write(
    "write.in_transaction",
    "inside the transaction, after the service's statements and before the row that remembers \
     the answer",
);
/// After the idempotency row.
pub(crate) static WRITE_BEFORE_COMMIT: Point = of_write(
    "write.before_commit",
    "inside the transaction, after the row that remembers the answer and before the commit",
);
/// It is on disk, and nobody has been told. An error here is an unknown outcome.
pub(crate) static WRITE_AFTER_COMMIT: Point =
    of_write("write.after_commit", "after the commit, before the answer is given to anybody");
/// The worker has answered.
pub(crate) static REPLY_SENT: Point = Point {
    name: "reply.sent",
    place: "a worker has just sent the reply to a client's write towards the gateway",
    waits: true,
    fails: false,
};
/// The front door, which waits for nothing. An error here is `Busy`.
pub(crate) static DOOR_ADMIT: Point = Point {
    name: "door.admit",
    place: "a front door opens a client's write, before it is admitted",
    waits: false,
    fails: true,
};
/// Nothing of the batch was sent.
pub(crate) static RELAY_DELIVER: Point =
    of_write("relay.deliver", "a relay has read a batch of facts and not yet sent it");
/// The consumer has committed; told again, it must recognise what it has had.
pub(crate) static RELAY_DELIVERED: Point = of_write(
    "relay.delivered",
    "a batch of facts is committed by its consumer and not yet noted as delivered",
);

/// The answering side; the asking one hears that the service can't be asked.
pub(crate) static RECORDS_PAGE: Point =
    of_write("records.page", "a service is asked for records of somebody, before they are read");

/// Every point.
pub static POINTS: [&Point; 9] = [
    &WRITE_BEFORE_TRANSACTION,
    &WRITE_IN_TRANSACTION,
    &WRITE_BEFORE_COMMIT,
    &WRITE_AFTER_COMMIT,
    &REPLY_SENT,
    &DOOR_ADMIT,
    &RELAY_DELIVER,
    &RELAY_DELIVERED,
    &RECORDS_PAGE,
];

/// The point of this name.
///
/// # Errors
/// A sentence with the names there are.
pub fn find(name: &str) -> Result<&'static Point, String> {
    POINTS.iter().find(|point| point.name == name).copied().ok_or_else(|| {
        let names: Vec<&str> = POINTS.iter().map(|point| point.name).collect();
        format!("there is no fault point {name:?}; there are {}", names.join(", "))
    })
}
