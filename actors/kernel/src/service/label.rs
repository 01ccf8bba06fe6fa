//! Notes on each response which route made it, for logs and metrics. A service of its own, because
//! axum's way of writing a layer as a function costs several allocations for every request.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::extract::{MatchedPath, Request};
use axum::response::Response;
use tower::{Layer, Service};

/// The pattern of the route that answered, in a response's extensions.
#[derive(Clone, Debug)]
pub(super) struct Label(pub(super) MatchedPath);

/// Puts it there. To be used where the route is known: with `route_layer`.
#[derive(Clone, Copy, Debug)]
pub(super) struct LabelLayer;

impl<S> Layer<S> for LabelLayer {
    type Service = Labelled<S>;

    fn layer(&self, route: S) -> Labelled<S> {
        Labelled(route)
    }
}

/// A route whose responses carry its pattern.
#[derive(Clone, Debug)]
pub(super) struct Labelled<S>(S);

impl<S: Service<Request, Response = Response>> Service<Request> for Labelled<S> {
    type Response = Response;
    type Error = S::Error;
    type Future = Answering<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Answering<S::Future> {
        let label = request.extensions().get::<MatchedPath>().cloned().map(Label);
        Answering { label, answer: self.0.call(request) }
    }
}

pin_project_lite::pin_project! {
    /// The response, on its way.
    pub(super) struct Answering<F> {
        label: Option<Label>,
        #[pin]
        answer: F,
    }
}

impl<E, F: Future<Output = Result<Response, E>>> Future for Answering<F> {
    type Output = Result<Response, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut answer = ready!(this.answer.poll(cx));
        if let (Ok(response), Some(label)) = (&mut answer, this.label.take()) {
            response.extensions_mut().insert(label);
        }
        Poll::Ready(answer)
    }
}
