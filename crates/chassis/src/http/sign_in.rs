//! The cookie of users: set from a token by `POST sign-in` (development only), cleared by `POST sign-out`.

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use chrono::{DateTime, Utc};
use serde_json::json;
use switchhook_core::fields::{Fields, FromFields};
use switchhook_core::lenient;
use switchhook_core::problem::Problem;

use super::auth::{COOKIE, refuse_cross_site};
use super::{Failure, Json, address};
use crate::kit::Kit;

const TOKEN_MAX_CHARS: usize = 8 * 1024;

/// `{"token": "…"}`.
#[derive(Debug)]
pub(super) struct SignIn {
    token: String,
}

impl FromFields for SignIn {
    fn from_fields(mut fields: Fields) -> Result<Self, Problem> {
        let token = fields.required("token", |value| lenient::text(value, 1, TOKEN_MAX_CHARS));
        fields.finish()?;
        Ok(Self {
            token: token.unwrap_or_default(),
        })
    }
}

/// `POST sign-in`: verifies the token and makes it the cookie. Not there unless `DEV_SIGN_IN` is on.
pub(super) async fn sign_in(
    request: HttpRequest,
    kit: Data<Kit>,
    body: Result<Json<SignIn>, Failure>,
) -> Result<HttpResponse, Failure> {
    if !kit.settings.dev_sign_in {
        return Err(Problem::not_found("There is nothing at this address").into());
    }
    refuse_cross_site(&request, kit.settings.public_url.as_ref())?;
    let Json(body) = body?;
    let user = kit.auth.user(&body.token, &kit).await?;
    let cookie = set(&request, &kit, &body.token, user.expires_at);
    let answer = json!({"success": true, "user": {"id": user.id, "email": user.email, "roles": user.roles}});
    Ok(HttpResponse::Ok()
        .insert_header((header::SET_COOKIE, cookie))
        .json(answer))
}

/// `POST sign-out`: clears the cookie.
pub(super) async fn sign_out(request: HttpRequest, kit: Data<Kit>) -> Result<HttpResponse, Failure> {
    refuse_cross_site(&request, kit.settings.public_url.as_ref())?;
    let cookie = written(&request, &kit, "", 0);
    Ok(HttpResponse::Ok()
        .insert_header((header::SET_COOKIE, cookie))
        .json(json!({"success": true})))
}

fn set(request: &HttpRequest, kit: &Kit, token: &str, expires_at: DateTime<Utc>) -> String {
    let left_s = (expires_at - kit.clock.now()).num_seconds().max(1);
    written(request, kit, token, left_s)
}

fn written(request: &HttpRequest, kit: &Kit, value: &str, max_age_s: i64) -> String {
    let secure = if address::is_secure(request.head(), &kit.settings) {
        "; Secure"
    } else {
        ""
    };
    format!("{COOKIE}={value}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Lax{secure}")
}
