//! The one writer of a SQLite file.
//!
//! SQLite has one writer at a time anyway; this actor makes a virtue of it. Writes that arrive
//! while one commit is on its way to the disk are done together in the next: each in its own
//! savepoint, so that one may fail without the others, and all made durable by one sync.
//!
//! How it batches: the first write makes the actor send itself `Flush`, which lands behind
//! every write already in the mailbox; so `Flush` finds all of them waiting.
//!
//! Failure: if the connection breaks or the disk is full, everything in the batch is answered
//! (nothing was done, or, if it happened while committing, the outcome is unknown), and the next
//! batch begins with a new connection. Reads do not notice. The actor itself has no reason to
//! fail.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use ractor_cluster::RactorMessage;
use sqlx::ConnectOptions as _;
use tokio::sync::oneshot;
use tracing::{Instrument as _, Span};

use super::conn::Inner as ConnInner;
use super::database::Kind;
use super::tx::Published;
use super::{Conn, Database, DbError, Tx, sql};
use crate::supervision::Address;
use crate::time::Clock;

/// The most writes that share a commit; more would only make the first of them wait.
const BATCH: usize = 64;

/// What the writer is told.
#[derive(RactorMessage)]
pub(crate) enum WriterMessage {
    /// Do this in a transaction.
    Write(Box<dyn Job>),
    /// Commit what is waiting. Sent by the writer to itself.
    Flush,
}

/// A transaction's work, with the place its result goes.
pub(crate) trait Job: Send {
    /// Does the work; whether to keep it.
    fn run<'t>(&'t mut self, tx: &'t mut Tx, clock: &'t Clock) -> BoxFuture<'t, bool>;
    /// Tells the caller: done and on disk, or what happened instead.
    fn finish(self: Box<Self>, outcome: Result<(), DbError>);
}

/// The work's own result and what was published with it; or what became of the transaction.
pub(super) type Done<T, E> = Result<(Result<T, E>, Published), DbError>;

/// What a panic carries.
type Panic = Box<dyn std::any::Any + Send>;

struct Work<T, E, F> {
    todo: Option<F>,
    result: Option<Result<T, E>>,
    published: Published,
    panic: Option<Panic>,
    reply: Option<oneshot::Sender<Result<Done<T, E>, Panic>>>,
    /// The request this is for: what goes wrong is logged under its id.
    span: Span,
}

impl<T, E, F> Work<T, E, F> {
    fn answer(&mut self, answer: Result<Done<T, E>, Panic>) {
        if let Some(reply) = self.reply.take() {
            // Whoever asked may have gone meanwhile.
            drop(reply.send(answer));
        }
    }
}

/// Work that dies with the writer: whoever asked learns whether it had begun.
impl<T, E, F> Drop for Work<T, E, F> {
    fn drop(&mut self) {
        let why = "the writer died".to_owned();
        let error = match self.todo {
            Some(_) => DbError::Unavailable(why),
            None => DbError::OutcomeUnknown(why),
        };
        self.answer(Ok(Err(error)));
    }
}

impl<T, E, F> Job for Work<T, E, F>
where
    T: Send,
    E: From<DbError> + Send,
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send,
{
    fn run<'t>(&'t mut self, tx: &'t mut Tx, clock: &'t Clock) -> BoxFuture<'t, bool> {
        let span = self.span.clone();
        let running = async move {
            // Whoever asked may have gone while this waited; then nobody wants it done.
            let waiting = self.reply.as_ref().is_some_and(|reply| !reply.is_closed());
            let Some(work) = self.todo.take().filter(|_| waiting) else {
                return false;
            };
            // A panic is the fault of this work and of nobody else's in the batch. It goes on
            // where the work came from, as if the work had been done there.
            let mut result = match AssertUnwindSafe(work(tx)).catch_unwind().await {
                Ok(result) => result,
                Err(panic) => {
                    self.panic = Some(panic);
                    return false;
                }
            };
            if result.is_ok()
                && let Err(error) = tx.flush_facts(clock.now()).await
            {
                result = Err(error.into());
            }
            self.published = tx.take_published();
            let keep = result.is_ok();
            self.result = Some(result);
            keep
        };
        Box::pin(running.instrument(span))
    }

    fn finish(mut self: Box<Self>, outcome: Result<(), DbError>) {
        if let Some(panic) = self.panic.take() {
            self.answer(Err(panic));
            return;
        }
        let answer = match (outcome, self.result.take()) {
            (Ok(()), Some(result)) => Ok((result, std::mem::take(&mut self.published))),
            // Work that failed by itself keeps its own reason, whatever became of the batch.
            (Err(_), Some(Err(error))) => Ok((Err(error), Published::default())),
            (Err(error), _) => Err(error),
            (Ok(()), None) => Err(DbError::Unavailable("the write was abandoned".into())),
        };
        self.answer(Ok(answer));
    }
}

/// Hands work to the writer and waits for it to be on disk.
pub(super) async fn submit<T, E, F>(writer: &Address<WriterMessage>, work: F) -> Done<T, E>
where
    T: Send + 'static,
    E: From<DbError> + Send + 'static,
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    let job = Work {
        todo: Some(work),
        result: None,
        published: Published::default(),
        panic: None,
        reply: Some(reply),
        span: Span::current(),
    };
    writer
        .send(WriterMessage::Write(Box::new(job)))
        .map_err(|_| DbError::Unavailable("the writer is restarting".into()))?;
    match answer.await {
        Ok(Ok(done)) => done,
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        // Every job answers, at the latest when it is dropped.
        Err(_) => Err(DbError::OutcomeUnknown("the writer died".into())),
    }
}

/// The writer of one file.
pub(crate) struct SqliteWriter {
    pub(crate) db: Database,
    pub(crate) job_timeout: Duration,
}

/// The connection, and what waits for it.
pub(crate) struct WriterState {
    conn: Option<Conn>,
    waiting: Vec<Box<dyn Job>>,
}

impl Actor for SqliteWriter {
    type Msg = WriterMessage;
    type State = WriterState;
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<WriterMessage>,
        (): (),
    ) -> Result<WriterState, ActorProcessingErr> {
        self.db.0.writer.announce(&myself);
        Ok(WriterState { conn: None, waiting: Vec::new() })
    }

    async fn handle(
        &self,
        myself: ActorRef<WriterMessage>,
        message: WriterMessage,
        state: &mut WriterState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            WriterMessage::Write(job) => {
                state.waiting.push(job);
                if state.waiting.len() == 1 {
                    myself.send_message(WriterMessage::Flush)?;
                }
                Ok(())
            }
            WriterMessage::Flush => {
                let batch: Vec<_> = state.waiting.drain(..state.waiting.len().min(BATCH)).collect();
                if !state.waiting.is_empty() {
                    myself.send_message(WriterMessage::Flush)?;
                }
                self.commit(state, batch).await;
                Ok(())
            }
        }
    }

    async fn post_stop(
        &self,
        _: ActorRef<WriterMessage>,
        state: &mut WriterState,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(Conn { inner: ConnInner::SqliteWriter(conn), .. }) = state.conn.take() {
            use sqlx::Connection as _;
            conn.close().await?;
        }
        Ok(())
    }
}

impl SqliteWriter {
    /// Does a batch. What goes wrong ends the connection, never the actor.
    async fn commit(&self, state: &mut WriterState, batch: Vec<Box<dyn Job>>) {
        match self.try_commit(state, batch).await {
            Ok(()) => self.db.has_written(),
            Err(why) => self.db.cannot_write(&why),
        }
    }

    async fn try_commit(
        &self,
        state: &mut WriterState,
        batch: Vec<Box<dyn Job>>,
    ) -> Result<(), String> {
        let conn = match state.conn.take() {
            Some(conn) => Ok(conn),
            None => self.connect().await,
        };
        let mut conn = match conn {
            Ok(conn) => conn,
            Err(error) => return Err(give_up(batch, &error, false)),
        };
        if let Err(error) = conn.execute(sql("BEGIN IMMEDIATE")).await {
            return Err(give_up(batch, &error, false));
        }
        let mut tx = Tx::new(conn);
        let mut done: Vec<Box<dyn Job>> = Vec::with_capacity(batch.len());
        let mut rest = batch.into_iter();
        while let Some(mut job) = rest.next() {
            // Also what was undone is answered after the commit only: it may have failed because
            // of what another in this batch has written, and whoever asked will look for that.
            if let Err(error) = self.run_one(&mut tx, job.as_mut()).await {
                done.push(job);
                done.extend(rest);
                return Err(give_up(done, &error, false));
            }
            done.push(job);
        }
        if let Err(error) = tx.execute(sql("COMMIT")).await {
            return Err(give_up(done, &error, true));
        }
        state.conn = Some(tx.into_conn());
        for job in done {
            job.finish(Ok(()));
        }
        Ok(())
    }

    /// Runs one job in its savepoint, and undoes it if it fails.
    async fn run_one(&self, tx: &mut Tx, job: &mut dyn Job) -> Result<(), DbError> {
        tx.execute(sql("SAVEPOINT job")).await?;
        let work = job.run(tx, &self.db.0.clock);
        let Ok(keep) = tokio::time::timeout(self.job_timeout, work).await else {
            return Err(DbError::Unavailable("a write took too long".into()));
        };
        tx.forget_facts();
        if !keep {
            tx.execute(sql("ROLLBACK TO job")).await?;
        }
        tx.execute(sql("RELEASE job")).await.map(|_| ())
    }

    async fn connect(&self) -> Result<Conn, DbError> {
        match &self.db.0.kind {
            Kind::Sqlite { options, .. } => Ok(Conn {
                inner: ConnInner::SqliteWriter(options.clone().connect().await?),
                owner: None,
            }),
            Kind::Postgres { .. } => Err(DbError::Unavailable("not a SQLite database".into())),
        }
    }
}

/// Tells everybody in the batch why.
fn give_up(batch: Vec<Box<dyn Job>>, error: &DbError, committing: bool) -> String {
    let why = error.to_string();
    for job in batch {
        job.finish(Err(if committing {
            DbError::OutcomeUnknown(why.clone())
        } else {
            DbError::Unavailable(why.clone())
        }));
    }
    why
}
