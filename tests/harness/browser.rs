//! A real browser: Chromium without a window, driven by ChromeDriver (W3C WebDriver).

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::eventually::eventually;
use crate::http::{Answer, Client, Method};
use crate::process::Process;

/// For a page to become what it should be.
const SHOWS: Duration = Duration::from_secs(15);
/// What stands for an element in WebDriver's JSON.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// Nothing but the site that is tested is talked to.
const ARGUMENTS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=800,900",
];

/// A browser with a profile of its own. Close it at the end of the test.
#[derive(Debug)]
pub struct Browser {
    driver: Client,
    session: String,
    // The driver first: what it has started ends with it.
    process: Process,
    _profile: TempDir,
}

impl Browser {
    /// Starts one.
    ///
    /// # Panics
    /// If there is none on this machine (`tests/scripts/packages.sh` installs it).
    pub async fn start() -> Self {
        let profile = TempDir::with_prefix("panel-browser-").unwrap();
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        // What it keeps beside the profile goes with the profile.
        command.env("HOME", profile.path()).env("TMPDIR", profile.path());
        let mut process = Process::spawn(&mut command, "the browser");
        let said = BufReader::new(process.child().stdout.take().unwrap());
        let port = said.lines().map_while(Result::ok).find_map(|line| {
            let port = line.split_once("successfully on port ")?.1;
            port.trim_end_matches('.').parse::<u16>().ok()
        });
        let port = port.expect("ChromeDriver says where it listens");
        let driver = Client::new(format!("127.0.0.1:{port}"));
        let mut arguments: Vec<String> = ARGUMENTS.map(str::to_owned).into();
        arguments.push(format!("--user-data-dir={}", profile.path().join("profile").display()));
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": {"args": arguments}}}});
        let begun = driver.post("/session").json(&wanted).await.expect(200).json();
        let session = begun["value"]["sessionId"].as_str().unwrap().to_owned();
        Self { driver, session, process, _profile: profile }
    }

    /// Ends it in order, and waits until all of its processes have ended.
    pub async fn close(self) {
        self.tell(Method::DELETE, "", &Value::Null).await;
        eventually("the browser has ended", SHOWS, async || {
            let others = self.process.others();
            if others.is_empty() { Ok(()) } else { Err(others) }
        })
        .await;
    }

    async fn tell(&self, method: Method, what: &str, with: &Value) -> Value {
        self.ask(method, what, with).await.unwrap_or_else(|answer| panic!("{answer:?}"))
    }

    /// The value it answers with, or its refusal.
    async fn ask(&self, method: Method, what: &str, with: &Value) -> Result<Value, Answer> {
        let path = format!("/session/{}{what}", self.session);
        let request = self.driver.request(method, &path);
        let request = if with.is_null() { request } else { request.json(with) };
        let answer = request.await;
        if answer.status == 200 { Ok(answer.json()["value"].clone()) } else { Err(answer) }
    }

    /// Opens a page.
    pub async fn open(&self, url: &str) {
        self.tell(Method::POST, "/url", &json!({ "url": url })).await;
    }

    /// Where it is.
    pub async fn url(&self) -> String {
        let url = self.tell(Method::GET, "/url", &Value::Null).await;
        url.as_str().unwrap().to_owned()
    }

    /// What a script that is a function's body returns, awaited.
    pub async fn run(&self, script: &str) -> Value {
        let script = format!("return (async () => {{ {script} }})();");
        let with = json!({"script": script, "args": []});
        self.tell(Method::POST, "/execute/sync", &with).await
    }

    /// What somebody sees of the page.
    pub async fn text(&self) -> String {
        let text = self.run("return document.body ? document.body.innerText : ''").await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until somebody sees these words.
    pub async fn sees(&self, words: &str) {
        eventually(&format!("{words:?} is to be seen"), SHOWS, async || {
            let text = self.text().await;
            if text.contains(words) { Ok(()) } else { Err(text) }
        })
        .await;
    }

    /// Waits until the page is at this path.
    pub async fn arrives(&self, path: &str) {
        eventually(&format!("it arrives at {path}"), SHOWS, async || {
            let url = self.url().await;
            if url.splitn(4, '/').nth(3) == path.strip_prefix('/') { Ok(()) } else { Err(url) }
        })
        .await;
    }

    /// Does these to the element that is to be seen and that this CSS selector finds, as soon as there is one.
    /// A page may put another in its place at any moment: then with that one, from the beginning.
    async fn does(&self, selector: &str, acts: &[(&str, Value)]) {
        eventually(&format!("{selector} is there"), SHOWS, async || {
            let with = json!({"using": "css selector", "value": selector});
            let found = self.ask(Method::POST, "/elements", &with).await.map_err(Some)?;
            let Some(id) = found[0][ELEMENT].as_str() else { return Err(None) };
            let shown = format!("/element/{id}/displayed");
            if self.ask(Method::GET, &shown, &Value::Null).await.map_err(Some)? != true {
                return Err(None);
            }
            for (act, with) in acts {
                let path = format!("/element/{id}/{act}");
                self.ask(Method::POST, &path, with).await.map_err(Some)?;
            }
            Ok::<_, Option<Answer>>(())
        })
        .await;
    }

    /// Types into a field.
    pub async fn types(&self, selector: &str, text: &str) {
        let acts = [("clear", json!({})), ("value", json!({ "text": text }))];
        self.does(selector, &acts).await;
    }

    /// Clicks on something.
    pub async fn clicks(&self, selector: &str) {
        self.does(selector, &[("click", json!({}))]).await;
    }

    /// Has it tell pages that its owner likes them dark.
    pub async fn likes_dark(&self) {
        let dark = json!({"features": [{"name": "prefers-color-scheme", "value": "dark"}]});
        self.devtools("Emulation.setEmulatedMedia", dark).await;
    }

    /// Makes it as wide as a small telephone.
    pub async fn is_a_telephone(&self) {
        let small = json!({"width": 360, "height": 640, "deviceScaleFactor": 2, "mobile": true});
        self.devtools("Emulation.setDeviceMetricsOverride", small).await;
    }

    /// A command of the Chrome DevTools Protocol.
    async fn devtools(&self, command: &str, with: Value) {
        let command = json!({"cmd": command, "params": with});
        self.tell(Method::POST, "/goog/cdp/execute", &command).await;
    }

    /// Gives it a device that makes passkeys and always finds its owner there (WebAuthn, 11).
    pub async fn has_passkeys(&self) {
        let with = json!({"protocol": "ctap2", "transport": "internal", "hasResidentKey": true,
                          "hasUserVerification": true, "isUserVerified": true});
        self.tell(Method::POST, "/webauthn/authenticator", &with).await;
    }
}
