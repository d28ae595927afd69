"""A page in headless Chromium, for tests of the server's pages."""

import unittest

from playwright.sync_api import expect, sync_playwright

__all__ = ["PageTests", "expect"]


class PageTests(unittest.TestCase):
    chromium: str  # the program
    url: str  # of the page, without the slash at its end

    @classmethod
    def setUpClass(cls):
        cls.playwright = sync_playwright().start()
        # Chromium's own sandbox does not start for root, as in containers. The page comes from this machine.
        cls.browser = cls.playwright.chromium.launch(executable_path=cls.chromium, args=["--no-sandbox"])

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()
        cls.playwright.stop()

    def open(self, width=1280, height=800, **options):
        context = self.browser.new_context(viewport={"width": width, "height": height}, **options)
        self.addCleanup(context.close)
        page = context.new_page()
        self.faults, self.requests = [], []
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda message: message.type == "error" and self.note(message.text))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(self.url + "/")
        return page

    def note(self, text):
        if "Failed to load resource" not in text:  # a status that the mock was asked for, or a server that has ended
            self.faults.append(text)

    def tearDown(self):
        """The page must not fail, and must not ask another host."""
        self.assertEqual(self.faults, [])
        self.assertEqual([url for url in self.requests if not url.startswith((self.url, "data:"))], [])

    def overflow(self):
        """The elements that are wider than their place."""
        return self.page.evaluate("""() => [...document.querySelectorAll('html, main, #scroller, #engine, dialog')]
            .filter(node => node.scrollWidth > node.clientWidth).map(node => node.id || node.tagName)""")
