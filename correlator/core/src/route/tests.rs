//! What becomes of paths.
use super::{
    Learned, OTHER_ROUTE, RouteConfig, Routes, Server, Template, TemplateError, segment::is_variable,
};

fn routes(templates: &[&str], learn: bool) -> Routes {
    let templates = templates.iter().map(|text| Template::parse(text).unwrap()).collect();
    let mut routes = Routes::default();
    routes.configure(&RouteConfig { templates, learn }, 100);
    routes
}

fn route(routes: &mut Routes, target: &str) -> String {
    let route = routes.route(Server::Pod(1), target, true);
    route.map_or_else(|| "-".to_owned(), |route| route.to_string())
}

#[test]
fn what_says_which_and_what_says_what() {
    for word in
        ["orders", "v1", "api", "http2", "index.html", "sign-in", "oauth2", "Deadbeef", "app.js", "", "s3"]
    {
        assert!(!is_variable(word), "{word}");
    }
    for which in [
        "17",
        "-3",
        "2026-11-26",
        "1.5",
        "deadbeef1",
        "550e8400-e29b-41d4-a716-446655440000",
        "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "a%20b",
        "caf\u{e9}",
        "user12345",
        "V1StGXR8_Z5jdHi6B-myT",
        "one,two",
        "a\u{7}",
    ] {
        assert!(is_variable(which), "{which}");
    }
    assert!(is_variable(&"a".repeat(100)));
}

#[test]
fn an_operators_routes_come_first() {
    let mut routes = routes(&["/{a}/{b}", "/orders/{id}", "/static/{file...}", "/orders/new"], true);
    for (target, expected) in [
        ("/orders/17?x=/y", "/orders/{id}"),
        ("/orders/new", "/orders/new"),
        ("/other/thing", "/{a}/{b}"),
        ("/static/a/b/c.css", "/static/{file...}"),
        ("/static/", "/static/{file...}"),
        ("http://shop/orders/17", "/orders/{id}"),
        ("/orders/17/lines/3", "/orders/{id}/lines/{id}"),
        ("/orders/", "/orders/"),
        ("/", "/"),
        ("*", "-"),
        ("shop:443", "-"),
        ("http://shop", "-"),
        ("", "-"),
    ] {
        assert_eq!(route(&mut routes, target), expected, "{target}");
    }
}

#[test]
fn without_learning_only_templates_are_routes() {
    let mut routes = routes(&["/orders/{id}"], false);
    assert_eq!(route(&mut routes, "/orders/1"), "/orders/{id}");
    assert_eq!(route(&mut routes, "/carts/1"), "-");
}

#[test]
fn what_is_no_template_says_why() {
    for (text, error) in [
        ("orders", TemplateError::NoSlash("orders".into())),
        ("/a/x{id}", TemplateError::Braces("/a/x{id}".into(), "x{id}".into())),
        ("/a/{}", TemplateError::Braces("/a/{}".into(), "{}".into())),
        ("/a/{b", TemplateError::Braces("/a/{b".into(), "{b".into())),
        ("/a/{b...}/c", TemplateError::BehindRest("/a/{b...}/c".into(), "{b...}".into())),
    ] {
        assert_eq!(Template::parse(text), Err(error), "{text}");
    }
}

#[test]
fn names_that_vary_become_one_route_and_those_asked_for_stay() {
    let mut routes = routes(&[], true);
    let word = |number: usize| -> String {
        let letter = |digit: usize| char::from(b'a' + u8::try_from(digit % 26).unwrap());
        [letter(number), letter(number / 26), letter(number / 676)].iter().collect()
    };
    for number in 0..2000 {
        assert_eq!(route(&mut routes, "/users/search"), "/users/search");
        route(&mut routes, &format!("/users/{}/orders", word(number)));
        route(&mut routes, "/health");
    }
    assert_eq!(route(&mut routes, "/users/zzz/orders"), "/users/{id}/orders");
    assert_eq!(route(&mut routes, "/users/aaa/orders"), "/users/{id}/orders", "also those that came first");
    assert_eq!(route(&mut routes, "/users/search"), "/users/search");
    assert_eq!(route(&mut routes, "/health"), "/health");
}

#[test]
fn what_the_server_did_not_find_teaches_nothing() {
    let mut routes = routes(&[], true);
    route(&mut routes, "/orders/1");
    for number in 0..1000 {
        let target = format!("/wp-{}/login", char::from(b'a' + (number % 26) as u8));
        assert_eq!(routes.route(Server::Pod(1), &target, false), None);
    }
    assert_eq!(routes.route(Server::Pod(1), "/orders/2", false).as_deref(), Some("/orders/{id}"));
    assert_eq!(routes.servers[&Server::Pod(1)].places(), 3, "the root, /orders, /orders/{{id}}");
}

#[test]
fn a_tree_is_bounded_whatever_is_asked_for() {
    let mut learned = Learned::default();
    let mut seen = std::collections::BTreeSet::new();
    let mut other = 0;
    let letters = |mut number: u32| -> String {
        let mut word = String::new();
        while number > 0 {
            word.push(char::from(b'a' + (number % 26) as u8));
            number /= 26;
        }
        word
    };
    for number in 0..100_000_u32 {
        let hash = number.wrapping_mul(2_654_435_761);
        let path =
            format!("/{}/{}/{}", letters(hash % 40), letters(hash / 40 % 40), letters(hash / 1600 % 40));
        let route = learned.route(&path, true).unwrap();
        other += u32::from(&*route == OTHER_ROUTE);
        seen.insert(route);
    }
    assert!(learned.places() <= 1024 && seen.len() <= 1024, "{} {}", learned.places(), seen.len());
    assert!(other > 0);
    let deep = Learned::default().route(&"/a".repeat(1000), true);
    assert_eq!(deep.unwrap().matches('/').count(), 13);
}

#[test]
fn servers_beyond_the_limit_share_what_is_learned() {
    let mut routes = routes(&[], true);
    routes.configure(&RouteConfig { templates: Vec::new(), learn: true }, 2);
    for netns in 1..10 {
        assert_eq!(routes.route(Server::Pod(netns), "/a/7", true).as_deref(), Some("/a/{id}"));
    }
    assert_eq!((routes.servers.len(), routes.shared.places()), (2, 3));
    routes.forget(1);
    routes.route(Server::Pod(9), "/b", true);
    assert!(routes.servers.contains_key(&Server::Pod(9)));
}
