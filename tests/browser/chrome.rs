//! A browser for one test: chromedriver on a free port, a session, and what tests ask of pages.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::Stdio,
    time::{Duration, Instant},
};

use fantoccini::{Client, ClientBuilder, Locator, elements::Element, wd::WebDriverCompatibleCommand};
use reqwest::{Method, Url};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// What chromedriver is called, where the environment does not say.
const DRIVERS: [&str; 2] = ["chromedriver", "/usr/lib/chromium/chromedriver"];

/// A browser; it and its driver end with it.
pub(crate) struct Chrome {
    pub(crate) client: Client,
    origin: String,
    session: String,
    driver_address: String,
    _driver: Child,
}

/// A driver that is killed leaves its browser behind, so it is asked to end it first. Without await, for a test that panics.
impl Drop for Chrome {
    fn drop(&mut self) {
        let address = self.driver_address.trim_start_matches("http://");
        let Ok(mut driver) = TcpStream::connect(address) else { return };
        let request = format!("DELETE {} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n", self.session);
        let _ = driver.set_read_timeout(Some(PATIENCE));
        let _ = driver.write_all(request.as_bytes());
        let _ = driver.read(&mut [0; 64]); // the answer comes when the browser has ended
    }
}

impl Chrome {
    /// A browser that looks at the server of this address. It is 1280 by 900 pixels, and light.
    pub(crate) async fn at(origin: &str) -> Self {
        let (driver, address) = driver().await;
        let capabilities = json!({
            "goog:chromeOptions": {"args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                "--no-first-run", "--disable-extensions", "--disable-background-networking", "--no-proxy-server", "--window-size=1280,900",
            ]},
            "goog:loggingPrefs": {"browser": "ALL"},
        });
        let capabilities = capabilities.as_object().expect("an object").clone();
        let client = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(capabilities)
            .connect(&address)
            .await
            .expect("Chromium starts: scripts/ensure-chromium.sh installs it");
        let session = client.session_id().await.expect("an answer").expect("a session");
        let session = format!("/session/{session}");
        let chrome = Self { client, origin: origin.to_owned(), session, driver_address: address, _driver: driver };
        chrome.size(1280, 900).await;
        chrome.scheme("light").await;
        chrome
    }

    /// Goes to a page of the server.
    pub(crate) async fn open(&self, path: &str) {
        self.client.goto(&format!("{}{path}", self.origin)).await.expect("the page loads");
    }

    /// Path and query of where it is.
    pub(crate) async fn address(&self) -> String {
        let url = self.client.current_url().await.expect("an address");
        url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
    }

    /// The element that a selector finds; waits for it.
    pub(crate) async fn find(&self, selector: &str) -> Element {
        let wait = self.client.wait().at_most(PATIENCE).for_element(Locator::Css(selector)).await;
        match wait {
            Ok(element) => element,
            Err(error) => panic!("{selector} is not on {}: {error}\n{}", self.address().await, self.text("main").await),
        }
    }

    pub(crate) async fn click(&self, selector: &str) {
        self.find(selector).await.click().await.expect("it can be clicked");
    }

    /// Clicks the link or button with these words.
    pub(crate) async fn press(&self, within: &str, words: &str) {
        let script = "const [within, words] = arguments;
            const found = [...document.querySelectorAll(within + ' a, ' + within + ' button')].find((one) => one.textContent.trim() === words && !one.disabled);
            if (!found) return false; found.click(); return true;";
        self.until(&format!("there is {words} in {within}"), async || {
            self.ask(script, vec![within.into(), words.into()]).await == Value::Bool(true)
        })
        .await;
    }

    pub(crate) async fn write(&self, selector: &str, text: &str) {
        self.find(selector).await.send_keys(text).await.expect("it takes keys");
    }

    /// Keys for whatever has the focus.
    pub(crate) async fn keys(&self, keys: &str) {
        self.client
            .active_element()
            .await
            .expect("something has the focus")
            .send_keys(keys)
            .await
            .expect("it takes keys");
    }

    /// What an element says; empty where there is none.
    pub(crate) async fn text(&self, selector: &str) -> String {
        let script = "return document.querySelector(arguments[0])?.innerText ?? ''";
        self.ask(script, vec![selector.into()]).await.as_str().unwrap_or_default().to_owned()
    }

    /// What a script gives.
    pub(crate) async fn ask(&self, script: &str, args: Vec<Value>) -> Value {
        self.client.execute(script, args).await.expect("the script works")
    }

    /// Waits until an element says something.
    pub(crate) async fn until_text(&self, selector: &str, words: &str) {
        self.until(&format!("{selector} says {words:?}"), async || self.text(selector).await.contains(words)).await;
    }

    /// Waits until a fact holds.
    pub(crate) async fn until(&self, what: &str, mut fact: impl AsyncFnMut() -> bool) {
        let until = Instant::now() + PATIENCE;
        while !fact().await {
            let at = self.address().await;
            assert!(Instant::now() < until, "waited in vain until {what}; {at} says:\n{}", self.text("body").await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Sets the size of what is seen.
    pub(crate) async fn size(&self, width: u32, height: u32) {
        let params = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", params).await;
    }

    /// `light` or `dark`.
    pub(crate) async fn scheme(&self, scheme: &str) {
        let params = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", params).await;
    }

    /// Switches scripts off for the pages to come.
    pub(crate) async fn without_scripts(&self) {
        self.devtools("Emulation.setScriptExecutionDisabled", json!({"value": true})).await;
    }

    async fn devtools(&self, cmd: &str, params: Value) {
        self.command("goog/cdp/execute", json!({"cmd": cmd, "params": params})).await;
    }

    /// What the browser has complained of since the last time it was asked: errors of scripts, refused loads, breaches of the policy.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let entries = self.command("se/log", json!({"type": "browser"})).await;
        let entries = entries.as_array().cloned().unwrap_or_default();
        entries
            .iter()
            .filter(|entry| entry["level"] != "INFO" && entry["level"] != "DEBUG")
            .map(Value::to_string)
            .collect()
    }

    async fn command(&self, path: &'static str, body: Value) -> Value {
        self.client.issue_cmd(Extra { path, body: body.to_string() }).await.expect("chromedriver does it")
    }
}

/// A command of chromedriver that the standard does not have.
#[derive(Debug)]
struct Extra {
    path: &'static str,
    body: String,
}

impl WebDriverCompatibleCommand for Extra {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, <Url as std::str::FromStr>::Err> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.clone()))
    }
}

/// Starts chromedriver; gives it with its address.
async fn driver() -> (Child, String) {
    let named = std::env::var("CHROMEDRIVER").ok();
    // The port that it picks may be taken a moment later: then it ends, and is started again.
    for name in named.as_deref().into_iter().chain(DRIVERS).cycle().take(12) {
        let mut command = Command::new(name);
        command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let Ok(mut child) = command.spawn() else { continue };
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return (child, format!("http://127.0.0.1:{}", port.trim_end_matches('.')));
            }
        }
    }
    panic!("chromedriver does not start: scripts/ensure-chromium.sh installs it, CHROMEDRIVER names it");
}
