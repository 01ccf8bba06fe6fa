//! How the kernel's own types show in the OpenAPI document.

use utoipa::openapi::schema::{KnownFormat, Object, SchemaFormat, Type};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::ids::Id;
use crate::time::Timestamp;

fn text() -> ObjectBuilder {
    Object::builder().schema_type(Type::String)
}

impl PartialSchema for Id {
    fn schema() -> RefOr<Schema> {
        text().description(Some("opaque, ordered by creation")).build().into()
    }
}

impl ToSchema for Id {}

impl PartialSchema for Timestamp {
    fn schema() -> RefOr<Schema> {
        text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))).build().into()
    }
}

impl ToSchema for Timestamp {}
