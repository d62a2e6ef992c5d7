// A reader's way through the pages in a real browser, with scripts switched off: read, print, subscribe, confirm.
//
// BASE_URL  where the daemon listens, and its configured public address
// OUTBOX    the folder it writes mails into
// PREVIEW   an address that `tidings mail preview` printed, of a newsroom whose notice has "A word of our own"
// CHROMIUM  the browser, if it is not /usr/bin/chromium
//
// Prints a line for each check; the exit code is 1 if one failed.

import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { chromium } from "playwright-core";
import { sayTheSame } from "./feeds.mjs";
import { subscribesToDigest } from "./subscriber.mjs";

const base = new URL(required("BASE_URL"));
const outbox = required("OUTBOX");
const preview = required("PREVIEW");
// A new address each time, so that a run on a store that was used before is the same.
const address = `reader-${process.pid}-${Date.now()}@example.org`;
/** A mail is in the outbox within a second; ten leave room for a busy machine. */
const MAIL_WITHIN_MS = 10_000;

function required(name) {
  const value = process.env[name];
  if (!value) {
    console.error(`${name} is not set`);
    process.exit(2);
  }
  return value;
}

const at = (path) => new URL(path, base).href;

async function opensHome(page) {
  const answer = await page.goto(at("."));
  assert.equal(answer.status(), 200);
  const types = await page.locator("head link[rel=alternate]").evaluateAll((links) => links.map((link) => link.type));
  for (const type of ["application/rss+xml", "application/atom+xml", "application/feed+json"]) {
    assert.ok(types.includes(type), `no feed of type ${type} among ${types}`);
  }
  assert.ok((await page.locator("main article").count()) > 0, "no article on the home page");
}

async function fitsTelephone(page) {
  for (const path of [".", "subscribe"]) {
    await page.setViewportSize({ width: 360, height: 740 });
    await page.goto(at(path));
    const width = await page.locator("html").evaluate((html) => html.scrollWidth);
    assert.ok(width <= 360, `${path} is ${width} px wide, expected at most 360`);
  }
  await page.setViewportSize({ width: 1200, height: 900 });
}

async function runsNoScript(page) {
  const policy = (await page.goto(at("."))).headers()["content-security-policy"] ?? "";
  assert.match(policy, /default-src 'none'/);
  assert.equal(await page.locator("script").count(), 0);
}

async function seesMistake(page) {
  await page.goto(at("."));
  await page.locator("footer").getByRole("link", { name: "by mail" }).click();
  await page.getByLabel("Your mail address").fill("nobody");
  await page.getByRole("checkbox").nth(1).check();
  const subscribe = page.getByRole("button", { name: "Subscribe", exact: true });
  const [answer] = await Promise.all([page.waitForEvent("response"), subscribe.click()]);
  assert.equal(answer.status(), 422);
  assert.equal(await page.locator("#address-fault").count(), 1, "no fault beside the address");
  assert.equal(await page.getByLabel("Your mail address").inputValue(), "nobody");
  assert.ok(await page.getByRole("checkbox").nth(1).isChecked(), "the choice was lost");
}

async function subscribes(page) {
  await page.getByLabel("Your mail address").fill(address);
  await page.getByRole("button", { name: "Subscribe", exact: true }).click();
  await page.getByRole("heading", { name: "Look into your mailbox" }).waitFor();
}

/** The confirming link of the mail to `address`. */
async function confirmingLink() {
  const until = Date.now() + MAIL_WITHIN_MS;
  while (Date.now() < until) {
    for (const name of (await readdir(outbox)).filter((name) => name.endsWith(".eml"))) {
      // Quoted-printable (RFC 2045 §6.7): soft line breaks out, `=3D` and the like back to characters.
      const mail = (await readFile(join(outbox, name), "latin1"))
        .replace(/=\r?\n/g, "")
        .replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
      const link = mail.match(/https?:\/\/\S+\/subscriptions\/[\w-]+/);
      if (mail.includes(address) && link) return link[0];
    }
    await pause(100);
  }
  throw new Error(`no mail to ${address} in ${outbox} within ${MAIL_WITHIN_MS} ms`);
}

async function confirms(page) {
  const link = await confirmingLink();
  for (const _ of ["first", "second"]) {
    await page.goto(link);
    await page.getByRole("heading", { name: "Confirm your subscription" }).waitFor();
  }
  await page.getByRole("button").click();
  await page.getByRole("heading", { name: "You are subscribed" }).waitFor();
  assert.equal((await page.context().cookies()).length, 0, "a cookie was set");
}

/** An article of the home page, one with links in its text if there is one, and its targets. */
async function anArticle(page) {
  await page.goto(at("."));
  const links = await page.locator("main .teaser :is(h2, h3) a").evaluateAll((all) => all.map((link) => link.href));
  let found;
  for (const link of links) {
    await page.goto(link);
    const all = await page.locator(".body a[href]").evaluateAll((body) => body.map((a) => a.getAttribute("href")));
    found = { link, targets: [...new Set(all)] };
    if (found.targets.length > 0) break;
  }
  await page.goto(found.link);
  return found;
}

async function prints(page) {
  const { targets } = await anArticle(page);
  const title = await page.locator("h1").innerText();
  await page.locator(".tools a").click();
  assert.match(page.url(), /\/print$/);
  assert.equal(await page.locator("h1").innerText(), title);
  assert.equal(await page.locator("nav, form").count(), 0, "navigation on the print view");
  const notes = await page.locator(".notes li").allInnerTexts();
  assert.deepEqual(notes, targets, "the notes are not the targets of the article's links");
  const numbers = await page.locator(".body sup").allInnerTexts();
  for (const number of targets.keys()) assert.ok(numbers.includes(`[${number + 1}]`), `no [${number + 1}] in the text`);
  const pdf = await page.pdf({ format: "A4" });
  assert.equal(pdf.subarray(0, 5).toString(), "%PDF-");
  return `${targets.length} notes, ${pdf.length} bytes of PDF`;
}

async function leavesOutNavigationOnPaper(page) {
  await anArticle(page);
  await page.emulateMedia({ media: "print" });
  for (const hidden of ["nav", ".imprint", ".tools"]) {
    assert.equal(await page.locator(hidden).first().isVisible(), false, `${hidden} is printed`);
  }
  await page.emulateMedia({ media: null });
}

async function missesPage(page) {
  const answer = await page.goto(at("no-such-category"));
  assert.equal(answer.status(), 404);
  assert.ok((await page.locator("main li a").count()) > 0, "the known categories are not named");
}

/** A feed's address, opened by a person: a page that says what it is. What a script fetches there is the feed. */
async function opensFeed(page) {
  const scripted = await page.context().browser().newContext({ permissions: ["clipboard-read", "clipboard-write"] });
  try {
    const person = await scripted.newPage();
    const problems = [];
    person.on("console", (message) => message.type() === "error" && problems.push(message.text()));
    for (const path of ["rss.xml", "science/atom.xml", "feed.json"]) {
      const answer = await person.goto(at(path));
      assert.match(answer.headers()["content-type"], /^text\/html/, path);
      await person.getByRole("heading", { name: /^Feed: / }).waitFor();
      await person.getByRole("button", { name: "Copy address" }).click();
      await person.getByRole("button", { name: "Copied" }).waitFor();
      assert.equal(await person.evaluate(() => navigator.clipboard.readText()), at(path));
      const fetched = await person.request.get(at(path));
      assert.doesNotMatch(fetched.headers()["content-type"], /html/, path);
    }
    assert.deepEqual(problems, []);
    await keepsPageAndFeedApart(person.context().browser());
    await person.getByRole("link", { name: "Get it by e-mail" }).click();
    await person.getByLabel("Your mail address").waitFor();
  } finally {
    await scripted.close();
  }
}

/** The browser's own cache has both at one address, and gives neither out for the other, however old it may be. */
async function keepsPageAndFeedApart(browser) {
  // What a page of ours may fetch is not asked here.
  const context = await browser.newContext({ bypassCSP: true });
  try {
    const person = await context.newPage();
    const fetched = () =>
      person.evaluate(async (address) => {
        const answer = await fetch(address, { cache: "force-cache" });
        return `${answer.status} ${answer.headers.get("content-type")}`;
      }, at("atom.xml"));
    for (let time = 0; time < 2; time += 1) {
      const page = await person.goto(at("atom.xml"));
      assert.match(page.headers()["content-type"], /^text\/html/);
      await person.getByRole("heading", { name: /^Feed: / }).waitFor();
      for (let again = 0; again < 2; again += 1) {
        assert.match(await fetched(), /^200 application\/atom\+xml/);
      }
    }
  } finally {
    await context.close();
  }
}

async function searches(page) {
  await page.goto(at("search"));
  await page.getByLabel("Query").fill("category:science AND NOT tag:nothing");
  await page.getByRole("button").click();
  assert.ok((await page.locator("main article").count()) > 0, "nothing was found");
  await page.goto(at("search"));
  await page.getByLabel("Query").fill("category:science AND");
  await page.getByRole("button").click();
  assert.match(await page.locator("main").innerText(), /from character 21 on/);
}

/** The form speaks the browser's language or the one that is chosen; what caches keep speaks the newsroom's. */
async function speaksRussian(page) {
  const context = await page.context().browser().newContext({ locale: "ru-RU" });
  try {
    const person = await context.newPage();
    await person.goto(at("subscribe"));
    assert.equal(await person.locator("html").getAttribute("lang"), "ru");
    await person.getByRole("link", { name: "中文" }).click();
    await person.getByRole("heading", { name: "邮件订阅" }).waitFor();
    await person.getByRole("link", { name: "Русский" }).click();
    const reader = `ru-${address}`;
    await person.getByLabel("Ваш адрес электронной почты").fill(reader);
    await person.getByRole("checkbox", { name: "Все материалы" }).check();
    assert.equal(await person.getByLabel("Язык", { exact: true }).inputValue(), "ru");
    await person.getByRole("button", { name: "Подписаться", exact: true }).click();
    await person.getByRole("heading", { name: "Проверьте почту" }).waitFor();
    assert.equal(await person.goto(at(".")).then((answer) => answer.headers().vary), undefined);
    assert.equal(await person.locator("html").getAttribute("lang"), "en", "public pages speak one language");
  } finally {
    await context.close();
  }
}

/** The operator looks at every kind of mail, with the newsroom's own template in force. */
async function previewsMails(page) {
  const problems = [];
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  const answer = await page.goto(preview);
  assert.equal(answer.status(), 200);
  assert.equal(answer.headers()["cache-control"], "no-store");
  assert.equal(await page.locator("iframe[sandbox]").count(), 18);
  const notice = page.getByRole("article", { name: "notice en" });
  await notice.locator("iframe").scrollIntoViewIfNeeded();
  const mail = notice.frameLocator("iframe");
  await mail.getByText("A word of our own.").waitFor();
  const russian = page.getByRole("article", { name: "digest ru" });
  assert.match(await russian.locator("pre").first().textContent(), /Отписаться: https?:/);
  const chinese = page.getByRole("article", { name: "confirmation zh" });
  await chinese.locator("iframe").scrollIntoViewIfNeeded();
  await chinese.frameLocator("iframe").getByRole("link", { name: "确认订阅" }).waitFor();
  // Looking into a frame in which nothing may run is told of; that its styles were refused would be as well.
  assert.deepEqual(problems.filter((text) => !text.startsWith("Blocked script execution")), []);
}

async function changesWhatIsMailed(page) {
  await subscribesToDigest(page.context().browser(), base, outbox);
}

async function isReadByAnotherParser() {
  const counts = await Promise.all(["", "science/", "languages/en/"].map((folder) => sayTheSame(base, folder)));
  return `${counts.join(", ")} items`;
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"],
});
const context = await browser.newContext({ javaScriptEnabled: false });
const page = await context.newPage();
let failed = 0;
for (const check of [
  opensHome,
  fitsTelephone,
  runsNoScript,
  missesPage,
  seesMistake,
  subscribes,
  confirms,
  prints,
  leavesOutNavigationOnPaper,
  opensFeed,
  searches,
  changesWhatIsMailed,
  speaksRussian,
  previewsMails,
  isReadByAnotherParser,
]) {
  // opensHome → "opens home"
  const name = check.name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  try {
    const said = await check(page);
    console.log(`ok      ${name}${said ? ` (${said})` : ""}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}: ${error.message}`);
  }
}
await browser.close();
process.exit(failed > 0 ? 1 : 0);
