//! A database that can't hold every letter is refused before anything is made in it.

use backstitch::embedded::Embedded;
use sqlx::{Connection, PgConnection};

use crate::support::process;

#[tokio::test]
async fn a_latin1_database_is_refused() {
    let server = Embedded::temporary().await.expect("the server starts");
    let mut admin = PgConnection::connect(&server.url()).await.expect("it takes connections");
    let create = "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0";
    sqlx::query(create).execute(&mut admin).await.expect("it is made");
    let url = server.url_of("latin");
    let output = process::backstitch(&url).arg("migrate").output().await.expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("LATIN1") && said.contains("UTF8"), "it says what is there, and what is needed: {said}");
    let mut latin = PgConnection::connect(&url).await.expect("it takes connections");
    let made = "SELECT count(*) FROM pg_namespace WHERE nspname IN ('backstitch', 'shop')";
    let made: i64 = sqlx::query_scalar(made).fetch_one(&mut latin).await.expect("reads");
    assert_eq!(made, 0, "it has made something");
    drop((admin, latin));
    server.stop().await;
}
