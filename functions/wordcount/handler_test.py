"""Run with: python3 -m unittest handler_test"""

import types
import unittest

try:
    from .handler import handle
except ImportError:
    from handler import handle


def count(body, **query):
    return handle(types.SimpleNamespace(body=body, query=query), None)


class WordCountTest(unittest.TestCase):
    def test_counts(self):
        body = count("The cat.\nThe “dog”, the – Über-Cat\n".encode())["body"]
        self.assertEqual((body["lines"], body["words"], body["characters"]), (2, 6, 35))
        self.assertEqual(body["top"][0], {"word": "the", "count": 3})
        self.assertIn({"word": "über-cat", "count": 1}, body["top"])

    def test_nothing(self):
        self.assertEqual(count(b"")["body"], {"lines": 0, "words": 0, "characters": 0, "top": []})

    def test_limits_the_list(self):
        self.assertEqual(len(count(b"a b c", top="2")["body"]["top"]), 2)
        self.assertEqual(count(b"a b c", top="-1")["body"]["top"], [])

    def test_refuses_what_it_cannot_count(self):
        self.assertEqual(count(b"\xff")["statusCode"], 400)
        self.assertEqual(count(b"a", top="many")["statusCode"], 400)


if __name__ == "__main__":
    unittest.main()
