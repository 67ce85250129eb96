//! Lends a service of the running stack to a person who runs it in the foreground.
//!
//! The loan lasts as long as the borrower's connection: while it is open the stack's own process rests, and when it
//! closes, for whatever reason, the stack starts its own again. One JSON line each way, on 127.0.0.1; the token lies in
//! a file that only the stack's owner can read.

use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::instance::Desk;
use crate::stack::{Intent, Replica, Stack};
use crate::{say, secrets};

/// Longest line of either side.
const MAX_LINE_BYTES: u64 = 256 * 1024;

#[derive(Deserialize, Serialize)]
struct Ask {
    token: String,
    service: String,
}

#[derive(Deserialize, Serialize)]
struct Told {
    pid: i32,
}

/// What a borrower gets.
#[derive(Deserialize, Serialize)]
pub struct Lent {
    /// Why not, if not.
    pub refused: Option<String>,
    /// The settings to run the service with.
    pub variables: Vec<(String, String)>,
    /// Where it is expected.
    pub url: String,
}

/// A loan, seen by the borrower.
pub struct Loan {
    /// What was lent.
    pub lent: Lent,
    stream: TcpStream,
}

/// Opens the desk.
///
/// # Errors
/// No port can be bound.
pub async fn open() -> Result<(TcpListener, Desk)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .context("cannot open a port")?;
    let port = listener.local_addr()?.port();
    Ok((
        listener,
        Desk {
            port,
            token: secrets::secret(),
        },
    ))
}

/// Serves borrowers until it is dropped; that breaks off every loan.
pub async fn serve(listener: TcpListener, desk: Desk, stack: Arc<Stack>) {
    let mut loans = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let (token, stack) = (desk.token.clone(), Arc::clone(&stack));
        loans.spawn(async move {
            if let Err(error) = lend(stream, &token, &stack).await {
                say::progress(&format!("a loan ended early: {error:#}"));
            }
        });
        while loans.try_join_next().is_some() {}
    }
}

async fn lend(stream: TcpStream, token: &str, stack: &Stack) -> Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader.take(MAX_LINE_BYTES)).lines();
    let ask: Ask = serde_json::from_str(&lines.next_line().await?.context("nothing was asked")?)?;
    if ask.token != token {
        bail!("the token is wrong");
    }
    let found = stack
        .replicas()
        .iter()
        .find(|replica| replica.service().name == ask.service);
    let refused = |why: String| Lent {
        refused: Some(why),
        variables: Vec::new(),
        url: String::new(),
    };
    let Some(replica) = found else {
        return answer(&mut writer, &refused(format!("the stack has no {}", ask.service))).await;
    };
    if let Intent::Lent(_) = replica.intent().await {
        return answer(&mut writer, &refused(format!("{} is lent already", ask.service))).await;
    }
    replica.stop().await;
    replica.lend(None).await;
    say::progress(&format!(
        "{} now runs in the foreground elsewhere",
        replica.name()
    ));
    let result = attend(&mut lines, &mut writer, replica).await;
    say::progress(&format!("{} is given back", replica.name()));
    replica.start(stack.guard()).await?;
    result
}

async fn attend(
    lines: &mut tokio::io::Lines<impl tokio::io::AsyncBufRead + Unpin>,
    writer: &mut (impl AsyncWriteExt + Unpin),
    replica: &Replica,
) -> Result<()> {
    let lent = Lent {
        refused: None,
        variables: replica.variables().to_vec(),
        url: replica.url().to_owned(),
    };
    answer(writer, &lent).await?;
    while let Some(line) = lines.next_line().await? {
        let told: Told = serde_json::from_str(&line)?;
        replica.lend(Some(told.pid)).await;
    }
    Ok(())
}

async fn answer(writer: &mut (impl AsyncWriteExt + Unpin), lent: &Lent) -> Result<()> {
    let line = serde_json::to_string(lent)? + "\n";
    writer
        .write_all(line.as_bytes())
        .await
        .context("the borrower is gone")
}

impl Loan {
    /// Borrows a service.
    ///
    /// # Errors
    /// The stack does not answer, or refuses.
    pub async fn take(desk: &Desk, service: &str) -> Result<Self> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, desk.port))
            .await
            .context("the stack does not answer")?;
        let ask = Ask {
            token: desk.token.clone(),
            service: service.to_owned(),
        };
        stream
            .write_all((serde_json::to_string(&ask)? + "\n").as_bytes())
            .await?;
        let mut line = String::new();
        BufReader::new((&mut stream).take(MAX_LINE_BYTES))
            .read_line(&mut line)
            .await?;
        let lent: Lent = serde_json::from_str(&line).context("the stack did not lend the service")?;
        if let Some(why) = &lent.refused {
            bail!("{why}");
        }
        Ok(Self { lent, stream })
    }

    /// Tells the stack which process serves now.
    ///
    /// # Errors
    /// The stack is gone.
    pub async fn tell(&mut self, pid: i32) -> Result<()> {
        let line = serde_json::to_string(&Told { pid })? + "\n";
        self.stream
            .write_all(line.as_bytes())
            .await
            .context("the stack is gone")
    }
}
