//! A wire to PostgreSQL that loses an answer when it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::{ConnectOptions, PgPool};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// The wire; it is there as long as the test.
pub(crate) struct Wire {
    /// The database behind it.
    pub(crate) url: String,
    lost: Arc<AtomicBool>,
}

impl Wire {
    /// To the database of a test. Once, where a statement holds these bytes, its answer is lost with the connection.
    pub(crate) async fn losing(pool: &PgPool, marker: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut url: Url = pool.connect_options().to_url_lossy();
        let server = (url.host_str().unwrap().to_owned(), url.port().unwrap_or(5432));
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
        let lost = Arc::new(AtomicBool::new(false));
        let marked = Arc::clone(&lost);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(server.clone()).await.unwrap();
                tokio::spawn(carry(client, server, marker, Arc::clone(&marked)));
            }
        });
        Self {
            url: url.to_string(),
            lost,
        }
    }

    /// Whether an answer was lost.
    pub(crate) fn has_lost(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
    }
}

async fn carry(
    mut client: TcpStream,
    mut server: TcpStream,
    marker: &[u8],
    lost: Arc<AtomicBool>,
) -> std::io::Result<()> {
    let (mut asked, mut said) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let mut losing = false;
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let count = read?;
                if count == 0 {
                    return Ok(());
                }
                let is_marked = asked[..count].windows(marker.len()).any(|bytes| bytes == marker);
                losing |= is_marked && !lost.swap(true, Ordering::SeqCst);
                server.write_all(&asked[..count]).await?;
            }
            read = server.read(&mut said) => {
                let count = read?;
                // It is committed: the server has said so.
                if count == 0 || losing {
                    return Ok(());
                }
                client.write_all(&said[..count]).await?;
            }
        }
    }
}
