//! What went wrong with the API server, in words that say what to do.
use kube::runtime::watcher;

/// Of a watch.
pub fn of_watch(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => of_client(error),
        watcher::Error::WatchError(status) => advice(status.code, error),
        watcher::Error::NoResourceVersion => error.to_string(),
    }
}

/// Of one question.
pub fn of_client(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => advice(status.code, error),
        _ => chain(error),
    }
}

fn advice(status: u16, error: &dyn std::error::Error) -> String {
    match status {
        401 => "unauthorized (401): is the service account's token, or the client certificate, still valid?"
            .to_owned(),
        403 => format!("{error}; the role in install/kubernetes/rbac.yaml allows it"),
        _ => chain(error),
    }
}

/// An error with its causes: of connections the last one says what went wrong.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let says = next.to_string();
        if !text.contains(&says) {
            text = format!("{text}: {says}");
        }
        cause = next.source();
    }
    text
}
