-- Menus: what leads where. Pages of the site show `main` and `footer`; others are for programs that show them.
CREATE TABLE menus (
    name       TEXT    NOT NULL PRIMARY KEY,
    updated_at INTEGER NOT NULL,
    version    INTEGER NOT NULL
) STRICT;

-- In the order in which they are read: what is below an item follows it. An item leads to an address, or to an article,
-- wherever that is.
CREATE TABLE menu_items (
    menu       TEXT    NOT NULL REFERENCES menus (name),
    position   INTEGER NOT NULL,
    is_below   INTEGER NOT NULL CHECK (is_below IN (0, 1)),
    label      TEXT    NOT NULL,
    address    TEXT,
    article_id INTEGER,
    PRIMARY KEY (menu, position),
    CHECK ((address IS NULL) <> (article_id IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX menu_items_of_article ON menu_items (article_id) WHERE article_id IS NOT NULL;
