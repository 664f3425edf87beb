import os
from collections import Counter


def handle(event, context):
    """Counts lines, words and characters of the body, and its most frequent words (`?top=3`)."""
    try:
        text = event.body.decode("utf-8")
        top = int(event.query.get("top") or os.environ.get("TOP_WORDS", "5"))
    except UnicodeDecodeError:
        return {"statusCode": 400, "body": {"error": "the body is not UTF-8 text"}}
    except ValueError:
        return {"statusCode": 400, "body": {"error": "top must be a whole number"}}
    words = [word for word in map(bare, text.split()) if word]
    return {
        "body": {
            "lines": len(text.splitlines()),
            "words": len(words),
            "characters": len(text),
            "top": [{"word": word, "count": count} for word, count in Counter(words).most_common(max(0, top))],
        }
    }


def bare(word):
    """Without the punctuation around it, in one case: `“Hello,` and `hello` are the same word."""
    start, end = 0, len(word)
    while start < end and not word[start].isalnum():
        start += 1
    while end > start and not word[end - 1].isalnum():
        end -= 1
    return word[start:end].casefold()
