"""Run with: python3 -m unittest function.handler_test, one folder up."""

import unittest

from .handler import handle


class HandlerTest(unittest.TestCase):
    def test_answers_with_what_it_received(self):
        self.assertEqual(handle("Grüße"), "Grüße")


if __name__ == "__main__":
    unittest.main()
