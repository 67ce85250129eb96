//! What other people's sites get: the widget, one script made of its parts, and a page that shows it at work.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::ServiceConfig;
use switchhook_chassis::http::resource;

/// The widget. Its parts share one scope that nobody else's scripts see; a part knows those before it.
const WIDGET: &str = concat!(
    "(() => {\n'use strict';\nconst STYLE = `",
    include_str!("widget/style.css"),
    "`;\n",
    include_str!("widget/words.js"),
    include_str!("widget/memory.js"),
    include_str!("widget/line.js"),
    include_str!("widget/chat.js"),
    include_str!("widget/view.js"),
    include_str!("widget/start.js"),
    "})();\n"
);
const DEMO: &str = include_str!("demo.html");
/// How long a site's visitors may use a widget that they have.
const WIDGET_CACHE: &str = "public, max-age=600";
/// As strict as a site can be that has a chat: nothing inline, and a WebSocket, whose address may have another port or host.
const DEMO_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                           connect-src 'self' ws: wss:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The addresses, at the root and under the service's prefix.
pub(crate) fn table(api: &mut ServiceConfig) {
    for folder in ["", "/chats"] {
        api.service(resource(&format!("{folder}/widget.js")).get(widget))
            .service(resource(&format!("{folder}/demo")).get(demo));
    }
}

async fn widget() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/javascript; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, WIDGET_CACHE))
        .insert_header((header::CROSS_ORIGIN_RESOURCE_POLICY, "cross-origin"))
        .body(WIDGET)
}

async fn demo() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::CONTENT_SECURITY_POLICY, DEMO_POLICY))
        .body(DEMO)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use switchhook_pages::audit;

    use super::*;

    #[test]
    fn every_part_of_the_widget_is_in_it() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/page/widget");
        let mut parts = 0;
        for part in std::fs::read_dir(folder).unwrap() {
            let path = part.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(WIDGET.contains(&text), "{}", path.display());
            parts += 1;
        }
        assert_eq!(parts, 7);
    }

    #[test]
    fn its_style_ends_where_it_ends() {
        let style = include_str!("widget/style.css");
        assert!(!style.contains(['`', '\\']) && !style.contains("${"));
    }

    #[test]
    fn widget_and_demonstration_load_nothing_from_outside() {
        assert_eq!(
            audit::foreign_in("widget.js", WIDGET.as_bytes()),
            Vec::<String>::new()
        );
        assert_eq!(
            audit::foreign_in("demo.html", DEMO.as_bytes()),
            Vec::<String>::new()
        );
    }
}
