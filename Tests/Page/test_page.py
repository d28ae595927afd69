"""Tests of the page of `wideband serve` in headless Chromium: test_page.py URL CHROMIUM [--mock] [TEST…].

With --mock the server is mock_serve.py, whose answers depend on the question. Without it only what holds for any model is
tested.
"""

import functools
import json
import re
import sys
import unittest
import urllib.request

import browser
from browser import expect

URL, CHROMIUM = sys.argv[1:3]
MOCK = "--mock" in sys.argv
expect.set_options(timeout=60_000 if not MOCK else 10_000)


def get(path):
    with urllib.request.urlopen(URL + path) as response:
        return json.load(response)


class PageTests(browser.PageTests):
    chromium = CHROMIUM

    def setUp(self):
        self.url = URL
        self.page = self.open()

    def tearDown(self):
        if MOCK:
            get("/mock/key/off")
            get("/mock/drafts/off")
        super().tearDown()

    def ask(self, question, wait=True):
        self.page.fill("#question", question)
        self.page.press("#question", "Enter")
        if wait:
            self.idle()

    def idle(self):
        expect(self.page.locator("#send")).to_have_text("Send")

    @property
    def answer(self):
        return self.page.locator(".assistant").last

    @property
    def text(self):
        return self.answer.locator("> .text")

    def body(self):
        return get("/mock/requests")[-1]


def mock_only(test):
    return functools.wraps(test)(unittest.skipUnless(MOCK, "needs the answers of mock_serve.py")(test))


class ChatTests(PageTests):
    def test_question_is_answered(self):
        expect(self.page.locator("#question")).to_be_focused()
        self.page.keyboard.type("Say")
        self.page.keyboard.press("Shift+Enter")
        self.page.keyboard.type("something short.")
        self.page.keyboard.press("Enter")
        expect(self.page.locator(".user .text")).to_have_text("Say\nsomething short.")
        self.idle()
        expect(self.answer.locator(".numbers")).to_contain_text(
            re.compile(r"first token after .* prompt \d+.*generated \d+")
        )
        expect(self.answer.locator(".error")).to_have_count(0)
        expect(self.page.locator("#question")).to_be_focused()
        expect(self.page.locator("#question")).to_have_value("")

    @mock_only
    def test_numbers_and_request(self):
        self.ask("Hello")
        expect(self.text).to_have_text("You said: Hello")
        expect(self.answer.locator(".numbers")).to_contain_text("tokens/s")
        expect(self.answer.locator(".numbers")).to_contain_text("prompt 96 (64 cached) · generated 3")
        body = self.body()
        self.assertEqual(body["messages"], [{"role": "user", "content": "Hello"}])
        self.assertEqual((body["stream"], body["stream_options"]), (True, {"include_usage": True}))
        self.assertEqual(body["model"], "qwen3-1.7b-wide-int4")
        self.ask("long")
        expect(self.answer.locator(".numbers")).to_contain_text("ended at the token limit")
        self.assertEqual([message["role"] for message in self.body()["messages"]], ["user", "assistant", "user"])

    @mock_only
    def test_escape_stops_a_stream(self):
        self.ask("slow", wait=False)
        expect(self.text).to_contain_text("word3")
        expect(self.page.locator("#send")).to_have_text("Stop")
        self.page.keyboard.press("Enter")  # does not send again
        self.page.keyboard.press("Escape")
        self.idle()
        expect(self.answer.locator(".numbers")).to_contain_text("stopped by you")
        words = self.text.text_content()
        self.page.wait_for_timeout(400)
        self.assertEqual(self.text.text_content(), words)
        self.assertEqual(self.page.locator(".message").count(), 2)
        self.ask("slow", wait=False)
        expect(self.text).to_contain_text("word1")
        self.page.click("#send")
        self.idle()

    @mock_only
    def test_chunks_that_end_within_characters(self):
        self.ask("unicode")
        expect(self.text).to_have_text("Grüße, 世界! 👩‍👩‍👧‍👦 ¾ ✓ — Ω")

    @mock_only
    def test_markdown_never_becomes_html(self):
        self.ask("markdown")
        for selector, count in {
            "img, script, b": 0,
            "strong": 2,
            "ol > li": 2,
            "ul ul": 0,
            "ol ul > li": 2,
            "pre": 2,
        }.items():
            expect(self.text.locator(selector)).to_have_count(count)
        expect(self.text.locator("> ul > li")).to_have_count(2)
        expect(self.text.locator("pre").nth(1)).to_have_text('<script>alert("no")</script>')
        expect(self.text.locator("p").first).to_contain_text("<b>not bold</b> & <img src=x onerror=alert(1)>")

    @mock_only
    def test_question_is_shown_as_it_is(self):
        self.ask("<img src=x> **no**")
        expect(self.page.locator(".user .text")).to_have_text("<img src=x> **no**")
        expect(self.page.locator("img, .user strong")).to_have_count(0)

    @mock_only
    def test_thoughts_are_open_while_they_stream(self):
        self.ask("think", wait=False)
        details = self.answer.locator("details")
        expect(details).to_have_attribute("open", "")
        expect(details.locator("summary")).to_have_text("Thinking…")
        self.idle()
        expect(details).not_to_have_attribute("open", "")
        expect(details.locator("summary")).to_have_text(re.compile(r"Thought for 0\.\d s"))
        expect(details.locator(".text")).to_have_text("Let me see. It asks for a thought. ")
        expect(self.text).to_have_text("Here is the answer.")

    @mock_only
    def test_tool_call(self):
        self.ask("tools")
        expect(self.answer.locator("pre")).to_have_text('weather({\n  "city": "Zürich",\n  "days": 3\n})')

    @mock_only
    def test_errors_in_words(self):
        for question, words in {
            "401": "The server wants an API key. It says: the API key is wrong.",
            "429": "64 requests wait. Try again in 7\u00a0s.",
            "503": "takes no requests now. It says: the server is stopping. Try again in 30\u00a0s.",
            "400": "temperature is 9: expected 0 to 2",
            "error": "a kernel failed: out of memory",
            "cut": "the connection broke",
        }.items():
            with self.subTest(question):
                self.ask(question)
                expect(self.answer.locator(".error")).to_contain_text(words)
                expect(self.page.locator(".user .text").last).to_have_text(question)
                expect(self.answer.locator(".regenerate")).to_have_text("Try again")
        expect(self.text).to_have_text("This begins well")
        self.ask("Hello")
        self.assertEqual(
            [message["content"] for message in self.body()["messages"]],
            ["error", "This begins well", "cut", "This begins well", "Hello"],
        )

    @mock_only
    def test_server_that_is_away(self):
        self.page.route("**/v1/chat/completions", lambda route: route.abort())
        self.ask("Hello")
        expect(self.answer.locator(".error")).to_contain_text("cannot be reached")
        self.page.unroute("**/v1/chat/completions")
        self.answer.locator(".regenerate").click()
        self.idle()
        expect(self.text).to_have_text("You said: Hello")
        expect(self.answer.locator(".error")).to_have_count(0)

    @mock_only
    def test_key_that_is_missing(self):
        get("/mock/key/on")
        self.page.reload()
        self.ask("Hello")
        self.page.get_by_role("button", name="Enter the key").click()
        self.page.keyboard.type("secret")
        self.page.keyboard.press("Escape")
        expect(self.page.locator("#model")).to_have_text("qwen3-1.7b-wide-int4")
        self.answer.locator(".regenerate").click()
        expect(self.text).to_have_text("You said: Hello")

    @mock_only
    def test_settings_survive_and_are_sent(self):
        self.page.click("#settings-open")
        for name, value in {
            "System message": "Be short.",
            "Temperature": "0.5",
            "Maximum tokens": "50",
            "Top-p": "0.9",
            "Top-k": "20",
            "Min-p": "0.05",
            "Seed": "0",
        }.items():
            self.page.get_by_label(name).fill(value)
        self.page.get_by_label("Thinking").select_option("off")
        self.page.keyboard.press("Escape")
        self.page.reload()
        self.ask("Hello")
        body = self.body()
        self.assertEqual(body["messages"][0], {"role": "system", "content": "Be short."})
        expected = {"temperature": 0.5, "max_tokens": 50, "top_p": 0.9, "top_k": 20, "min_p": 0.05, "seed": 0}
        self.assertEqual({name: body[name] for name in expected}, expected)
        self.assertEqual(body["chat_template_kwargs"], {"enable_thinking": False})
        self.page.click("#settings-open")
        self.page.click("#settings-reset")
        self.page.keyboard.press("Escape")
        self.ask("Hello")
        self.assertEqual(set(self.body()), {"messages", "model", "stream", "stream_options"})

    @mock_only
    def test_edit_regenerate_clear(self):
        self.ask("One")
        self.ask("Two")
        self.answer.locator(".regenerate").click()
        self.idle()
        self.assertEqual(len(self.body()["messages"]), 3)
        self.page.fill("#question", "")
        self.page.press("#question", "ArrowUp")
        expect(self.page.locator("#question")).to_have_value("Two")
        self.page.keyboard.press("Escape")
        expect(self.page.locator("#question")).to_have_value("")
        expect(self.page.locator("#editing")).to_be_hidden()
        self.page.locator(".user").last.get_by_role("button", name="Edit").click()
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type("Three")
        self.page.keyboard.press("Enter")
        self.idle()
        expect(self.page.locator(".user .text")).to_have_text(["One", "Three"])
        self.page.reload()
        expect(self.page.locator(".user .text")).to_have_text(["One", "Three"])
        self.page.click("#clear")
        expect(self.page.locator(".message")).to_have_count(0)
        self.page.click("#undo")
        expect(self.page.locator(".message")).to_have_count(4)

    @mock_only
    def test_clear_while_an_answer_streams(self):
        self.ask("slow", wait=False)
        expect(self.text).to_contain_text("word1")
        self.page.click("#clear")
        self.idle()
        self.ask("Hello")
        expect(self.text).to_have_text("You said: Hello")

    @mock_only
    def test_copy(self):
        self.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.ask("Hello")
        self.answer.get_by_role("button", name="Copy").click()
        expect(self.answer.get_by_role("button", name="Copied")).to_be_visible()
        self.assertEqual(self.page.evaluate("navigator.clipboard.readText()"), "You said: Hello")


class AccessTests(PageTests):
    def test_every_control_shows_its_focus(self):
        self.ask("markdown")
        seen = []
        for _ in range(25):
            self.page.keyboard.press("Tab")
            focused, visible = self.page.evaluate("""() => {
                const node = document.activeElement, style = getComputedStyle(node);
                const visible = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
                return [node === document.body ? null : node.id || node.textContent, visible];
            }""")
            if focused is None:
                continue  # the browser's own controls
            seen.append(focused)
            self.assertTrue(visible, focused)
        for name in ["clear", "settings-open", "engine-toggle", "scroller", "question", "send"]:
            self.assertIn(name, seen)

    def test_every_field_has_a_name(self):
        self.page.click("#settings-open")
        unnamed = self.page.evaluate("""() => [...document.querySelectorAll('input, textarea, select')]
            .filter(field => !field.labels.length).map(field => field.name || field.id)""")
        self.assertEqual(unnamed, [])

    @mock_only
    def test_screen_reader_hears_beginning_and_answer(self):
        self.page.evaluate("""() => {
            window.heard = [];
            new MutationObserver(() => heard.push(document.getElementById('status').textContent))
                .observe(document.getElementById('status'), { childList: true });
        }""")
        self.ask("think")
        self.assertEqual(self.page.evaluate("heard"), ["The model answers.", "Here is the answer."])
        expect(self.page.locator("#messages")).not_to_have_attribute("aria-live", re.compile(".*"))

    def test_telephone_does_not_scroll_sideways(self):
        for scheme in ["light", "dark"]:
            with self.subTest(scheme):
                self.page = self.open(360, 640, color_scheme=scheme)
                self.assertEqual(self.overflow(), [])
                for question in ["markdown", "tools", "401", "long", "x" * 400]:
                    self.ask(question)
                self.assertEqual(self.overflow(), [])
                self.page.click("#settings-open")
                self.assertEqual(self.overflow(), [])
                self.page.keyboard.press("Escape")
                self.page.click("#engine-toggle")
                expect(self.page.locator("#totals dt").first).to_be_visible()
                self.assertEqual(self.overflow(), [])
                expect(self.page.locator("main")).to_be_hidden()
                self.page.click("#engine-close")
                expect(self.page.locator("#question")).to_be_visible()

    def test_colors_can_be_read(self):
        for scheme in ["light", "dark"]:
            self.page = self.open(color_scheme=scheme)
            self.ask("401")
            self.ask("think")
            self.page.click("#engine-toggle")
            expect(self.page.locator("#totals dt").first).to_be_visible()
            low = self.page.evaluate("""() => {
                const light = (color) => {
                    const [r, g, b] = color.match(/[\\d.]+/g).map(value => value / 255)
                        .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
                    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
                };
                const ground = (node) => {
                    for (; node; node = node.parentElement) {
                        const color = getComputedStyle(node).backgroundColor;
                        if (!/, 0\\)$/.test(color)) return color;
                    }
                };
                const low = [];
                for (const node of document.querySelectorAll('body *:not(title)')) {
                    if (![...node.childNodes].some(child => child.nodeType === 3 && child.data.trim())) continue;
                    const style = getComputedStyle(node);
                    const color = node.namespaceURI.endsWith('svg') ? style.fill : style.color;
                    const [a, b] = [light(color), light(ground(node))];
                    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
                    if (contrast < 4.5) low.push([node.textContent.slice(0, 40), contrast]);
                }
                return low;
            }""")
            self.assertEqual(low, [], scheme)

    @mock_only
    def test_motion_is_reduced(self):
        for preference, animation in {"reduce": "none", "no-preference": "pulse"}.items():
            self.page = self.open(reduced_motion=preference)
            self.ask("slow", wait=False)
            self.page.locator(".streaming").wait_for()
            name = self.page.evaluate(
                "getComputedStyle(document.querySelector('.streaming > .text'), '::after').animationName"
            )
            self.assertEqual(name, animation)
            self.page.keyboard.press("Escape")
            self.idle()


class EngineTests(PageTests):
    def polls(self):
        return sum(url.endswith("/engine") for url in self.requests)

    def test_engine_is_polled_while_it_is_visible(self):
        self.assertEqual(self.polls(), 0)
        self.page.click("#engine-toggle")
        self.page.wait_for_timeout(3500)
        self.assertIn(self.polls(), range(3, 6))
        expect(self.page.locator("#phases li").first).to_contain_text("Waiting")
        expect(self.page.locator("[role=meter]")).to_have_count(2)
        expect(self.page.locator("svg.chart")).to_have_count(3)
        expect(self.page.locator("svg.chart").first).to_have_attribute(
            "aria-label", re.compile("Generated tokens/s in")
        )
        self.page.click("#engine-close")
        expect(self.page.locator("#engine-toggle")).to_be_focused()
        before = self.polls()
        self.page.wait_for_timeout(1500)
        self.assertEqual(self.polls(), before)

    @mock_only
    def test_drafts_are_shown_without_a_cycle(self):
        drafts = self.page.locator("#totals dt", has_text="Drafted tokens accepted")
        self.page.click("#engine-toggle")
        expect(self.page.locator("#phases li").first.locator("b")).to_have_text(re.compile(r"^\d+$"))
        expect(self.page.locator("#totals")).to_contain_text("Tokens in a cycle")
        expect(drafts).to_have_count(0)
        get("/mock/drafts/on")
        expect(drafts.locator("xpath=following-sibling::dd[1]")).to_have_text("600 of 800")
        expect(self.page.locator("#totals")).not_to_contain_text("Tokens in a cycle")

    @mock_only
    def test_engine_that_does_not_answer(self):
        self.page.click("#engine-toggle")
        expect(self.page.locator("#totals")).to_contain_text("Finished")
        self.page.route("**/engine", lambda route: route.abort())
        expect(self.page.locator("#engine-problem")).to_have_text("The server does not answer.")
        self.page.unroute("**/engine")
        expect(self.page.locator("#engine-problem")).to_have_text("")

    @mock_only
    def test_engine_wants_a_key(self):
        get("/mock/key/on")
        self.page.click("#engine-toggle")
        self.page.get_by_role("button", name="Enter the key").click()
        self.page.keyboard.type("secret")
        self.page.keyboard.press("Escape")
        expect(self.page.locator("#totals")).to_contain_text("Finished")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *(name for name in sys.argv[3:] if name != "--mock")], verbosity=2)
