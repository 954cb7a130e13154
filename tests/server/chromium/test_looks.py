"""On a phone, by keyboard, in light and dark, for a screen reader."""

from __future__ import annotations

import threading

import pytest

from tests.server.chromium.tools import (
    UNTIL_ANSWER_NOW,
    Page,
    Stage,
    answered,
    ask,
    ends,
    expect,
    happens,
    last_reply,
    say,
    think,
)

WIDE = "\n\n".join(
    (
        "A long word: " + "Donaudampfschifffahrt" * 12,
        "```python\n" + "x = 1; " * 60 + "\n```",
        "| column " * 12 + "|\n" + "|---" * 12 + "|\n" + "| value " * 12 + "|",
        "\\[" + " + ".join(f"x_{{{i}}}^2" for i in range(40)) + "\\]",
        "And \\(" + " + ".join(f"y_{{{i}}}" for i in range(40)) + "\\) in a line.",
    )
)

CONTRASTS = """() => {
    const luminance = ([r, g, b]) => [r, g, b]
        .map((part) => part / 255)
        .map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
        .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const rgba = (colour) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const behind = (node) => {
        for (let each = node; each; each = each.parentElement) {
            const colour = rgba(getComputedStyle(each).backgroundColor);
            if (colour[3] > 250) return colour;
        }
        return rgba(getComputedStyle(document.body).backgroundColor);
    };
    const poor = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const node = walker.currentNode.parentElement;
        if (!walker.currentNode.data.trim() || !node.checkVisibility()) continue;
        if (node.closest(".hidden, .katex-mathml, option, :disabled, .skip")) continue;
        const [one, other] = [rgba(getComputedStyle(node).color), behind(node)].map(luminance);
        const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
        if (contrast < 4.5) poor.push(`${contrast.toFixed(2)} ${walker.currentNode.data.trim()}`);
    }
    return poor;
}"""


def assert_fits(page: Page) -> None:
    """Nothing is wider than the screen."""
    for node in ("document.documentElement", "document.getElementById('scroller')"):
        assert page.evaluate(f"{node}.scrollWidth <= {node}.clientWidth"), node


def test_a_phone_is_wide_enough(stage: Stage, page: Page, gate: threading.Event) -> None:
    page.set_viewport_size({"width": 360, "height": 640})
    assert_fits(page)
    answered(stage, page, "A" * 200, WIDE, thought=WIDE)
    assert_fits(page)
    last_reply(page).locator("details.thinking > summary").click()
    assert_fits(page)
    page.get_by_role("combobox", name="Vote").select_option("5")
    page.get_by_role("combobox", name="Thinking").select_option("budget")
    stage.will(
        *(happens("chain_started", index=index, seed=index) for index in range(5)),
        happens("chain_delta", index=0, kind="thinking", text=WIDE, tokens=2),
        happens("chain_answered", index=1, answer="9" * 80, text="9", tokens=4),
        happens("vote", candidates=[{"answer": "9" * 80, "votes": 1, "share": 1}], open=4),
        gate,
    )
    ask(page, "And now?")
    expect(page.get_by_role("list", name="Candidates")).to_be_visible()
    assert_fits(page)
    page.keyboard.press("Escape")
    for button in ("More", "Keys"):
        if button == "Keys":
            page.get_by_role("button", name="Conversations").click()
        page.get_by_role("button", name=button).click()
        assert_fits(page)
        page.get_by_role("button", name="Done").click()


def test_on_a_phone_the_list_is_a_drawer(stage: Stage, page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 640})
    answered(stage, page, "Of apples", "Red.")
    navigation = page.get_by_role("navigation")
    expect(navigation).to_be_hidden()
    page.get_by_role("button", name="Conversations").click()
    expect(navigation).to_be_visible()
    expect(page.get_by_role("button", name="New conversation")).to_be_focused()
    page.keyboard.press("Escape")
    expect(navigation).to_be_hidden()
    expect(page.get_by_role("button", name="Conversations")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="New conversation").click()
    expect(navigation).to_be_hidden()
    expect(page.locator(".turn")).to_have_count(0)


def test_everything_is_done_by_keyboard(stage: Stage, page: Page) -> None:
    question = page.get_by_label("Question", exact=True)
    expect(question).to_be_focused()
    page.keyboard.type("Two lines")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("of text")
    stage.will(think("Hm."), UNTIL_ANSWER_NOW, say("Yes."), ends(1, 1))
    page.keyboard.press("Enter")
    expect(last_reply(page).get_by_text("Hm.")).to_be_visible()
    page.keyboard.press("Control+Enter")
    expect(last_reply(page).locator(".answer")).to_have_text("Yes.")
    assert stage.asked[0]["messages"][0]["content"] == "Two lines\nof text"

    page.keyboard.press("Alt+n")
    expect(page.locator(".turn")).to_have_count(0)
    page.get_by_role("button", name="Theme").focus()
    page.keyboard.press("/")
    expect(question).to_be_focused()
    expect(question).to_have_value("")


def test_tab_reaches_what_can_be_done_in_the_order_of_the_page(stage: Stage, page: Page) -> None:
    answered(stage, page, "Of apples", "```sh\nls\n```", thought="Hm.")
    page.locator(".skip").focus()
    reached: list[str] = []
    for _ in range(30):
        label = page.evaluate(
            """() => {
                const node = document.activeElement;
                return node === document.body ? null
                    : (node.getAttribute("aria-label") || node.labels?.[0]?.textContent
                        || node.textContent).trim().split(/[\\n·]/)[0].trim();
            }"""
        )
        if label is None or label in reached[:1]:
            break
        reached.append(label)
        page.keyboard.press("Tab")
    wanted = ["Skip to the question", "New conversation", "Of apples", "Model"]
    wanted += ["This conversation", "Edit", "Code, sh", "Retry"]
    wanted += ["Question", "Thinking", "Vote", "More…", "Send"]
    assert [label for label in reached if label in wanted] == wanted


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(
    stage: Stage, page: Page, gate: threading.Event, theme: str
) -> None:
    page.emulate_media(color_scheme="light" if theme == "light" else "dark")
    code = "```python\n# why\ndef f(x: int) -> str:\n    return 'a' + str(1)\n```"
    reply = answered(stage, page, "Go", f"# Head\n\n{code}\n\n> quote [l](https://x.y)", "Hm.")
    reply.locator("details.thinking > summary").click()
    assert page.evaluate(CONTRASTS) == []
    stage.will(say("Half"), gate)
    page.get_by_role("combobox", name="Vote").select_option("3")
    ask(page, "More")
    expect(page.get_by_text("Half", exact=True)).to_be_visible()
    assert page.evaluate(CONTRASTS) == []


def test_the_theme_follows_the_system_until_it_is_chosen(page: Page) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    page.emulate_media(color_scheme="light")
    light = page.evaluate(colour)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(colour)
    assert light != dark
    button = page.get_by_role("button", name="Theme")
    button.click()
    expect(button).to_have_text("Theme: light")
    assert page.evaluate(colour) == light
    page.reload()
    assert page.evaluate(colour) == light
    button.click()
    expect(button).to_have_text("Theme: dark")
    button.click()
    expect(button).to_have_text("Theme: automatic")
    assert page.evaluate(colour) == dark


def test_a_screen_reader_hears_an_answer_once(
    stage: Stage, page: Page, gate: threading.Event
) -> None:
    page.evaluate(
        """() => {
            window.said = [];
            const node = document.querySelector("[role=status]");
            new MutationObserver(() => window.said.push(node.textContent))
                .observe(node, { childList: true });
        }"""
    )
    stage.will(think("a"), gate, *(say(f"{index} ") for index in range(50)), ends(1, 50))
    ask(page, "Count")
    expect(page.get_by_role("status")).to_have_text("The model thinks.")
    gate.set()
    expect(page.get_by_role("status")).to_contain_text("The answer: 0 1 2")
    said = page.evaluate("window.said")
    assert [text.split(":")[0] for text in said] == [
        "The model thinks.",
        "It answers.",
        "The answer",
    ]
    expect(page.locator("[aria-live]")).to_have_count(0)


def test_every_control_has_a_name(stage: Stage, page: Page) -> None:
    answered(stage, page, "Go", "Yes.")
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, textarea, a")]
            .filter((node) => !(node.getAttribute("aria-label") || node.textContent.trim()
                || node.labels?.[0]?.textContent.trim()))
            .map((node) => node.outerHTML)"""
    )
    assert nameless == []
