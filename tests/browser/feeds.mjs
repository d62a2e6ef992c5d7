// The feeds as a parser of another language reads them: all three formats say the same of the same articles.
//
// Checks what it is given: the address of the daemon. Used by newsroom.mjs.

import assert from "node:assert/strict";
import { parseFeed } from "feedsmith";

/** Everything that is followed here, in each format: `{ title, items: [{ id, title, link, text }] }`. */
async function read(address, format) {
  const answer = await fetch(address);
  assert.equal(answer.status, 200, address);
  const parsed = parseFeed(await answer.text());
  assert.equal(parsed.format, format, address);
  const feed = parsed.feed;
  const items = (feed.items ?? feed.entries ?? []).map((item) => ({
    id: item.guid?.value ?? item.id,
    title: item.title?.value ?? item.title,
    link: item.link ?? item.url ?? item.links?.find((link) => link.rel === "alternate")?.href,
    text: item.content?.encoded ?? item.content?.value ?? item.content ?? item.content_html ?? item.description,
  }));
  return { title: feed.title?.value ?? feed.title, items };
}

/** Reads `folder` in all formats. Returns how many items it has. */
export async function sayTheSame(base, folder) {
  const [rss, atom, json] = await Promise.all(
    [["rss.xml", "rss"], ["atom.xml", "atom"], ["feed.json", "json"]].map(([file, format]) =>
      read(new URL(folder + file, base).href, format)),
  );
  assert.ok(rss.items.length > 0, `nothing in ${folder}`);
  for (const other of [atom, json]) {
    assert.equal(other.title, rss.title);
    for (const field of ["id", "title", "link", "text"]) {
      assert.deepEqual(other.items.map((item) => item[field]), rss.items.map((item) => item[field]), `${folder}: ${field}`);
    }
  }
  assert.equal(new Set(rss.items.map((item) => item.id)).size, rss.items.length, "an id stands twice");
  return rss.items.length;
}
