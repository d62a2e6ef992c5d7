"""Reads the feed in a file as readers built on feedparser do, and tells as JSON what they see.

Usage: read_feed.py FILE CONTENT-TYPE
"""

import json
import sys
import time

import feedparser

PRINT_REL = "urn:tidings:rel:print"


def entry(found):
    published = found.get("published_parsed")
    prints = [link["href"] for link in found.get("links", []) if link.get("rel") == PRINT_REL]
    return {
        "id": found.get("id"),
        "title": found.get("title"),
        "link": found.get("link"),
        "summary": found.get("summary"),
        "content": "".join(part["value"] for part in found.get("content", [])),
        "published": published and time.strftime("%Y-%m-%dT%H:%M:%SZ", published),
        "print": prints[0] if prints else None,
    }


with open(sys.argv[1], "rb") as file:
    feed = feedparser.parse(file.read(), response_headers={"content-type": sys.argv[2]})
complaint = repr(feed.bozo_exception) if feed.bozo else None
json.dump({"complaint": complaint, "entries": [entry(found) for found in feed.entries]}, sys.stdout)
