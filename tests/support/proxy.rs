//! A proxy between Postgres and its clients, with which a test breaks the network: it cuts connections, delays
//! what they carry, closes one half of them, or freezes them, which keeps them open and relays nothing.
//!
//! `Proxy::before(db.url()).await`, and connect to its `url()`. A freeze or delay is for the connections of that moment, or for
//! later ones as well. It runs on a thread of its own, so that a test that blocks does not stop it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
};

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    ToServer,
    ToClient,
}

/// What a connection does with bytes that go one way.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct OneWay {
    frozen: bool,
    delay: Duration,
    closed: bool,
}

/// How a connection is treated, either way. The default is as if there were no proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Treatment {
    ways: [OneWay; 2],
    cut: bool,
}

#[derive(Default)]
struct State {
    open: Vec<watch::Sender<Treatment>>,
    /// How new connections are treated.
    new: Treatment,
    refuses: bool,
    /// Where they lead.
    server: PgConnectOptions,
}

/// A running proxy; it ends, and its connections with it, when this is dropped.
pub struct Proxy {
    state: Arc<Mutex<State>>,
    url: String,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Proxy {
    /// In front of the server that this URL leads to.
    pub async fn before(url: &str) -> Self {
        let server: PgConnectOptions = url.parse().expect("the URL is one");
        let state = State { server: server.clone(), ..State::default() };
        let (state, address) = (Arc::new(Mutex::new(state)), Arc::new(Mutex::new(None)));
        let (ready, bound) = tokio::sync::oneshot::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        *address.lock().expect("nobody else has it") = Some(ready);
        let shared = state.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime can be built").block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                let ready = address.lock().unwrap_or_else(PoisonError::into_inner).take().expect("it is there");
                let _ = ready.send(listener.local_addr().expect("an address"));
                tokio::select! {
                    () = accept(listener, shared) => {}
                    _ = stopped => {}
                }
            });
        });
        let address: SocketAddr = bound.await.expect("the proxy starts");
        let url = through(&server, address);
        Self { state, url, stop: Some(stop), thread: Some(thread) }
    }

    /// The same database and user, through the proxy.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        let mut state = self.lock();
        state.open.retain(|one| !one.is_closed());
        state.open.len()
    }

    /// Ends all connections of this moment, on both sides, with whatever is under way.
    pub fn cut(&self) {
        self.treat_open(|treatment| treatment.cut = true);
    }

    /// Keeps all connections of this moment open and relays nothing more; new ones work.
    pub fn freeze(&self) {
        self.freeze_way(Way::ToServer);
        self.freeze_way(Way::ToClient);
    }

    /// The same for one way: frozen to the client, statements are carried out and their answers don't come.
    pub fn freeze_way(&self, way: Way) {
        self.treat_open(|treatment| treatment.ways[way as usize].frozen = true);
    }

    /// The same for all connections, those that are still to come among them.
    pub fn freeze_all(&self) {
        let frozen = |treatment: &mut Treatment| treatment.ways.iter_mut().for_each(|way| way.frozen = true);
        frozen(&mut self.lock().new);
        self.treat_open(frozen);
    }

    /// Delays everything from now on, by so much each way and each piece.
    pub fn delay(&self, by: Duration) {
        let late = |treatment: &mut Treatment| treatment.ways.iter_mut().for_each(|way| way.delay = by);
        late(&mut self.lock().new);
        self.treat_open(late);
    }

    /// Closes one half of all connections of this moment: that way only the end still comes.
    pub fn half_close(&self, way: Way) {
        self.treat_open(|treatment| treatment.ways[way as usize].closed = true);
    }

    /// Turns new connections away, or takes them again.
    pub fn refuse(&self, refuses: bool) {
        self.lock().refuses = refuses;
    }

    /// Leads new connections to another server, on which database and user have the same names.
    pub fn lead_to(&self, url: &str) {
        self.lock().server = url.parse().expect("the URL is one");
    }

    /// Is as if it were not there again. What was held back arrives; what was cut or closed stays so.
    pub fn heal(&self) {
        let healed = |treatment: &mut Treatment| {
            treatment.ways.iter_mut().for_each(|way| *way = OneWay { closed: way.closed, ..OneWay::default() });
        };
        {
            let mut state = self.lock();
            healed(&mut state.new);
            state.refuses = false;
        }
        self.treat_open(healed);
    }

    fn treat_open(&self, change: impl Fn(&mut Treatment)) {
        self.lock().open.iter().for_each(|one| one.send_modify(&change));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A URL like the server's that leads here instead. Without TLS, which a test server has not got either.
fn through(server: &PgConnectOptions, address: SocketAddr) -> String {
    let mut options = PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(address.port())
        .username(server.get_username())
        .ssl_mode(PgSslMode::Disable);
    if let Some(database) = server.get_database() {
        options = options.database(database);
    }
    let mut url = options.to_url_lossy();
    // The options don't give their password away, but their URL does.
    url.set_password(server.to_url_lossy().password()).expect("the URL has a host");
    url.to_string()
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        let (server, treatment) = {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.refuses {
                continue;
            }
            let (sender, treatment) = watch::channel(state.new);
            state.open.retain(|one| !one.is_closed());
            state.open.push(sender);
            (state.server.clone(), treatment)
        };
        let _ = client.set_nodelay(true);
        tokio::spawn(connect(client, server, treatment));
    }
}

async fn connect(client: TcpStream, server: PgConnectOptions, treatment: watch::Receiver<Treatment>) {
    let (host, port) = (server.get_host(), server.get_port());
    let directory = server.get_socket().map(|path| path.to_path_buf());
    let directory = directory.or_else(|| host.starts_with('/').then(|| host.into()));
    if let Some(directory) = directory {
        let Ok(server) = UnixStream::connect(directory.join(format!(".s.PGSQL.{port}"))).await else { return };
        relay_both(client.into_split(), server.into_split(), treatment).await;
    } else {
        let Ok(server) = TcpStream::connect((host, port)).await else { return };
        let _ = server.set_nodelay(true);
        relay_both(client.into_split(), server.into_split(), treatment).await;
    }
}

/// Until both ways have ended, or the connection is cut.
async fn relay_both<C: AsyncRead + Unpin, D: AsyncWrite + Unpin, S: AsyncRead + Unpin, T: AsyncWrite + Unpin>(
    (from_client, to_client): (C, D),
    (from_server, to_server): (S, T),
    treatment: watch::Receiver<Treatment>,
) {
    let mut cut = treatment.clone();
    let both = async {
        tokio::join!(
            relay(from_client, to_server, Way::ToServer, treatment.clone()),
            relay(from_server, to_client, Way::ToClient, treatment),
        );
    };
    tokio::select! {
        () = both => {}
        _ = cut.wait_for(|now| now.cut) => {}
    }
}

async fn relay(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    way: Way,
    mut treatment: watch::Receiver<Treatment>,
) {
    let (mut bytes, mut closing) = (vec![0; 16 * 1024], treatment.clone());
    loop {
        let read = tokio::select! {
            read = from.read(&mut bytes) => read.unwrap_or(0),
            _ = closing.wait_for(|now| now.ways[way as usize].closed) => 0,
        };
        // Held back here, the end as well: a frozen connection stays open.
        let Ok(now) = treatment.wait_for(|now| !now.ways[way as usize].frozen).await.map(|now| now.ways[way as usize])
        else {
            return;
        };
        if !now.delay.is_zero() {
            tokio::time::sleep(now.delay).await;
        }
        if read == 0 || to.write_all(&bytes[..read]).await.is_err() {
            let _ = to.shutdown().await;
            return;
        }
    }
}
