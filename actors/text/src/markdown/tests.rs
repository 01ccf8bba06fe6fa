use std::time::{Duration, Instant};

use super::*;

const fn calling(people: People) -> Dialect {
    Dialect::Post { people, page_of }
}

fn page_of(key: &str) -> String {
    format!("/people/{}", key.replace('ç', "%C3%A7"))
}

/// Where nobody has a name.
fn render(text: &str) -> String {
    super::render(text, &calling(People::new())).html
}

fn article(text: &str) -> String {
    super::render(text, &Dialect::Article { embeds: vec![Embed::Youtube, Embed::Vimeo] }).html
}

#[test]
fn what_people_write_comes_out() {
    for (text, html) in [
        (
            "*a* **b** ~~c~~ `d`",
            "<p><em>a</em> <strong>b</strong> <del>c</del> <code>d</code></p>\n",
        ),
        ("a\n\nb  \nc", "<p>a</p>\n<p>b<br>\nc</p>\n"),
        ("3. x", "<ol start=\"3\">\n<li>x</li>\n</ol>\n"),
        ("> q", "<blockquote>\n<p>q</p>\n</blockquote>\n"),
        (
            "```nonesuch\nlet a = 1 < 2;\n```",
            "<pre><code class=\"language-nonesuch\">let a = 1 &lt; 2;\n</code></pre>\n",
        ),
        ("# h", "<h1>h</h1>\n"),
    ] {
        assert_eq!(render(text), html);
    }
}

#[test]
fn links_are_kept_and_marked() {
    for text in ["https://example.org/a", "[x](https://example.org/a)"] {
        let html = render(text);
        assert!(html.contains("href=\"https://example.org/a\""), "{html}");
        assert!(html.contains("rel=\"nofollow ugc noopener\""), "{html}");
    }
    assert!(render("[x](/forum/1)").contains("href=\"/forum/1\""));
    assert!(render("mail a@example.org").contains("href=\"mailto:a@example.org\""));
}

#[test]
fn tables_and_task_lists() {
    let html = render("| a | b |\n|:-:|---|\n| 1 | 2 |");
    assert!(html.contains("<th class=\"center\">a</th>") && html.contains("<td>2</td>"), "{html}");
    let html = render("- [x] done\n- [ ] open");
    assert_eq!(html.matches("type=\"checkbox\"").count(), 2, "{html}");
    assert_eq!(html.matches("disabled=\"\"").count(), 2, "{html}");
    assert_eq!(html.matches("checked=\"\"").count(), 1, "{html}");
}

const ATTACKS: &[&str] = &[
    "<script>alert(1)</script>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><animate onbegin=alert(1)></svg>",
    "<svg><script>alert(1)</script></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<a href=\"javascript:alert(1)\">x</a>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java&#115;cript:alert(1))",
    "[x](&#x6A;avascript:alert(1))",
    "[x](<java\tscript:alert(1)>)",
    "[x](vbscript:msgbox(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "![x](data:image/svg+xml;base64,PHN2Zz4=)",
    "![x](javascript:alert(1))",
    "![x\" onerror=\"alert(1)](https://e.org/a.png)",
    "[x](https://e.org \"t\\\" onclick=\\\"alert(1)\")",
    "[x](https://e.org/\"onmouseover=\"alert(1))",
    "<javascript:alert(1)>",
    "[x][r]\n\n[r]: javascript:alert(1)",
    "```\"><script>alert(1)</script>\nx\n```",
    "```x onload=alert(1)\nx\n```",
    "`<script>alert(1)</script>`",
    "| <script>alert(1)</script> |\n|---|\n| <img src=x onerror=alert(1)> |",
    "<style>@import 'https://e.org/x.css'</style>",
    "<form action=javascript:alert(1)><button>x</button></form>",
    "<input autofocus onfocus=alert(1)>",
    "<base href=https://e.org/>",
    "<meta http-equiv=refresh content=0;url=javascript:alert(1)>",
    "<!--><script>alert(1)</script>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<p style=\"background:url(javascript:alert(1))\" id=x name=body>y</p>",
    "https://e.org/<script>alert(1)</script>",
    "www.e.org/\"onmouseover=alert(1)",
];

/// Every tag of the HTML: its name and its attributes, read the way a browser would.
fn tags(html: &str) -> Vec<&str> {
    html.split('<').skip(1).map(|rest| rest.split('>').next().unwrap_or(rest)).collect()
}

#[test]
fn nothing_executable_survives() {
    for attack in ATTACKS {
        for text in [(*attack).to_owned(), format!("> - {attack}"), format!("**{attack}**")] {
            does_nothing(&render(&text));
            does_nothing(&article(&text));
        }
    }
}

fn does_nothing(html: &str) {
    for tag in tags(html) {
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
        let active = ["script", "svg", "math", "iframe", "style", "form", "base", "meta"];
        assert!(!active.contains(&name), "{html}");
        // Outside quoted values there is no handler, and no value is a script.
        let bare: String = tag.split('"').step_by(2).collect();
        assert!(
            !bare.contains(" on") && !bare.contains("style=") && !bare.contains("id="),
            "{html}"
        );
        for value in tag.split('"').skip(1).step_by(2) {
            let value = value.to_ascii_lowercase();
            let schemes = ["javascript:", "vbscript:", "data:"];
            assert!(!schemes.iter().any(|s| value.trim_start().starts_with(s)), "{html}");
        }
    }
}

#[test]
fn hostile_shapes_are_quick() {
    let shapes = [
        "> ".repeat(1_000) + "x",
        ">".repeat(32_000),
        "- ".repeat(1_000) + "x",
        "x".repeat(10_000),
        "[".repeat(16_000),
        "![".repeat(10_000),
        "*a **a ".repeat(4_000),
        "_".repeat(32_000),
        "`".repeat(16_000) + "a",
        "<".repeat(16_000),
        "|a".repeat(2_000) + "\n" + &"|-".repeat(2_000) + "\n" + &"|\n".repeat(8_000),
        "[a](".repeat(8_000),
        "&".repeat(16_000),
        "a@".repeat(16_000),
        "http://".repeat(4_000),
        "@ann ".repeat(6_000),
        "@".repeat(32_000),
        format!("```rust\n{}\n```", "/*".repeat(4_000)),
        format!("```rust\n{}\n```", "\"\\".repeat(4_000)),
        format!("```js\n{}\n```", "/(a+)+$/; `${".repeat(600)),
        format!("```html\n{}\n```", "<script><style>\n".repeat(500)),
        format!("```perl\n{}\n```", "s/((a*)*)*/x/;\n".repeat(500)),
        format!("```php\n{}\n```", "<?php <<<X\n".repeat(600)),
        format!("```md\n{}\n```", "[[[[*_*_".repeat(900)),
        "```c\nx\n```\n".repeat(2_000),
        "[^a]".repeat(8_000) + "\n\n[^a]: x",
        "[^a]: x\n\n".repeat(3_000),
        "# a\n".repeat(8_000),
        "https://youtu.be/dQw4w9WgXcQ\n\n".repeat(1_000),
    ];
    for text in shapes {
        for show in [render, article] {
            let begun = Instant::now();
            let html = show(&text);
            let took = begun.elapsed();
            let shape: String = text.chars().take(12).collect();
            assert!(took < Duration::from_secs(3), "{shape}… took {took:?}");
            assert!(html.len() < 4_000_000, "{shape}… became {} bytes", html.len());
        }
    }
}

#[test]
fn what_nests_too_deep_is_shown_as_text() {
    let html = render(&(">".repeat(200) + " <b>"));
    assert!(html.starts_with("<pre>&gt;&gt;") && html.ends_with(" &lt;b&gt;</pre>"), "{html}");
}

#[test]
fn a_table_that_would_fill_pages_is_shown_as_it_is() {
    for columns in [50, 300, 1_000] {
        let head = "a|".repeat(columns);
        let delimiter = ":-:|".repeat(columns);
        let mut text = format!("{head}\n{delimiter}\n");
        while text.len() < 31_990 {
            text.push_str("x\n");
        }
        let html = render(&text);
        assert!(html.starts_with("<pre>"), "{columns} columns");
        assert!(html.len() < text.len() * 2, "{columns} columns: {} bytes", html.len());
    }
    let small = render("a|b\n-|-\n1|2\n");
    assert!(small.contains("<table>"), "{small}");
}

#[test]
fn code_has_colours_where_its_language_is_known() {
    let html = render("```rust\nlet a = \"<b>\"; // c\n```");
    assert_eq!(
        html,
        "<pre><code class=\"language-rust\"><span class=\"hl-keyword\">let</span> a = \
         <span class=\"hl-string\">\"&lt;b&gt;\"</span>; \
         <span class=\"hl-comment\">// c\n</span></code></pre>\n"
    );
    let tags = tags(&html);
    assert!(tags.iter().all(|tag| !tag.contains("style")), "{tags:?}");
    // Without a language, as text.
    assert_eq!(render("    let a"), "<pre><code>let a\n</code></pre>\n");
}

#[test]
fn long_code_is_plain_from_somewhere_on() {
    let line = "let a = 1;\n";
    let block = |lines: usize| format!("```rust\n{}```\n\n", line.repeat(lines));
    assert!(render(&block(700)).contains("<span"));
    assert!(!render(&block(800)).contains("<span"));
    // All blocks of a text share what there is.
    let html = render(&(block(700) + &block(100)));
    assert!(html.contains("<span") && !html.rsplit("<pre>").next().unwrap().contains("<span"));
    // A line that nobody wrote, and what comes after it, is plain.
    let html = render(&format!("```rust\nlet a;\nlet b = \"{}\";\nlet c;\n```", "x".repeat(600)));
    assert_eq!(html.matches("<span").count(), 1, "{html}");
}

#[test]
fn nobody_makes_classes_of_their_own() {
    for text in [
        "<span class=\"hl-keyword\">x</span>",
        "<a class=\"mention\" href=\"/people/1\">@root</a>",
        "[x](/a \"t\" class=mention)",
    ] {
        let html = render(text);
        assert!(!html.contains("<span") && !html.contains("<a class"), "{html}");
    }
}

#[test]
fn people_are_called_where_their_names_are_text() {
    let people: People = [("ann", 1), ("bob.b", 2), ("çem", 3)]
        .map(|(name, id)| (name.to_owned(), Id::from_raw(id)))
        .into();
    let called = |text: &str| super::render(text, &calling(people.clone()));
    let ann = "<a class=\"mention\" href=\"/people/ann\" \
               rel=\"nofollow ugc noopener\">@Ann</a>";
    let found = called("hello @Ann, *and @bob.b*. Not @nobody");
    assert!(
        found.html.starts_with(&format!("<p>hello {ann}, <em>and <a class=\"mention\"")),
        "{found:?}"
    );
    assert!(found.html.ends_with("</em>. Not @nobody</p>\n"), "{found:?}");
    assert_eq!(found.mentioned, [1, 2].map(Id::from_raw).into());
    for text in ["`@ann`", "    @ann", "[@ann](/x)", "https://e.org/@ann", "ann@ann.example.org"] {
        let found = called(text);
        assert_eq!(found.mentioned, BTreeSet::new(), "{text}: {found:?}");
    }
    let html = called("@Çem").html;
    assert!(html.contains("href=\"/people/%C3%A7em\"") && html.contains(">@Çem</a>"), "{html}");
    // Whatever is repeated, what comes of it is not much longer.
    let often = "@ann,".repeat(6_400);
    let html = called(&often).html;
    assert!(html.len() < often.len() + 60 * 100, "{}", html.len());
    // Twice the same is one, and both are links.
    let found = called("@ann @ANN");
    assert_eq!((found.mentioned.len(), found.html.matches("mention").count()), (1, 2), "{found:?}");
}

#[test]
fn headings_of_articles_have_addresses_and_notes_lead_there_and_back() {
    let html = article("# Über uns\n\nA[^1]\n\n[^1]: Note.");
    assert!(html.contains("<h1 id=\"s-über-uns\">Über uns<a href=\"#s-über-uns\""), "{html}");
    assert!(
        html.contains("<sup class=\"footnote-ref\"><a href=\"#fn-1\" id=\"fnref-1\""),
        "{html}"
    );
    assert!(html.contains("<li id=\"fn-1\">") && html.contains("href=\"#fnref-1\""), "{html}");
    assert!(!render("# a\n\nb[^1]\n\n[^1]: c").contains("id="));
    // The site stands by where its own texts lead.
    assert!(article("<https://example.org>").contains("rel=\"noopener\""));
}

#[test]
fn an_address_of_a_video_alone_in_its_paragraph_is_shown_as_that() {
    let youtube = "<iframe src=\"https://www.youtube-nocookie.com/embed/dQw4w9WgXcQ\"";
    for address in [
        "https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=10",
        "https://youtu.be/dQw4w9WgXcQ?si=x",
        "https://m.youtube.com/shorts/dQw4w9WgXcQ",
    ] {
        let html = article(&format!("a\n\n{address}\n\nb"));
        assert!(html.contains(youtube) && html.contains("sandbox=\"allow-scripts"), "{html}");
        assert!(html.contains("<p>a</p>") && html.contains("<p>b</p>"), "{html}");
        assert!(!render(address).contains("iframe"));
        let none = super::render(address, &Dialect::Article { embeds: vec![Embed::Vimeo] }).html;
        assert!(!none.contains("iframe"), "{none}");
    }
    let html = article("https://vimeo.com/76979871");
    assert!(html.contains("src=\"https://player.vimeo.com/video/76979871?dnt=1\""), "{html}");
    for text in [
        "see https://youtu.be/dQw4w9WgXcQ",
        "[a film](https://youtu.be/dQw4w9WgXcQ)",
        "- https://youtu.be/dQw4w9WgXcQ",
        "https://youtu.be/short",
        "https://youtube.com.evil.example/watch?v=dQw4w9WgXcQ",
        "https://vimeo.com/about",
        "<iframe src=\"https://www.youtube-nocookie.com/embed/dQw4w9WgXcQ\"></iframe>",
    ] {
        assert!(!article(text).contains("<iframe"), "{text}");
    }
}

#[test]
fn what_is_literal_is_shown_as_it_is() {
    for (text, shown) in [
        ("Plain words", "Plain words"),
        ("*a* _b_ `c` ~~d~~ [e](f) ![g](h)", "*a* _b_ `c` ~~d~~ [e](f) ![g](h)"),
        ("# a\n\n- b\n> c\n\n    d", "# a - b &gt; c d"),
        ("1. a | b\n|--|--|", "1. a | b |--|--|"),
        ("</p><script>", "&lt;/p&gt;&lt;script&gt;"),
        (
            "www.example.org https://a.example @ann \\ &amp;",
            "www.example.org https://a.example @ann \\ &amp;amp;",
        ),
        ("- [ ] a", "- [ ] a"),
    ] {
        assert_eq!(render(&literal(text)).trim(), format!("<p>{shown}</p>"), "{text}");
    }
    assert_eq!(literal(" \n "), "");
}
