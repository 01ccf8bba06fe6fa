//! The elements of a file of WordPress, one at a time.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use crate::transfer::TransferError;

/// The longest element of the channel, with all that is in it, in bytes.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// What is remembered beside a text: so many bytes for each element.
const OVERHEAD: usize = 64;

/// The elements of a file, by their names.
#[derive(Debug)]
pub(super) struct Items {
    reader: Reader<BufReader<File>>,
    buffer: Vec<u8>,
    /// What the element that is read has in it so far, in bytes.
    taken: usize,
}

/// An element that stands in the channel: an article, somebody, a category.
#[derive(Debug, Default)]
pub(super) struct Item {
    pub(super) name: String,
    /// Its own text, where it has no elements.
    pub(super) text: String,
    fields: HashMap<String, String>,
    /// Categories and tags: which kind, slug and name.
    pub(super) terms: Vec<(String, String, String)>,
    pub(super) meta: HashMap<String, String>,
    pub(super) comments: u64,
}

impl Item {
    pub(super) fn get(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", |text| text.trim())
    }
}

impl Items {
    pub(super) fn open(file: File) -> Self {
        let mut reader = Reader::from_reader(BufReader::new(file));
        reader.config_mut().check_end_names = true;
        Self { reader, buffer: Vec::new(), taken: 0 }
    }

    fn wrong(&self, reason: impl std::fmt::Display) -> TransferError {
        let place = format!("byte {}", self.reader.buffer_position());
        TransferError::Refused { place, reason: reason.to_string() }
    }

    fn event(&mut self) -> Result<Event<'static>, TransferError> {
        self.buffer.clear();
        self.taken = self.taken.saturating_add(OVERHEAD);
        match self.reader.read_event_into(&mut self.buffer) {
            Ok(event) => Ok(event.into_owned()),
            Err(error) => Err(self.wrong(error)),
        }
    }

    /// The next element of the channel.
    pub(super) fn next(&mut self) -> Result<Option<Item>, TransferError> {
        loop {
            self.taken = 0;
            match self.event()? {
                Event::Start(start) => {
                    let name = name_of(&start);
                    if !matches!(name.as_str(), "rss" | "channel") {
                        return self.item(name).map(Some);
                    }
                }
                Event::Eof => return Ok(None),
                _ => {}
            }
        }
    }

    /// An element whose beginning was read.
    fn item(&mut self, name: String) -> Result<Item, TransferError> {
        let mut item = Item { name, ..Item::default() };
        loop {
            match self.event()? {
                Event::Start(start) => {
                    let name = name_of(&start);
                    match name.as_str() {
                        "category" => {
                            let [domain, nicename] =
                                ["domain", "nicename"].map(|name| attribute(&start, name));
                            let text = self.text(&name)?;
                            item.terms.push((domain, nicename, text));
                        }
                        "wp:postmeta" => {
                            let (key, value) = self.meta()?;
                            item.meta.insert(key, value);
                        }
                        "wp:comment" => {
                            self.text(&name)?;
                            item.comments += 1;
                        }
                        _ => {
                            let text = self.text(&name)?;
                            item.fields.insert(name, text);
                        }
                    }
                }
                Event::End(_) => return Ok(item),
                Event::Eof => return Err(self.wrong("the file ends within an element")),
                other => self.append(&mut item.text, &other)?,
            }
        }
    }

    /// What a plugin, or WordPress itself, has noted: under which name, and what.
    fn meta(&mut self) -> Result<(String, String), TransferError> {
        let (mut key, mut value) = (String::new(), String::new());
        loop {
            match self.event()? {
                Event::Start(start) => {
                    let name = name_of(&start);
                    let text = self.text(&name)?;
                    match name.as_str() {
                        "wp:meta_key" => text.trim().clone_into(&mut key),
                        "wp:meta_value" => text.trim().clone_into(&mut value),
                        _ => {}
                    }
                }
                Event::End(_) => return Ok((key, value)),
                Event::Eof => return Err(self.wrong("the file ends within an element")),
                _ => {}
            }
        }
    }

    /// The text of an element whose beginning was read, with that of whatever is in it.
    fn text(&mut self, name: &str) -> Result<String, TransferError> {
        let (mut text, mut depth) = (String::new(), 1_usize);
        while depth > 0 {
            match self.event()? {
                Event::Start(_) => depth += 1,
                Event::End(_) => depth -= 1,
                Event::Eof => {
                    return Err(self.wrong(format!("the file ends within <{name}>")));
                }
                other => self.append(&mut text, &other)?,
            }
        }
        Ok(text)
    }

    fn append(&mut self, text: &mut String, event: &Event<'_>) -> Result<(), TransferError> {
        let before = text.len();
        match event {
            Event::Text(piece) => {
                let piece = piece.decode().map_err(|error| self.wrong(error))?;
                text.push_str(&piece);
            }
            Event::CData(piece) => {
                let piece = piece.decode().map_err(|error| self.wrong(error))?;
                text.push_str(&piece);
            }
            Event::GeneralRef(reference) => {
                let code = reference.resolve_char_ref().map_err(|error| self.wrong(error))?;
                if let Some(c) = code {
                    text.push(c);
                } else {
                    let name = reference.decode().map_err(|error| self.wrong(error))?;
                    // What a document defines for itself is not looked up.
                    text.push_str(resolve_predefined_entity(&name).unwrap_or_default());
                }
            }
            _ => {}
        }
        self.taken = self.taken.saturating_add(text.len() - before);
        if self.taken > MOST_BYTES {
            return Err(self.wrong(format!("an element is longer than {MOST_BYTES} bytes")));
        }
        Ok(())
    }
}

fn name_of(start: &BytesStart<'_>) -> String {
    String::from_utf8_lossy(start.name().as_ref()).into_owned()
}

fn attribute(start: &BytesStart<'_>, name: &str) -> String {
    let found = start.try_get_attribute(name).ok().flatten();
    let value = found.and_then(|found| {
        found.normalized_value(XmlVersion::Implicit1_0).ok().map(Cow::into_owned)
    });
    value.unwrap_or_default()
}

impl Items {
    /// How much of the file was read, in bytes.
    pub(super) fn position(&self) -> u64 {
        self.reader.buffer_position()
    }
}
