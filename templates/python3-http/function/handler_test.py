"""Run with: python3 -m unittest function.handler_test, one folder up."""

import types
import unittest

from .handler import handle


class HandlerTest(unittest.TestCase):
    def test_says_what_it_received(self):
        event = types.SimpleNamespace(body="Grüße".encode(), headers={}, method="POST", path="/", query={})
        answer = handle(event, None)
        self.assertEqual(answer["statusCode"], 200)
        self.assertEqual(
            answer["body"], {"received": "Grüße", "contentType": None, "method": "POST", "path": "/"}
        )


if __name__ == "__main__":
    unittest.main()
