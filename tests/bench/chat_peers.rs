//! What the chat's figures stand next to: a Node server of the same protocol, and a bare echo of the same library.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// The word that turns this program into the bare echo.
pub(crate) const BARE_ECHO: &str = "bare-echo";
/// Longest that a peer may take to start, and a handshake to be answered.
const PATIENCE: Duration = Duration::from_secs(60);
/// The same buffers that the service gives its connections.
const BUFFER_BYTES: usize = 512;

/// Buffers as small as they can be.
fn small() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(0)
}

/// A process that serves WebSockets; killed when dropped.
pub(crate) struct Peer {
    child: Child,
    /// `host:port` of its WebSockets.
    pub(crate) sockets: String,
    /// Its HTTP API, where it has one.
    pub(crate) url: String,
}

impl Peer {
    /// The Node server, on a database and with a bot.
    pub(crate) async fn node(database: &str, bot: &str) -> Result<Self> {
        let folder = e2e::workspace_root().join("tests/bench/peers/chat");
        if !folder.join("node_modules").is_dir() {
            let mut install = Command::new("npm");
            install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
            let done = install.current_dir(&folder).stdout(Stdio::null()).status().await;
            ensure!(
                done.context("npm is needed for the peer")?.success(),
                "npm ci failed"
            );
        }
        let mut command = Command::new("node");
        command
            .arg(folder.join("server.js"))
            .env("NODE_ENV", "production");
        command.env("DATABASE_URL", database).env("N8N_WEBHOOK_URL", bot);
        Self::start(command).await
    }

    /// This program as an echo.
    pub(crate) async fn bare_echo() -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(BARE_ECHO);
        Self::start(command).await
    }

    async fn start(mut command: Command) -> Result<Self> {
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let output = child.stdout.take().context("its output is read")?;
        let mut lines = BufReader::new(output).lines();
        let line = tokio::time::timeout(PATIENCE, lines.next_line())
            .await??
            .context("it says where it listens")?;
        let mut words = line.split_whitespace().skip(1);
        let mut port = || words.next().unwrap_or("0").to_owned();
        let (sockets, url) = (
            format!("127.0.0.1:{}", port()),
            format!("http://127.0.0.1:{}", port()),
        );
        Ok(Self { child, sockets, url })
    }

    pub(crate) fn pid(&self) -> Result<i32> {
        Ok(i32::try_from(self.child.id().context("it runs")?)?)
    }
}

/// Serves the bare echo until it is killed.
#[allow(clippy::print_stdout, reason = "says where it listens")]
pub(crate) async fn bare_echo() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening {}", listener.local_addr()?.port());
    loop {
        let (tcp, _) = listener.accept().await?;
        tokio::spawn(async move {
            let mut socket =
                Box::pin(tokio_tungstenite::accept_async_with_config(tcp, Some(small()))).await?;
            while let Some(message) = socket.next().await.transpose()? {
                if message.is_text() || message.is_binary() {
                    socket.send(message).await?;
                }
            }
            anyhow::Ok(())
        });
    }
}

/// A client's WebSocket.
pub(crate) type Socket = WebSocketStream<TcpStream>;

/// Connects to any of them.
pub(crate) async fn connect(sockets: &str) -> Result<Socket> {
    let tcp = TcpStream::connect(sockets).await?;
    tcp.set_nodelay(true)?;
    let request = format!("ws://{sockets}/ws").into_client_request()?;
    let shaken = tokio_tungstenite::client_async_with_config(request, tcp, Some(small()));
    Ok(tokio::time::timeout(PATIENCE, shaken).await??.0)
}

/// The next text; pings are answered on the way.
pub(crate) async fn next_text(socket: &mut Socket) -> Result<String> {
    loop {
        match socket.next().await.context("the connection is open")?? {
            Message::Text(text) => return Ok(text.as_str().to_owned()),
            Message::Close(close) => anyhow::bail!("closed: {close:?}"),
            _ => {}
        }
    }
}
