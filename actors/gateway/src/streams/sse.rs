//! A stream as server-sent events (WHATWG HTML, 9.2).

use std::borrow::Borrow;
use std::ops::Range;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};
use panel_kernel::push::Pushed;

use super::feed::{Feed, Told};

/// What a reader waits before they open it again, in milliseconds. It is not the same for all: when a gateway is
/// lost, they should not all come to the next one at the same moment.
const COME_BACK: Range<u64> = 1_000..4_000;
const SIGN_OF_LIFE: &[u8] = b":\n\n";
/// Where events are of the moment: some may have been lost.
const MISSED: &[u8] = b"event: missed\ndata: {}\n\n";

/// What is sent, until it is over.
pub(super) fn pieces(feed: Feed) -> BoxStream<'static, Bytes> {
    let told = stream::unfold(feed, |mut feed| async move {
        let piece = match feed.next().await {
            Told::Event(event) => frames(&[event]),
            Told::Events(events) => frames(&events),
            Told::Missed => Bytes::from_static(MISSED),
            Told::Alive => Bytes::from_static(SIGN_OF_LIFE),
            Told::Over(_) => return None,
        };
        Some((piece, feed))
    });
    stream::iter([greeting()]).chain(told).boxed()
}

fn greeting() -> Bytes {
    let wait = COME_BACK.start + rand::random::<u64>() % (COME_BACK.end - COME_BACK.start);
    format!("retry: {wait}\n\n").into()
}

/// Events as readers get them, one after the other.
fn frames<E: Borrow<Pushed>>(events: &[E]) -> Bytes {
    events.iter().map(|event| frame(event.borrow())).collect::<String>().into()
}

/// JSON has no line breaks.
fn frame(Pushed { id, event, data, .. }: &Pushed) -> String {
    let id = id.map_or_else(String::new, |id| format!("id: {id}\n"));
    format!("{id}event: {event}\ndata: {data}\n\n")
}
