//! The service's own sockets without the service: sends back whatever comes. `make autobahn` talks to it.
//!
//! `echo 127.0.0.1:9001`

use std::io::Error;

use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let address = std::env::args()
        .nth(1)
        .ok_or_else(|| Error::other("which address? echo 127.0.0.1:9001"))?;
    chat_ws_svc::ws::echo::serve(TcpListener::bind(address).await?).await;
    Ok(())
}
