"""Tests of the page of `wideband train --dashboard` in headless Chromium: test_dashboard.py CHROMIUM [TEST…]."""

import re
import sys
import unittest

import browser
from browser import expect
from mock_run import Run

expect.set_options(timeout=10_000)


class DashboardTests(browser.PageTests):
    chromium = sys.argv[1]

    def setUp(self):
        self.run_ = Run()
        self.addCleanup(self.run_.stop)
        self.url = f"http://127.0.0.1:{self.run_.port}"

    def train(self, first, last):
        for step in range(first, last + 1):
            self.run_.step(step)

    def show(self, steps=250, **options):
        self.train(1, steps)
        self.page = self.open(**options)
        expect(self.page.locator("#steps")).to_contain_text(f"Step {steps:,} of 2,000")

    def figure(self, title):
        return self.page.locator("figure", has=self.page.get_by_text(title, exact=True))

    def legend(self, title):
        return self.figure(title).locator(".legend")

    def test_run_that_goes_on(self):
        self.page = self.open()
        expect(self.page.locator("#steps")).to_have_text("Waiting for the first step")
        expect(self.page.locator("figure")).to_have_count(0)
        self.train(1, 3)
        expect(self.page.locator("#steps")).to_have_text("Step 3 of 2,000, 0 %")
        expect(self.page.locator("#left")).to_have_text(re.compile("^about 1[0-9] min [0-9]+ s left$"))
        expect(self.legend("Loss")).to_have_text(re.compile(r"^training 7\.\d{4}$"))
        self.train(4, 400)
        expect(self.page.locator("#steps")).to_have_text("Step 400 of 2,000, 20 %")
        expect(self.page.locator("#tokens")).to_have_text("3,276,800 tokens")
        expect(self.page).to_have_title("20 % · wide – Wideband")
        expect(self.legend("Loss")).to_have_text(re.compile(r"^training 4\.\d{4}held-out text 4\.\d{4}$"))
        expect(self.legend("Learning rate")).to_have_text(re.compile(r"^\d\.\d\de−4$"))
        expect(self.page.locator("figure")).to_have_count(10)
        expect(self.figure("Loss").locator("svg")).to_have_attribute(
            "aria-label", re.compile(r"^Loss, nats per token\. At step 400: training 4\.\d{4}, held-out text 4\.\d{4}$")
        )
        # Only what is new is asked for.
        self.assertEqual(self.run_.requests[:2], ["/run?metrics=0&log=0", "/run?metrics=0&log=0&wait=true"])
        self.assertLess(len(self.run_.requests), 20)
        expect(self.page.locator("#rows")).to_contain_text("37,412,864")

    def test_half_written_and_malformed_lines(self):
        self.train(1, 2)
        self.run_.metrics += "no JSON\n[3]\n"
        self.run_.step(3, gradient_norm="nan")
        self.run_.metrics += '{"step": 4, "train/next'
        self.page = self.open()
        expect(self.page.locator("#problem")).to_have_text("2 lines of metrics.jsonl cannot be read, and are left out.")
        expect(self.page.locator("#steps")).to_contain_text("Step 3 of")
        expect(self.legend("Gradient norm")).to_have_text("–")
        self.run_.metrics += '_token": 2.5}\n'
        expect(self.page.locator("#steps")).to_contain_text("Step 4 of")
        expect(self.legend("Loss")).to_have_text("training 2.5000")

    def test_end(self):
        self.show()
        self.run_.step(251)
        self.run_.state = "stopped"
        self.run_.stop()
        expect(self.page.locator("#state")).to_have_text("Stopped")
        expect(self.page.locator("#steps")).to_contain_text("Step 251 of")
        expect(self.page.locator("#left")).to_have_text("")
        expect(self.page.locator("#problem")).to_be_hidden()
        # A resumed run at the same address is shown from its first step.
        self.run_ = Run(port=self.run_.port)
        self.addCleanup(self.run_.stop)
        self.train(1, 200)
        expect(self.page.locator("#state")).to_have_text("Running")
        expect(self.page.locator("#steps")).to_contain_text("Step 200 of")
        expect(self.figure("Loss").locator("svg")).to_have_attribute("aria-label", re.compile("At step 200"))

    def test_failure(self):
        self.show()
        self.run_.state, self.run_.message = "failed", "step 251: the loss is nan; <b>no checkpoint</b>"
        self.run_.stop()
        expect(self.page.locator("#state")).to_have_text("Failed")
        expect(self.page.locator("#failure")).to_have_text(
            "The run failed: step 251: the loss is nan; <b>no checkpoint</b>"
        )
        expect(self.page).to_have_title("Failed · wide – Wideband")

    def test_lost_connection(self):
        self.show()
        self.page.route("**/run?*", lambda route: route.abort())
        self.train(251, 252)
        expect(self.page.locator("#problem")).to_contain_text("No connection to the run since ")
        expect(self.page.locator("#state")).to_have_text("No connection")
        self.page.unroute("**/run?*")
        expect(self.page.locator("#problem")).to_be_hidden()
        expect(self.page.locator("#state")).to_have_text("Running")
        self.page.route(
            "**/run?*", lambda route: route.fulfill(status=400, body='{"error": {"message": "log.txt: no"}}')
        )
        self.train(253, 254)
        expect(self.page.locator("#problem")).to_have_text("The server says: log.txt: no")

    def test_end_that_nobody_told(self):
        self.show(2000)
        self.page.route("**/run?*", lambda route: route.abort())
        self.run_.write("end")
        expect(self.page.locator("#state")).to_have_text("Finished")
        expect(self.page.locator("#problem")).to_be_hidden()

    def test_axis_and_range(self):
        self.show(1000)
        axis = self.figure("Loss").locator("svg text")
        expect(self.figure("Loss").locator(".unit")).to_have_text("step")
        expect(axis.last).to_have_text("1000")
        self.page.select_option("#axis", "tokens")
        expect(self.figure("Loss").locator(".unit")).to_have_text("tokens")
        expect(axis.last).to_have_text("8 M")
        self.page.select_option("#axis", "steps")
        self.page.select_option("#range", "0.1")
        expect(axis.first).to_have_text(re.compile(r"^2\.\d$"))
        labels = axis.all_text_contents()
        self.assertEqual(len(labels), len(set(labels)), labels)
        self.assertIn("900", labels)

    def test_values_at_a_step(self):
        self.show()
        cursor = self.page.locator("#cursor")
        expect(self.page.locator("#reading")).to_have_text("at step 250, the last one")
        latest = self.legend("Loss").text_content()
        cursor.focus()
        for _ in range(50):
            self.page.keyboard.press("ArrowLeft")
        expect(self.page.locator("#reading")).to_have_text("at step 200")
        self.assertNotEqual(self.legend("Loss").text_content(), latest)
        expect(self.figure("Loss").locator(".mark")).to_have_count(1)
        # It stays there while the run goes on.
        self.train(251, 260)
        expect(self.page.locator("#steps")).to_contain_text("Step 260 of")
        expect(self.page.locator("#reading")).to_have_text("at step 200")
        self.page.keyboard.press("End")
        expect(self.page.locator("#reading")).to_have_text("at step 260, the last one")
        box = self.figure("Loss").locator("svg").bounding_box()
        self.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
        expect(self.page.locator("#reading")).to_have_text(re.compile("^at step 1[234][0-9]$"))
        self.page.mouse.move(5, 5)
        expect(self.page.locator("#reading")).to_have_text("at step 260, the last one")

    def test_samples_and_log(self):
        self.page = self.open()
        expect(self.page.locator("#no-samples")).to_be_visible()
        self.run_.write("step 100 writes: And God said, <i>Let there be light</i>")
        self.run_.write("step 200 writes: And God said unto Noah")
        self.run_.write("step 200: checkpoint saved")
        expect(self.page.locator("#samples li")).to_have_count(2)
        expect(self.page.locator("#samples li").first).to_have_text("Step 200And God said unto Noah")
        expect(self.page.locator("#samples li").last).to_contain_text("<i>Let there be light</i>")
        self.page.locator("#log summary").focus()
        self.page.keyboard.press("Enter")
        expect(self.page.locator("#lines")).to_be_visible()
        expect(self.page.locator("#lines")).to_contain_text("step 200: checkpoint saved")

    def test_widths(self):
        for width in (320, 375, 800, 1920):
            with self.subTest(width=width):
                self.run_.metrics = ""
                self.show(300, width=width)
                self.assertEqual(self.overflow(), [])

    def test_many_steps(self):
        self.run_.steps = 200_000
        line = '{{"step":{0},"train/next_token":{1},"gradient_norm":1,"tokens_per_second":9000}}\n'
        self.run_.metrics = "".join(line.format(step, 2 + step % 7 / 10) for step in range(1, 100_001))
        self.page = self.open()
        expect(self.page.locator("#steps")).to_have_text("Step 100,000 of 200,000, 50 %")
        path = self.figure("Loss").locator("path").first
        self.assertLess(path.get_attribute("d").count("L"), 501)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)
