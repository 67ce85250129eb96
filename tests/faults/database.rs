//! PostgreSQL goes away in every way that it can: the services stay up, say so, refuse in bounded time, and are back at
//! once; whatever they acknowledged is there, once.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use devstack::Stack;
use devstack::stack::DatabaseChoice;
use e2e::waiting::eventually;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::houses::{Desk, HOUSES, House, Means, judge, nobody_is_dialled_twice, stored, street};
use crate::load::{Load, Told, acknowledged};
use crate::{ALONE, say};

/// Before the fault, after it, and between two looks.
const CALM: Duration = Duration::from_secs(1);
const DEADLINE: Duration = Duration::from_secs(60);
/// Longest that a refusal may take: a handler's limit of 10 s, and what a busy machine adds.
const REFUSED_WITHIN: Duration = Duration::from_secs(14);
/// What is promised for the time after the fault.
const BACK_WITHIN: Duration = Duration::from_secs(5);
/// Longer than a replica may be silent, a statement may run and a handler may wait.
const STANDSTILL: Duration = Duration::from_secs(30);
const CUTS: usize = 40;
const SMALL_MIB: u32 = 24;

/// A fault under traffic.
struct Story {
    name: &'static str,
    stack: Stack,
    desk: Desk,
    load: Load,
    pids: Vec<Option<i32>>,
    began: Instant,
}

/// What is expected of the services meanwhile.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meanwhile {
    /// Writes are refused, and `/readyz` says why.
    Refused(&'static str),
    /// Writes are refused, and `/readyz` says why; reads go on.
    WritesRefused(&'static str),
}

impl Story {
    async fn begin(name: &'static str) -> Self {
        let stack = street().private_postgres().start().await.unwrap();
        Self::with(name, stack).await
    }

    async fn with(name: &'static str, stack: Stack) -> Self {
        let desk = Desk::open(&stack).await;
        let load = Load::begin(&desk);
        eventually("every service acknowledges", DEADLINE, || async {
            let told = load.told();
            let busy = |house| acknowledged(&told, house).len() >= 3;
            HOUSES.into_iter().all(busy).then_some(())
        })
        .await;
        tokio::time::sleep(CALM).await;
        let pids = pids(&stack).await;
        let began = Instant::now();
        Self {
            name,
            stack,
            desk,
            load,
            pids,
            began,
        }
    }

    /// Waits until every service has refused a write and tells why it cannot work.
    async fn is_felt(&self, meanwhile: Meanwhile) {
        eventually("every service refuses writes", DEADLINE, || async {
            let told = self.load.told();
            let refused = |house| {
                told.iter()
                    .any(|one| is_write_of(one, house) && one.begun > self.began && one.status == Some(503))
            };
            HOUSES.into_iter().all(refused).then_some(())
        })
        .await;
        let (Meanwhile::Refused(reason) | Meanwhile::WritesRefused(reason)) = meanwhile;
        for house in HOUSES {
            let (status, _) = self.desk.probe(house, "/healthz").await.expect("it lives");
            assert_eq!(status, 200, "{house:?}");
            let told = eventually("it says that it cannot work", DEADLINE, || async {
                self.desk
                    .probe(house, "/readyz")
                    .await
                    .filter(|(status, _)| *status == 503)
            })
            .await;
            let words = told.1.unwrap_or_default();
            assert!(words.contains(reason), "{house:?}: {words}");
        }
        if matches!(meanwhile, Meanwhile::WritesRefused(_)) {
            self.reads_go_on().await;
        }
    }

    async fn reads_go_on(&self) {
        for house in HOUSES {
            let answer = self.desk.read(house).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{house:?} reads");
        }
    }

    /// The fault is over: waits until everything works again, judges every answer, and compares the ledger.
    async fn is_over(self) {
        let healed = Instant::now();
        let mut back = BTreeMap::new();
        for house in HOUSES {
            let at = eventually("it acknowledges again", DEADLINE, || async {
                let told = self.load.told();
                let mut done = told
                    .iter()
                    .filter(|one| is_write_of(one, house) && one.begun > healed)
                    .filter(|one| one.status.is_some_and(|status| status < 300));
                done.next().map(|one| one.begun + one.took)
            })
            .await;
            back.insert(house, at.duration_since(healed));
            eventually("it is ready again", DEADLINE, || async {
                let (status, _) = self.desk.probe(house, "/readyz").await?;
                (status == 200).then_some(())
            })
            .await;
        }
        tokio::time::sleep(CALM).await;
        let told = self.load.end().await;
        for house in HOUSES {
            judge_answers(self.name, house, &told, back[&house]);
            let stored = stored(self.stack.database_url(), house).await;
            judge(house, &acknowledged(&told, house), &stored).unwrap();
        }
        assert_eq!(pids(&self.stack).await, self.pids, "no service was restarted");
        nobody_is_dialled_twice(&self.stack);
        self.stack.stop().await.unwrap();
        for (house, took) in back {
            assert!(took < BACK_WITHIN, "{house:?} was back after {took:?}");
        }
    }
}

fn is_write_of(one: &Told, house: House) -> bool {
    one.house == house && one.write.is_some()
}

fn judge_answers(name: &str, house: House, told: &[Told], back: Duration) {
    let of_house = || told.iter().filter(|one| one.house == house);
    let refused: Vec<&Told> = of_house().filter(|one| one.status == Some(503)).collect();
    for one in of_house() {
        let is_known = match one.write {
            Some(_) => one.means != Means::Wrong && one.status.is_some(),
            None => matches!(one.status, Some(200 | 503)),
        };
        assert!(is_known, "{name}: {house:?} answered {}: {one:?}", one.words);
    }
    assert!(
        refused.iter().all(|one| one.retry_after),
        "{name}: {house:?} says when to come back"
    );
    let slowest = of_house().max_by_key(|one| one.took).unwrap();
    let reads = of_house()
        .filter(|one| one.write.is_none() && one.status == Some(200))
        .count();
    say(&format!(
        "{name}: {}: {} writes acknowledged, {} reads answered, {} refused, slowest {:.1} s, back after {:.2} s",
        house.name(),
        acknowledged(told, house).len(),
        reads,
        refused.len(),
        slowest.took.as_secs_f64(),
        back.as_secs_f64()
    ));
    assert!(slowest.took < REFUSED_WITHIN, "{name}: {slowest:?}");
}

async fn pids(stack: &Stack) -> Vec<Option<i32>> {
    let mut pids = Vec::new();
    for house in HOUSES {
        pids.push(stack.pid(house.name(), 0).await);
    }
    pids
}

/// A connection that writes whatever the server's default is.
async fn superuser(stack: &Stack) -> PgConnection {
    let mut conn = PgConnection::connect(stack.database_url()).await.unwrap();
    conn.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE")
        .await
        .unwrap();
    conn
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_is_stopped_and_started_again() {
    let _alone = ALONE.lock().await;
    let story = Story::begin("stopped").await;
    story.stack.postgres().stop().await;
    story.is_felt(Meanwhile::Refused("the database")).await;
    story.stack.postgres().start().await.unwrap();
    story.is_over().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_is_killed_and_recovers() {
    let _alone = ALONE.lock().await;
    // The other stories' server answers before it has written its log: killed, it would forget what it had acknowledged.
    let stack = street().measured_postgres().start().await.unwrap();
    let story = Story::with("killed", stack).await;
    story.stack.postgres().kill9().await;
    story.is_felt(Meanwhile::Refused("the database")).await;
    story.stack.postgres().start().await.unwrap();
    story.is_over().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_stands_still() {
    let _alone = ALONE.lock().await;
    let story = Story::begin("paused").await;
    story.stack.postgres().pause().await;
    story.is_felt(Meanwhile::Refused("the database")).await;
    tokio::time::sleep(STANDSTILL.saturating_sub(story.began.elapsed())).await;
    story.stack.postgres().resume().await;
    story.is_over().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_cut_again_and_again() {
    let _alone = ALONE.lock().await;
    let story = Story::begin("cut").await;
    let mut conn = superuser(&story.stack).await;
    let mut cut = 0;
    for _ in 0..CUTS {
        let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                   WHERE pid <> pg_backend_pid() AND datname = current_database()";
        cut += sqlx::query_scalar::<_, i64>(sql)
            .fetch_one(&mut conn)
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    say(&format!("cut: {cut} connections"));
    assert!(cut > 0);
    story.is_over().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_takes_no_writes() {
    let _alone = ALONE.lock().await;
    let story = Story::begin("read-only").await;
    let mut conn = superuser(&story.stack).await;
    set_read_only(&mut conn, "on").await;
    story.is_felt(Meanwhile::WritesRefused("cannot be written")).await;
    set_read_only(&mut conn, "off").await;
    story.is_over().await;
}

async fn set_read_only(conn: &mut PgConnection, value: &'static str) {
    let sql = format!("ALTER SYSTEM SET default_transaction_read_only = {value}");
    conn.execute(AssertSqlSafe(sql)).await.unwrap();
    conn.execute("SELECT pg_reload_conf()").await.unwrap();
}

/// A file system of its own, small; unmounted when it is dropped.
struct SmallDisk {
    directory: tempfile::TempDir,
}

impl SmallDisk {
    /// One that PostgreSQL's account owns; none where this user may not mount anything.
    async fn mount(conn: &mut PgConnection) -> Option<Self> {
        let data: String = sqlx::query_scalar("SHOW data_directory")
            .fetch_one(conn)
            .await
            .unwrap();
        let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(data).unwrap());
        let directory = tempfile::tempdir_in("/var/tmp").unwrap();
        let options = format!("size={SMALL_MIB}m,mode=700,uid={owner}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(directory.path())
            .stderr(Stdio::null())
            .status();
        mounted
            .is_ok_and(|status| status.success())
            .then_some(Self { directory })
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("-l")
            .arg(self.directory.path())
            .status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_is_full() {
    let _alone = ALONE.lock().await;
    let stack = street().private_postgres().start().await.unwrap();
    let mut conn = superuser(&stack).await;
    let Some(disk) = SmallDisk::mount(&mut conn).await else {
        say("full: not shown: this user may not mount a small file system");
        return stack.stop().await.unwrap();
    };
    move_to(&disk, &mut conn).await;
    let story = Story::with("full", stack).await;
    conn.execute("CREATE TABLE public.filler (bytes text) TABLESPACE small")
        .await
        .unwrap();
    // As it is: compressed, it would fit for ever.
    conn.execute("ALTER TABLE public.filler ALTER bytes SET STORAGE EXTERNAL")
        .await
        .unwrap();
    let fill = "INSERT INTO public.filler SELECT repeat(md5(n::text), 200) FROM generate_series(1, $1) n";
    // In smaller and smaller steps, until not even one row fits.
    let mut step = 512;
    while step > 0 {
        match sqlx::query(fill).bind(step).execute(&mut conn).await {
            Ok(_) => {}
            Err(error) => {
                let code = error.as_database_error().and_then(|error| error.code());
                assert_eq!(code.as_deref(), Some("53100"), "{error}");
                step /= 2;
            }
        }
    }
    story.is_felt(Meanwhile::WritesRefused("cannot be written")).await;
    conn.execute("DROP TABLE public.filler").await.unwrap();
    story.is_over().await;
}

/// Moves everything of the services, but not the log of the server, which it cannot live without.
async fn move_to(disk: &SmallDisk, conn: &mut PgConnection) {
    let directory = disk.directory.path().display();
    // Locks on everything that the services are using.
    let sql = format!("CREATE TABLESPACE small LOCATION '{directory}'");
    conn.execute(AssertSqlSafe(sql)).await.unwrap();
    conn.execute("ALTER TABLE ALL IN TABLESPACE pg_default SET TABLESPACE small")
        .await
        .unwrap();
    conn.execute("ALTER INDEX ALL IN TABLESPACE pg_default SET TABLESPACE small")
        .await
        .unwrap();
}

const MIGRATORS: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn several_replicas_migrate_at_once_and_one_does_it() {
    let _alone = ALONE.lock().await;
    // A stack without services is a database.
    let stack = Stack::builder()
        .services(&[])
        .database(DatabaseChoice::PrivateFresh)
        .start()
        .await
        .unwrap();
    for house in HOUSES {
        let mut running = Vec::new();
        for _ in 0..MIGRATORS {
            let program = devstack::places::program(house.name()).unwrap();
            let mut command = tokio::process::Command::new(program);
            command.arg("migrate").env("DATABASE_URL", stack.database_url());
            for (name, value) in settings_of(house) {
                command.env(name, value);
            }
            running.push(
                command
                    .env("RUST_LOG", "error")
                    .stdout(Stdio::null())
                    .spawn()
                    .unwrap(),
            );
        }
        for mut one in running {
            let status = tokio::time::timeout(DEADLINE, one.wait()).await.unwrap().unwrap();
            assert!(status.success(), "{house:?}: {status}");
        }
        let mut conn = PgConnection::connect(stack.database_url()).await.unwrap();
        let schema = schema(house);
        let sql =
            format!("SELECT count(*), count(DISTINCT version) FROM {schema}._sqlx_migrations WHERE success");
        let (rows, versions): (i64, i64) = sqlx::query_as(AssertSqlSafe(sql))
            .fetch_one(&mut conn)
            .await
            .unwrap();
        say(&format!(
            "{}: {MIGRATORS} at once, {rows} migrations applied",
            house.name()
        ));
        assert!(rows > 0 && rows == versions, "{house:?}");
    }
    stack.stop().await.unwrap();
}

fn schema(house: House) -> &'static str {
    match house {
        House::Session => "session",
        House::Chat => "chat",
        House::Retell => "retell",
        House::Dispatch => "dispatch",
        House::Tasks => "task_chat",
    }
}

/// What `migrate` needs besides the database, as every command does.
fn settings_of(house: House) -> Vec<(&'static str, &'static str)> {
    let mut settings = vec![
        ("JWT_SECRET", "a secret of at least thirty-two characters"),
        ("WEBHOOK_SECRETS", "another secret of at least thirty-two"),
        ("N8N_WEBHOOK_URL", "http://127.0.0.1:9/webhook"),
    ];
    match house {
        House::Tasks => settings.push(("AGENT_WEBHOOKS", r#"{"default":"http://127.0.0.1:9/webhook"}"#)),
        House::Dispatch => settings.extend([
            ("LIVEKIT_URL", "http://127.0.0.1:9"),
            ("LIVEKIT_API_KEY", "key"),
            ("LIVEKIT_API_SECRET", "a secret of at least thirty-two characters"),
        ]),
        House::Retell => settings.push(("DATA_KEY", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")),
        House::Session | House::Chat => {}
    }
    settings
}
