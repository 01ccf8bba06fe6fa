//! `/api/v2/cms/menus`: what leads where, on pages of this site and of others that are made of what is here.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};
use panel_kernel::data::{Answer, Tx};
use panel_kernel::http::validate::Check;
use panel_kernel::http::{
    CacheFor, Caller, IfMatch, Payload, Refusal, RouteError, Segments, SignedIn, etag,
};
use panel_kernel::ids::Id;
use panel_kernel::problem::Problem;
use panel_kernel::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::Shared;
use crate::rules::fields::MAX_MENU_ITEMS;
use crate::rules::{Viewer, fields};
use crate::store::articles;
use crate::store::menus::{self, Item, Menu, Placed, Target};
use crate::tags;

const ROUTE: &str = "/api/v2/cms/menus";
/// The most menus there are.
const MOST: i64 = 20;

/// What is to be in a menu from now on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewMenu {
    /// At most 50, those below others among them.
    items: Vec<NewMenuItem>,
}

/// An item, which leads to an address or to an article.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewMenuItem {
    /// 1 to 80 characters.
    label: String,
    /// A path on this site, or the address of something elsewhere.
    url: Option<String>,
    /// The id of a post or a page, whichever slug it has; it is shown while that is published.
    article: Option<Id>,
    /// What is below it.
    #[serde(default)]
    children: Vec<NewMenuChild>,
}

/// An item below another.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewMenuChild {
    /// 1 to 80 characters.
    label: String,
    /// A path on this site, or the address of something elsewhere.
    url: Option<String>,
    /// The id of a post or a page, whichever slug it has; it is shown while that is published.
    article: Option<Id>,
}

/// A menu with what is in it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MenuView {
    name: String,
    items: Vec<MenuItem>,
    updated_at: Timestamp,
    version: i64,
}

/// An item.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MenuItem {
    #[serde(flatten)]
    link: MenuLink,
    /// What is below it.
    children: Vec<MenuLink>,
}

/// What it is called, and where it leads.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MenuLink {
    label: String,
    /// Null where it leads to an article that not everybody reads, which moderators alone see.
    url: Option<String>,
    /// The article to which it leads, if it leads to one.
    article: Option<Id>,
}

impl From<Placed> for MenuLink {
    fn from(placed: Placed) -> Self {
        let article = match placed.item.target {
            Target::Article(article) => Some(article),
            Target::Address(_) => None,
        };
        Self { label: placed.item.label, url: placed.leads_to, article }
    }
}

impl MenuView {
    /// As this person sees it: what leads nowhere for them is not there, nor what is below it.
    fn new(menu: Menu, items: Vec<Placed>, viewer: Viewer) -> Self {
        let items = tree(items, viewer.edits());
        let Menu { name, updated_at, version } = menu;
        let items = items.into_iter().map(|(item, below)| MenuItem {
            link: item.into(),
            children: below.into_iter().map(MenuLink::from).collect(),
        });
        Self { name, items: items.collect(), updated_at, version }
    }
}

/// Items with what is below them; unless all are wanted, those that lead somewhere.
pub(crate) fn tree(items: Vec<Placed>, all: bool) -> Vec<(Placed, Vec<Placed>)> {
    let mut tree: Vec<(Placed, Vec<Placed>)> = Vec::new();
    for placed in items {
        match tree.last_mut() {
            Some((_, below)) if placed.item.is_below => below.push(placed),
            _ => tree.push((placed, Vec::new())),
        }
    }
    if !all {
        tree.retain(|(item, _)| item.leads_to.is_some());
        for (_, below) in &mut tree {
            below.retain(|item| item.leads_to.is_some());
        }
    }
    tree
}

/// All menus.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Menus {
    /// By their names, without what is in them; at most 20.
    items: Vec<Menu>,
}

/// Menus
#[utoipa::path(get, path = "/api/v2/cms/menus", tag = "cms",
    responses((status = 200, description = "All of them", body = Menus), Refusal))]
pub(super) async fn list_menus(
    State(cms): State<Shared>,
    caller: Caller,
) -> Result<Response, RouteError> {
    let items = menus::list(&mut cms.db.reader().await?, MOST).await?;
    let cache = CacheFor::everybody(&caller.principal).tagged([tags::MENUS]);
    Ok((cache, Json(Menus { items })).into_response())
}

/// What is in a menu
#[utoipa::path(get, path = "/api/v2/cms/menus/{name}", tag = "cms",
    params(("name" = String, Path)),
    responses((status = 200, description = "As it is now", body = MenuView), Refusal))]
pub(super) async fn read_menu(
    State(cms): State<Shared>,
    caller: Caller,
    Segments(name): Segments<String>,
) -> Result<Response, RouteError> {
    let found: Result<_, RouteError> = cms
        .db
        .look(move |conn| {
            Box::pin(async move {
                let menu = menus::find(conn, &name).await?.ok_or(RouteError::NotFound("menu"))?;
                let items = menus::items(conn, &name).await?;
                Ok((menu, items))
            })
        })
        .await;
    let (menu, items) = found?;
    let cache = CacheFor::everybody(&caller.principal).tagged([tags::MENUS]);
    let shown = MenuView::new(menu, items, Viewer::of(&caller.principal));
    Ok((cache, etag::versioned(shown.version, &shown)).into_response())
}

/// Say what is in a menu
///
/// All of it. `If-Match` has to name the version that is changed, of one that is there; one that is not comes to be. Pages
/// show `main` above and `footer` below.
#[utoipa::path(put, path = "/api/v2/cms/menus/{name}", tag = "cms",
    params(("name" = String, Path), ("If-Match" = Option<String>, Header)), request_body = NewMenu,
    responses((status = 200, description = "As it is now", body = MenuView),
              (status = 201, description = "Made", body = MenuView), Refusal))]
pub(super) async fn set_menu(
    State(cms): State<Shared>,
    by: SignedIn,
    Segments(name): Segments<String>,
    if_match: IfMatch,
    Payload(new): Payload<NewMenu>,
) -> Result<Answer, RouteError> {
    let mut check = Check::new();
    let name = fields::menu(&mut check, &name);
    let items = new.checked(&mut check);
    check.done()?;
    cms.write(by, move |mut writing| {
        Box::pin(async move {
            let before = menus::held(writing.tx, &name).await?;
            let (status, version) = match &before {
                Some(before) => {
                    if_match.required()?.check(before.version)?;
                    (StatusCode::OK, before.version + 1)
                }
                None => {
                    if_match.check(0)?;
                    may_be_more(writing.tx).await?;
                    (StatusCode::CREATED, 1)
                }
            };
            they_are_there(writing.tx, &items).await?;
            let was = match before {
                Some(_) => Some(summary(&menus::items(writing.tx, &name).await?)),
                None => None,
            };
            let menu = Menu { name, updated_at: writing.by.context.now, version };
            menus::store(writing.tx, &menu, &items).await?;
            let items = menus::items(writing.tx, &menu.name).await?;
            writing.tx.makes_old([tags::MENUS]);
            let there = format!("{ROUTE}/{}", menu.name);
            let target = format!("menu:{}", menu.name);
            writing.audit("menu.set", target, (was, Some(summary(&items))));
            let shown = MenuView::new(menu, items, writing.viewer);
            let answer = Answer::versioned(status, version, &shown);
            Ok(match status {
                StatusCode::CREATED => answer.header(header::LOCATION, &there),
                _ => answer,
            })
        })
    })
    .await
}

/// Remove a menu
#[utoipa::path(delete, path = "/api/v2/cms/menus/{name}", tag = "cms",
    params(("name" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 204, description = "Gone"), Refusal))]
pub(super) async fn delete_menu(
    State(cms): State<Shared>,
    by: SignedIn,
    Segments(name): Segments<String>,
    if_match: IfMatch,
) -> Result<Answer, RouteError> {
    cms.write(by, move |mut writing| {
        Box::pin(async move {
            let found = menus::held(writing.tx, &name).await?;
            let menu = found.ok_or(RouteError::NotFound("menu"))?;
            if_match.check(menu.version)?;
            let was = summary(&menus::items(writing.tx, &name).await?);
            menus::delete(writing.tx, &name).await?;
            writing.tx.removes([tags::MENUS]);
            writing.audit("menu.delete", format!("menu:{name}"), (Some(was), None));
            Ok(Answer::no_content())
        })
    })
    .await
}

impl NewMenu {
    fn checked(self, check: &mut Check) -> Vec<Item> {
        let mut items = Vec::new();
        let mut add = |check: &mut Check, field: String, is_below, (label, url, article)| {
            let item = item(check, &field, (label, url, article));
            items.extend(item.map(|(label, target)| Item { label, target, is_below }));
        };
        let mut count = 0;
        for (at, item) in self.items.into_iter().enumerate() {
            count += 1 + item.children.len();
            if count > MAX_MENU_ITEMS {
                check.fail("items", "too_many", format!("must be at most {MAX_MENU_ITEMS}"));
                break;
            }
            let field = format!("items[{at}]");
            add(check, field.clone(), false, (item.label, item.url, item.article));
            for (below, child) in item.children.into_iter().enumerate() {
                let field = format!("{field}.children[{below}]");
                add(check, field, true, (child.label, child.url, child.article));
            }
        }
        items
    }
}

fn item(
    check: &mut Check,
    field: &str,
    (label, url, article): (String, Option<String>, Option<Id>),
) -> Option<(String, Target)> {
    let label = check.line(&format!("{field}.label"), &label, 1, fields::MAX_NAME_CHARS);
    let place = format!("{field}.url");
    let target = match (url, article) {
        (Some(url), None) => {
            let address = fields::address(check, &place, &url);
            if address.is_none() && url.is_empty() {
                check.fail(&place, "required", "must be an address");
            }
            address.map(Target::Address)
        }
        (None, Some(article)) => Some(Target::Article(article)),
        _ => {
            check.fail(&place, "required", "say either `url` or `article`");
            None
        }
    };
    target.map(|target| (label, target))
}

/// There are few enough for one more.
async fn may_be_more(tx: &mut Tx) -> Result<(), RouteError> {
    let all = menus::list(tx, MOST).await?;
    if i64::try_from(all.len()).is_ok_and(|count| count < MOST) {
        return Ok(());
    }
    Err(RouteError::Conflict("there are as many menus as there may be"))
}

/// Articles to which items lead are there.
async fn they_are_there(tx: &mut Tx, items: &[Item]) -> Result<(), RouteError> {
    for item in items {
        if let Target::Article(id) = item.target
            && articles::by_id(tx, id).await?.is_none_or(|article| article.deleted_at.is_some())
        {
            let message = format!("there is no article {id}");
            return Err(Problem::field("items", "unknown", message).into());
        }
    }
    Ok(())
}

/// What the audit log keeps of it.
fn summary(items: &[Placed]) -> Value {
    let of = |placed: &Placed| {
        let to = match &placed.item.target {
            Target::Address(address) => json!(address),
            Target::Article(article) => json!({"article": article}),
        };
        json!({"label": placed.item.label, "to": to, "is_below": placed.item.is_below})
    };
    items.iter().map(of).collect()
}
