//! A body that nobody read to its end, ends its connection.
//!
//! The server below reads on through a body without an announced length once its reader is gone, without a bound: whoever
//! sends it slowly, or never, keeps his connection for ever. While the reader is still there when the answer has gone out,
//! the connection is closed instead, within the time for leaving. So the answer holds on to the reader.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::HttpMessage;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest};
use actix_web::error::PayloadError;
use bytes::Bytes;
use futures_util::Stream;

/// The reader of a body. Cheap to clone.
#[derive(Clone)]
pub(super) struct Unread(Rc<RefCell<Payload>>);

impl Unread {
    /// Takes part in the reading of a body without an announced length; of other requests there is nothing to hold on to.
    pub(super) fn of(request: &mut ServiceRequest) -> Option<Self> {
        if !HttpMessage::chunked(request).unwrap_or(false) {
            return None;
        }
        let shared = Self(Rc::new(RefCell::new(request.take_payload())));
        request.set_payload(Payload::Stream {
            payload: Box::pin(shared.clone()),
        });
        Some(shared)
    }
}

impl Stream for Unread {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_next(context)
    }
}

/// An answer that holds on to the reader of its request.
struct Holding {
    answer: BoxBody,
    _reader: Unread,
}

impl Unread {
    /// The answer, which lets go of the reader when it has been sent.
    pub(super) fn held_by(self, answer: BoxBody) -> BoxBody {
        BoxBody::new(Holding {
            answer,
            _reader: self,
        })
    }
}

impl MessageBody for Holding {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.answer.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.answer).poll_next(context)
    }
}
