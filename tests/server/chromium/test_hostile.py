"""What a model writes is shown, and never runs, loads or leads anywhere by itself."""

from __future__ import annotations

from tests.server.chromium.tools import Page, Stage, answered, ask, ends, expect, last_reply, say

HOSTILE = {
    "script": "<script>document.title = 'ran'</script>",
    "handler": "<img src=x onerror=\"document.title = 'ran'\"> <svg/onload=alert(1)>",
    "style": '<p style="position:fixed;inset:0">over all</p><style>*{display:none}</style>',
    "frame": '<iframe src="javascript:alert(1)"></iframe><object data="x"></object>',
    "form": '<form action="https://example.org"><input name="key"><button>Send</button></form>',
    "base": '<base href="https://example.org/"><meta http-equiv="refresh" content="0;url=//x">',
    "link": "[click](javascript:alert(1)) [data](data:text/html,<script>alert(1)</script>)",
    "spaced link": "[click](<java\nscript:alert(1)>) [vb](vbscript:x) [file](file:///etc/passwd)",
    "encoded link": "[click](&#106;avascript:alert(1)) <javascript:alert(1)>",
    "image": "![pixel](https://example.org/pixel.png) ![x](data:image/png;base64,AAAA)",
    "reference": "[a][b]\n\n[b]: javascript:alert(1)",
    "closing tag": "It is </think> 42 </answer></body></html>",
    "fence": '```html\n<script>alert(1)</script>\n<img src=x onerror="alert(1)">\n```',
    "fence name": '```"><script>alert(1)</script>\ncode\n```',
    "unknown language": "```__proto__\ncode\n```\n\n```constructor\ncode\n```",
    "formula link": "\\(\\href{javascript:alert(1)}{x}\\) $\\url{https://example.org}$",
    "formula image": "\\[\\includegraphics{https://example.org/x.png}\\]",
    "formula html": '$\\htmlStyle{position:fixed}{x} \\htmlData{a="b"}{y} \\htmlId{main}{z}$',
    "formula text": '\\(\\text{<img src=x onerror="alert(1)">} \\text{ style="color:red"}\\)',
    "formula loop": "$\\def\\a{\\a\\a}\\a$ $\\rule{9999em}{9999em}$",
    "formula nest": "$" + "{" * 5000 + "}" * 5000 + "$",
    "broken": "**bold *both ~~`` [a](b [[[ ![ \\( \\[ $$ $ | a | b\n|---\n> > > 1. - #",
    "template": "{{constructor.constructor('alert(1)')()}} ${alert(1)} <%= 1 %>",
    "clobber": '<a id="turns"></a><form id="composer"></form><input name="querySelector">',
    "table": "| a | b |\n|:--|--:|\n| <b onclick=alert(1)>x</b> | [y](javascript:1) |",
    "zero": "a\x00b\ufffd\u202ereversed\u202c\u2028\u2029",
}


DANGEROUS = "script, img, iframe, object, embed, form, input, style, base, meta, link, video"
HANDLERS = """(node) => [...node.querySelectorAll("*")].flatMap((each) =>
    [...each.attributes].map(({ name }) => name).filter((name) => name.startsWith("on")))"""
FIXED = """(node) => [...node.querySelectorAll("*")]
    .filter((each) => getComputedStyle(each).position === "fixed").length"""


def test_nothing_in_an_answer_or_a_thought_runs(stage: Stage, page: Page) -> None:
    for name, text in HOSTILE.items():
        page.keyboard.press("Alt+n")
        reply = answered(stage, page, name, f"{text}\n\nThe end.", thought=text)
        expect(reply.get_by_text("The end."), name).to_be_visible()
        reply.locator("details.thinking > summary").click()
        expect(reply.locator(".prose").locator(DANGEROUS), name).to_have_count(0)
        for link in reply.locator(".prose a").all():
            href = link.get_attribute("href") or ""
            assert href.startswith(("https://", "http://", "mailto:")), name
            assert link.get_attribute("rel") == "noopener noreferrer nofollow", name
        assert reply.evaluate(HANDLERS) == [], name
        assert reply.evaluate(FIXED) == 0, name
        assert "ran" not in page.title()


def test_hostile_text_stays_readable(stage: Stage, page: Page) -> None:
    text = "<b>bold</b> and </think> and <script>alert(1)</script>"
    reply = answered(stage, page, "Go", text)
    expect(reply.locator(".answer")).to_have_text(text)


def test_a_hostile_question_is_text(stage: Stage, page: Page) -> None:
    question = "<img src=x onerror=alert(1)> **x** $y$"
    answered(stage, page, question, "Fine.")
    expect(page.locator(".question-text")).to_have_text(question)
    expect(page.get_by_role("navigation").get_by_role("listitem")).to_have_text(question)


def test_links_lead_out_safely(stage: Stage, page: Page) -> None:
    reply = answered(stage, page, "Go", "[a](https://example.org/x) and http://example.org/y")
    links = reply.locator(".answer a")
    expect(links).to_have_count(2)
    expect(links.first).to_have_attribute("target", "_blank")


def test_a_huge_line_neither_hangs_nor_widens_the_page(stage: Stage, page: Page) -> None:
    line = "x" * 400_000
    brackets = "[" * 20_000 + "\\(" * 20_000 + "*" * 20_000 + "$" * 20_001
    stage.will(say(brackets), say("\n\n"), say(line), ends(0, 3))
    ask(page, "Go")
    expect(last_reply(page).locator(".actions")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(
        "document.getElementById('scroller').scrollWidth <= "
        "document.getElementById('scroller').clientWidth"
    )


def test_a_stream_of_many_small_pieces_is_drawn_whole(stage: Stage, page: Page) -> None:
    words = [f"word{index} " for index in range(3000)]
    stage.will(*(say(word) for word in words), ends(0, 3000))
    ask(page, "Go")
    expect(last_reply(page).locator(".answer")).to_have_text("".join(words).strip())


def test_formulas_are_set_without_a_style_attribute_in_their_way(stage: Stage, page: Page) -> None:
    answer = (
        "\\[\\sqrt{\\frac{a}{b}} + \\vec{v} + \\overbrace{x+y}^{n} + \\fcolorbox{red}{aqua}{c}\\]\n"
        "\nInline \\(x^2\\), $y_1$, costs $5 and $6, and \\boxed{42}.\n\n"
        "$$\na\n= b\n- c\n$$"
    )
    reply = answered(stage, page, "Go", answer)
    formulas = reply.locator(".answer .katex")
    expect(formulas).to_have_count(5)
    expect(reply.locator(".answer")).to_contain_text("costs $5 and $6")
    expect(reply.locator(".answer math").first).to_be_attached()
    expect(reply.locator(".katex-error")).to_have_count(0)
    # The layout is there: struts have heights, and the numerator stands above the denominator.
    above = reply.locator(".answer .mfrac").first.evaluate(
        """(fraction) => {
            const [below, above] = ["b", "a"].map((letter) =>
                [...fraction.querySelectorAll(".mathnormal")]
                    .find((each) => each.textContent === letter).getBoundingClientRect());
            return above.top + 5 < below.top;
        }"""
    )
    assert above
    page.wait_for_function("document.fonts.check('16px KaTeX_Main')")
