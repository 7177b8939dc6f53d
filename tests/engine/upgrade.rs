//! A history of migrations from before engine and shop had one each: adopted when it is complete, refused when it is not; and the
//! schema that it made is the one that the new histories make.

use backstitch::{
    engine::{Engine, Registry},
    orders::{Orders, ShopSettings},
};
use sqlx::PgPool;

use crate::support::TestDatabase;

/// Everything about the two schemas that a statement could notice, a line each.
const CATALOGUE: &str = include_str!("../upgrade/catalogue.sql");

async fn catalogue(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar(CATALOGUE).fetch_all(pool).await.expect("the catalogue can be read")
}

fn shop(pool: &PgPool) -> Orders {
    Orders::new(Engine::new(pool.clone(), Registry::new()), ShopSettings::default())
}

#[tokio::test]
async fn an_upgraded_schema_is_the_same_as_a_new_one() {
    let (old, new) = (TestDatabase::of_before(10).await, TestDatabase::unmigrated().await);
    for db in [&old, &new] {
        shop(db.pool()).migrate().await.expect("it is migrated");
    }
    let (old, new) = (catalogue(old.pool()).await, catalogue(new.pool()).await);
    assert!(new.len() > 500, "only {} lines", new.len());
    let missing = |here: &[String], there: &[String]| -> Vec<String> {
        here.iter().filter(|line| !there.contains(line)).cloned().collect()
    };
    assert_eq!(missing(&old, &new), Vec::<String>::new(), "only in the upgraded one");
    assert_eq!(missing(&new, &old), Vec::<String>::new(), "only in the new one");
}

#[tokio::test]
async fn an_incomplete_history_is_refused_with_advice() {
    let db = TestDatabase::of_before(7).await;
    let engine = Engine::new(db.pool().clone(), Registry::new());
    for _ in 0..2 {
        let refused = engine.migrate().await.expect_err("it is refused");
        assert_eq!(refused.code(), "incomplete_history");
        assert!(refused.to_string().contains("[8, 9, 10]"), "{refused}");
    }
    let query = "SELECT count(*) FROM backstitch.migration";
    assert_eq!(sqlx::query_scalar::<_, i64>(query).fetch_one(db.pool()).await.expect("reads"), 7);
    // The advice helps.
    db.go_on_as_before(10).await;
    engine.migrate().await.expect("it is adopted");
    assert_eq!(engine.missing_migrations().await.expect("it can be asked"), [0; 0]);
}

#[tokio::test]
async fn an_old_history_is_adopted_once_by_many() {
    let db = TestDatabase::of_before(10).await;
    let shops = [shop(db.pool()), shop(db.pool()), shop(db.pool())];
    let (a, b, c) = tokio::join!(shops[0].migrate(), shops[1].migrate(), shops[2].migrate());
    a.and(b).and(c).expect("all are content");
    assert_eq!(shops[0].missing_migrations().await.expect("it can be asked"), [0; 0]);
}

#[tokio::test]
async fn an_engine_in_the_shops_schema_is_refused() {
    let db = TestDatabase::unmigrated().await;
    let engine = Engine::new(db.pool().clone(), Registry::new()).with_schema("shop").expect("it is a name");
    let refused =
        Orders::new(engine, ShopSettings::default()).migrate().await.expect_err("two histories in one schema");
    assert_eq!(refused.code(), "invalid_schema");
    let made: bool =
        sqlx::query_scalar("SELECT to_regnamespace('shop') IS NOT NULL").fetch_one(db.pool()).await.expect("reads");
    assert!(!made, "nothing was made");
    assert_eq!(backstitch::orders::check_schema("shop").map_err(|error| error.code()), Err("invalid_schema"));
    assert!(backstitch::orders::check_schema("shop2").is_ok());
}

#[tokio::test]
async fn the_engine_makes_its_own_schema_and_nothing_else() {
    let db = TestDatabase::unmigrated().await;
    Engine::new(db.pool().clone(), Registry::new()).migrate().await.expect("it is migrated");
    let query = "SELECT nspname::text FROM pg_namespace
        WHERE nspname !~ '^pg_' AND nspname NOT IN ('public', 'information_schema')";
    let schemas: Vec<String> = sqlx::query_scalar(query).fetch_all(db.pool()).await.expect("reads");
    assert_eq!(schemas, ["backstitch"]);
}
