//! One address of the API: its methods, what other methods get, and the wall that keeps a panic from the caller.

use std::panic::AssertUnwindSafe;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{AppService, HttpServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::{Next, from_fn};
use actix_web::{Error, FromRequest, Handler, HttpResponse, Resource, Responder, ResponseError, guard, web};
use futures_util::FutureExt;
use switchhook_core::problem::Problem;

use super::Failure;
use super::body::BodyLimit;

/// An address, such as `/api/ai-session/{id}`. Add methods, then give it to `ServiceConfig::service`.
pub fn resource(path: &str) -> Endpoint {
    Endpoint {
        resource: web::resource(path),
        methods: Vec::new(),
    }
}

/// The methods of one address.
pub struct Endpoint {
    resource: Resource,
    methods: Vec<&'static str>,
}

impl Endpoint {
    /// Answers GET, and HEAD with the same headers.
    pub fn get<F, Args>(mut self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.methods.extend(["GET", "HEAD"]);
        let route = web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
        self.resource = self.resource.route(route.to(handler));
        self
    }

    /// Answers POST.
    pub fn post<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on("POST", Method::POST, handler)
    }

    /// Answers DELETE.
    pub fn delete<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on("DELETE", Method::DELETE, handler)
    }

    /// Takes bodies up to this size in the place of `MAX_BODY_BYTES`.
    #[must_use]
    pub fn max_body(mut self, limit_bytes: usize) -> Self {
        self.resource = self.resource.app_data(BodyLimit(limit_bytes));
        self
    }

    fn on<F, Args>(mut self, name: &'static str, method: Method, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.methods.push(name);
        self.resource = self.resource.route(web::method(method).to(handler));
        self
    }
}

impl HttpServiceFactory for Endpoint {
    fn register(self, config: &mut AppService) {
        let allow = self.methods.join(", ");
        let refuse = move || {
            let refused = Failure(Problem::method_not_allowed(allow.clone()));
            async move { Err::<HttpResponse, _>(refused) }
        };
        self.resource
            .default_service(web::to(refuse))
            .wrap(from_fn(contain_panic))
            .register(config);
    }
}

/// A panic in a handler or extractor is a defect of that request alone: a 500, logged by the panic hook.
async fn contain_panic(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let head = request.request().clone();
    match AssertUnwindSafe(next.call(request)).catch_unwind().await {
        Ok(outcome) => outcome.map(ServiceResponse::map_into_boxed_body),
        Err(_panic) => Ok(ServiceResponse::new(
            head,
            Failure(Problem::internal()).error_response(),
        )),
    }
}
