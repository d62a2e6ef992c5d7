// A subscriber's way through the pages in a real browser, without scripts but for the form's own: subscribe with a daily
// digest, confirm, change the preferences on a telephone, unsubscribe, take it back. Not run by itself: newsroom.mjs does.

import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

/** A mail is in the outbox within a second; ten leave room for a busy machine. */
const MAIL_WITHIN_MS = 10_000;

/** The link below subscriptions/ in the mail to `address` whose subject has `words`. */
async function linkIn(outbox, address, words) {
  const until = Date.now() + MAIL_WITHIN_MS;
  while (Date.now() < until) {
    for (const name of (await readdir(outbox)).filter((name) => name.endsWith(".eml"))) {
      // Quoted-printable (RFC 2045 §6.7): soft line breaks out, `=3D` and the like back to characters.
      const mail = (await readFile(join(outbox, name), "latin1"))
        .replace(/=\r?\n/g, "")
        .replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
      const subject = mail.match(/^Subject: (.*(?:\r?\n[ \t].*)*)/m)?.[1] ?? "";
      const link = mail.match(/https?:\/\/\S+\/subscriptions\/[\w-]+/);
      if (mail.includes(`To: ${address}`) && subject.includes(words) && link) return link[0];
    }
    await pause(100);
  }
  throw new Error(`no mail to ${address} about "${words}" within ${MAIL_WITHIN_MS} ms`);
}

/** Needs the browser, where the daemon listens, and where it writes mails. */
export async function subscribesToDigest(browser, base, outbox) {
  const address = `digest-${process.pid}-${Date.now()}@example.org`;
  const context = await browser.newContext({ timezoneId: "Europe/Berlin" });
  const problems = [];
  try {
    const page = await context.newPage();
    page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
    await asksAndConfirms(page, base, outbox, address);
    const feed = await changesPreferences(page, base, outbox, address);
    await page.getByRole("button", { name: "Unsubscribe" }).click();
    await page.getByText("Nothing at the moment.").waitFor();
    assert.equal((await page.request.get(feed)).status(), 410);
    await page.goto(await linkIn(outbox, address, "you are unsubscribed"));
    await page.getByRole("button", { name: "Yes, subscribe me again" }).click();
    await page.getByRole("heading", { name: "You are subscribed again" }).waitFor();
    assert.equal((await page.request.get(feed)).status(), 200);
    // A form that was filled in wrongly comes back with 422, which the browser notes.
    assert.deepEqual(problems.filter((text) => !text.includes("422")), []);
  } finally {
    await context.close();
  }
}

async function asksAndConfirms(page, base, outbox, address) {
  await page.goto(new URL("subscribe", base).href);
  assert.equal(await page.getByLabel("Time zone").inputValue(), "Europe/Berlin");
  const trap = await page.locator("#website").boundingBox();
  assert.ok(trap.x < 0, "the trap is in sight");
  await page.getByLabel("Your mail address").fill(address);
  await page.getByRole("checkbox", { name: "Everything" }).check();
  await page.getByRole("radio", { name: "Once a day" }).check();
  await page.getByLabel("At what time?").selectOption("18");
  const days = page.getByRole("group", { name: "On which days?" });
  for (const day of ["Monday", "Friday"]) {
    await days.getByRole("checkbox", { name: day }).check();
  }
  const [request] = await Promise.all([
    page.waitForRequest((request) => request.method() === "POST"),
    page.getByRole("button", { name: "Subscribe", exact: true }).click(),
  ]);
  assert.match(request.postData(), /nonce=\d+/, "no proof of work");
  await page.getByRole("heading", { name: "Look into your mailbox" }).waitFor();
  await page.goto(await linkIn(outbox, address, "please confirm"));
  await page.getByRole("button", { name: "Yes, subscribe me" }).click();
  await page.getByRole("heading", { name: "You are subscribed" }).waitFor();
}

/** On a telephone. Returns the address of the private feed. */
async function changesPreferences(page, base, outbox, address) {
  await page.setViewportSize({ width: 360, height: 740 });
  await page.goto(new URL("subscribe", base).href);
  await page.getByLabel("Your mail address").fill(address);
  await page.getByRole("button", { name: "Mail me a link to my preferences" }).click();
  await page.getByRole("heading", { name: "Look into your mailbox" }).waitFor();
  await page.goto(await linkIn(outbox, address, "your preferences"));
  const width = await page.locator("html").evaluate((html) => html.scrollWidth);
  assert.ok(width <= 360, `the preferences are ${width} px wide, expected at most 360`);
  const own = page.getByRole("region", { name: "Subscription 1" });
  assert.ok(await own.getByRole("radio", { name: "Once a day" }).isChecked());
  assert.equal(await own.getByLabel("At what time?").inputValue(), "18");
  const ticked = await own.getByRole("group", { name: "On which days?" }).locator("input:checked").all();
  assert.deepEqual(await Promise.all(ticked.map((day) => day.inputValue())), ["Mon", "Fri"]);
  await own.getByLabel("Or a query").fill("category:science AND");
  await own.getByRole("button", { name: "Save" }).click();
  assert.match(await own.getByRole("alert").innerText(), /from character 21 on/);
  await own.getByLabel("Or a query").fill("category:science AND NOT tag:nothing");
  await own.getByRole("radio", { name: "Once a week" }).check();
  await own.getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved.").waitFor();
  assert.ok(await own.getByRole("radio", { name: "Once a week" }).isChecked());
  const feed = await own.getByRole("link", { name: "Atom" }).getAttribute("href");
  const answer = await page.request.get(feed);
  assert.equal(answer.headers()["cache-control"], "private, no-cache");
  return feed;
}
