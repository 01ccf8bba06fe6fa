//! Faults drawn by lot, one after the other, for as long as one likes:
//! `make faults SEED=7 MINUTES=20`.

use std::time::{Duration, Instant};

use panel_harness::{Network, Node, Thread, checks, eventually};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::scale::{self, Goal, figure, is_measured};
use super::scene::{SOON, Scene, three};

/// After this long the load is ended, looked at, and begun anew: what it remembers is bounded.
const ROUND: Duration = Duration::from_secs(300);
/// Who may be hit; the gateway that everybody asks stays.
const VICTIMS: [&str; 2] = ["n2", "n3"];

/// What is done, and undone before the next is drawn: so somebody is always there to ask, and no
/// request may fail.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Kill,
    Restart,
    Freeze(Duration),
    Partition(Duration),
    OneWay(Duration),
    Reset,
    Delay(Duration, Duration),
    Throttle(Duration),
    /// `kill` or `panic`, and whom.
    Break(&'static str, &'static str),
    Stall(&'static str, Duration),
    Point(&'static str),
}

fn draw(lot: &mut StdRng) -> Fault {
    let time = Duration::from_millis(lot.random_range(200..5_000));
    let breaks = [
        ("panic", "forum/serving/front_door"),
        ("kill", "forum/serving/pool"),
        ("panic", "forum/keeper"),
        ("panic", "auth/keeper"),
    ];
    let (how, actor) = breaks[lot.random_range(0..breaks.len())];
    let points = ["door.admit", "write.in_transaction", "write.after_commit", "reply.sent"];
    match lot.random_range(0..11) {
        0 => Fault::Kill,
        1 => Fault::Restart,
        2 => Fault::Freeze(time),
        3 => Fault::Partition(time),
        4 => Fault::OneWay(time),
        5 => Fault::Reset,
        6 => Fault::Delay(Duration::from_millis(lot.random_range(1..80)), time),
        7 => Fault::Throttle(time),
        8 => Fault::Break(how, actor),
        9 => Fault::Stall("forum/serving/front_door", time),
        _ => Fault::Point(points[lot.random_range(0..points.len())]),
    }
}

/// It may just be restarting, because of an earlier fault.
async fn break_actor(node: &Node, order: serde_json::Value) {
    eventually(&format!("{order}"), SOON, async || {
        let answer = node.control(order.clone()).await;
        if answer.iter().any(|line| line.get("done").is_some()) { Ok(()) } else { Err(answer) }
    })
    .await;
}

async fn inflict(scene: &mut Scene, victim: &str, fault: Fault) {
    let wait = tokio::time::sleep;
    let cluster = &mut scene.cluster;
    match fault {
        Fault::Kill => {
            cluster.node_mut(victim).kill9();
            cluster.node_mut(victim).restart().await;
        }
        Fault::Restart => cluster.node_mut(victim).restart().await,
        Fault::Freeze(time) => {
            cluster.node(victim).signal("STOP");
            wait(time).await;
            cluster.node(victim).signal("CONT");
        }
        Fault::Partition(time) => {
            cluster.around(victim).into_iter().for_each(Network::partition);
            wait(time).await;
            cluster.around(victim).into_iter().for_each(Network::heal);
        }
        Fault::OneWay(time) => {
            cluster.between("n1", victim).one_way();
            wait(time).await;
            cluster.between("n1", victim).heal();
        }
        Fault::Reset => cluster.between("n1", victim).reset(),
        Fault::Delay(delay, time) => {
            cluster.between("n1", victim).delay(delay);
            wait(time).await;
            cluster.between("n1", victim).heal();
        }
        Fault::Throttle(time) => {
            cluster.between("n1", victim).throttle(20_000);
            wait(time).await;
            cluster.between("n1", victim).heal();
        }
        Fault::Break(how, actor) => {
            let order = serde_json::json!({"request": how, "actor": actor});
            break_actor(cluster.node(victim), order).await;
        }
        Fault::Stall(actor, time) => {
            let text = format!("{}ms", time.as_millis());
            let order = serde_json::json!({"request": "stall", "actor": actor, "time": text});
            break_actor(cluster.node(victim), order).await;
            wait(time).await;
        }
        Fault::Point(point) => {
            cluster.node(victim).arm(&format!("{point}=exit")).await;
            let until = Instant::now() + Duration::from_secs(5);
            while cluster.node_mut(victim).is_running() && Instant::now() < until {
                wait(Duration::from_millis(10)).await;
            }
            if cluster.node_mut(victim).is_running() {
                cluster.node(victim).disarm().await;
            } else {
                cluster.node_mut(victim).ended().await;
                cluster.node_mut(victim).restart().await;
            }
        }
    }
    cluster.await_linked().await;
}

fn given(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// The middle one of the second quarter of these, and of the last.
fn quarters(memory: impl Iterator<Item = f64>) -> (f64, f64) {
    let memory: Vec<f64> = memory.collect();
    let quarter = memory.len() / 4;
    let median = |part: &[f64]| {
        let mut part = part.to_vec();
        part.sort_unstable_by(f64::total_cmp);
        part[part.len() / 2]
    };
    (median(&memory[quarter..2 * quarter]), median(&memory[3 * quarter..]))
}

/// What became of the gateway's memory, in MiB: what the cache keeps, and the rest of all.
fn report_memory(memory: &[(f64, f64)]) {
    let told = |(early, late): (f64, f64)| format!("{early:.1} MiB → {late:.1} MiB");
    let kept = quarters(memory.iter().map(|(_, kept)| *kept));
    figure(
        "answers kept by the gateway: second quarter of the time → last",
        &told(kept),
        "–",
        true,
    );
    let rest = quarters(memory.iter().map(|(all, kept)| all - kept));
    let name = "the rest of its memory: second quarter of the time → last";
    figure(name, &told(rest), "≤ + 10 %", rest.1 <= rest.0 * 1.1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::print_stderr, reason = "who wants the same again needs the seed")]
async fn whatever_happens_nothing_is_lost() {
    let seed = given("PANEL_FAULTS_SEED").unwrap_or(1);
    let minutes = given("PANEL_FAULTS_MINUTES");
    let time = minutes.map_or(Duration::from_secs(20), |minutes| Duration::from_secs(minutes * 60));
    eprintln!("seed {seed}, for {time:?}");
    let cluster = three().await.env("PANEL_FAULTS__ENABLED", "true").start().await;
    let mut scene = Scene::on(cluster).await;
    let mut lot = StdRng::seed_from_u64(seed);
    let begun = Instant::now();
    let mut memory = Vec::new();
    while begun.elapsed() < time {
        // A thread of its own: how long the one before has become is not what is measured.
        scene.admin.refresh().await;
        scene.thread = Thread::open(&scene.admin).await;
        let load = scene.load().await.refresh_every(Duration::from_secs(120));
        scene.begin_with(load.pause(Duration::from_millis(50))).await;
        let (round, mut faults) = (Instant::now(), 0);
        while round.elapsed() < ROUND && begun.elapsed() < time {
            let (victim, fault) = (VICTIMS[lot.random_range(0..VICTIMS.len())], draw(&mut lot));
            eprintln!("{:>8.1?} {victim} {fault:?}", begun.elapsed());
            inflict(&mut scene, victim, fault).await;
            scene.more().await;
            let gateway = scene.cluster.node("n1");
            let kept = gateway.metrics().await.value("panel_edge_cache_bytes", &[]);
            let all = u32::try_from(gateway.resident_bytes() >> 10).unwrap();
            memory.push((f64::from(all) / 1_024.0, kept / 1_048_576.0));
            faults += 1;
        }
        let history = scene.end().await;
        scale::report(&format!("{faults} faults by lot"), Goal::None, &history, round);
        checks::failures_at_most(&history, 0).unwrap();
    }
    if is_measured() && minutes.is_some() && memory.len() >= 8 {
        report_memory(&memory);
    }
}
