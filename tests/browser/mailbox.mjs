// A subscriber's way with a real mail server and a real browser: the daemon sends to Postfix, Postfix delivers to a
// Maildir, the links in the mails are followed in Chromium; a signature holds, leaving by mail and a bounce come back.
// At the end the daemon's calendar is a day and an hour ahead: a digest's hour has come, and the time of programs that
// open the links of new mails is over.
//
// TIDINGS   the daemon's program
// WORK      a folder, which is made
// PYTHON    a Python with dkimpy
// CHROMIUM  the browser, if it is not /usr/bin/chromium
//
// Needs root and a C compiler. Prints a line for each check; the exit code is 1 if one failed.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { chromium } from "playwright-core";
import { Postfix, header } from "./postfix.mjs";

const run = promisify(execFile);
const { TIDINGS: program, WORK: work, PYTHON: python } = process.env;
const READERS = ["reader", "writer", "gone", "keeper", "annoyed"];
/** They ask, and do not confirm at once. */
const ASKERS = ["stranger", "late"];
/** The hour of a daily digest comes within it, whatever the hour is now. */
const LATER_S = 25 * 3600;
/** The daemon looks at what came in at once; a bounce goes through Postfix before. */
const SOON_MS = 30_000;

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

const ports = { web: await freePort(), admin: await freePort(), smtp: await freePort(), returns: await freePort() };
const base = `http://127.0.0.1:${ports.web}/`;
const config = join(work, "newsroom", "tidings.toml");
const postfix = new Postfix(join(work, "postfix"), ports);

const tidings = async (...words) => (await run(program, [...words, "--config", config])).stdout;

async function configure() {
  await mkdir(join(work, "newsroom", "feeds"), { recursive: true });
  await writeFile(join(work, "newsroom", "feeds", "science.toml"), 'title = "Science"\ndescription = "Research."\n');
  const settings = `[site]
title = "Example News"
description = "A newsroom."
base_url = "${base}"
[server]
listen = "127.0.0.1:${ports.web}"
admin_listen = "127.0.0.1:${ports.admin}"
[subscriptions]
unproven_wait_s = 0
[mail]
from = "Example News <news@example.org>"
grace_s = 0
return_address = "bounces@returns.example.org"
returns_lmtp = "127.0.0.1:${ports.returns}"
dkim_folder = "dkim"
[mail.smtp]
host = "localhost"
port = ${ports.smtp}
tls = "starttls"
ca_file = "${postfix.certificate}"
[mail.canary]
address = "bounces+canary@returns.example.org"
`;
  await writeFile(config, settings);
}

async function startDaemon(env = {}) {
  const options = { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, ...env } };
  const daemon = spawn(program, ["serve", "--config", config], options);
  for await (const line of createInterface({ input: daemon.stdout })) {
    if (line.startsWith("  mail ")) return daemon;
  }
  throw new Error("the daemon did not start");
}

async function stopDaemon(daemon) {
  const ended = once(daemon, "exit");
  daemon.kill("SIGTERM");
  const [code] = await ended;
  assert.equal(code, 0, `the daemon ended with ${code}`);
}

/** What has to come about soon, whenever that is. */
async function soon(what, look) {
  for (const until = Date.now() + SOON_MS; Date.now() < until; await pause(100)) {
    if (await look()) return;
  }
  throw new Error(`${what}: not within ${SOON_MS} ms`);
}

const shown = (name) => tidings("subscribers", "show", `${name}@example.org`);

/** All that the API tells of the address, but for how far its mails are on their way. */
async function held(name) {
  const record = JSON.parse(await tidings("subscribers", "export", `${name}@example.org`));
  return { ...record, messages: record.messages.length };
}

/** A program looks where a link of a mail leads, which changes nothing. */
async function looks(page, name, link) {
  const before = await held(name);
  assert.equal((await page.request.get(link)).status(), 200);
  assert.deepEqual(await held(name), before, `${link} was only looked at`);
}

/** So does a person, who has not pressed anything yet. */
async function opens(page, name, link) {
  await looks(page, name, link);
  const before = await held(name);
  await page.goto(link);
  assert.equal(await page.locator("script").count(), 0, `a script on ${link}`);
  assert.deepEqual(await held(name), before, `${link} was only opened`);
}

async function asks(page, name) {
  await page.goto(new URL("subscribe", base).href);
  await page.getByLabel("Your mail address").fill(`${name}@example.org`);
  await page.getByRole("checkbox", { name: "Everything" }).check();
  await page.getByRole("button", { name: "Subscribe", exact: true }).click();
  await page.getByRole("heading", { name: "Look into your mailbox" }).waitFor();
}

async function subscribes(page, name) {
  await asks(page, name);
  await opens(page, name, linkIn(await postfix.mail(name, "please confirm"), "subscriptions"));
  await page.getByRole("button", { name: "Yes, subscribe me" }).click();
  await page.getByRole("heading", { name: "You are subscribed" }).waitFor();
}

async function publish(title) {
  const file = join(work, "article.md");
  await writeFile(file, `+++\ntitle = "${title}"\ncategories = ["science"]\nsummary = "In short: ${title}."\n+++\nAt length.\n`);
  await tidings("article", "add", file);
}

/** The addresses below `path` in the text part. */
function linksIn(mail, path, rest = "") {
  const links = mail.text.match(new RegExp(`${base.replaceAll(".", "\\.")}${path}/[\\w/-]+${rest}`, "g"));
  assert.ok(links, `no link below ${path} in:\n${mail.text}`);
  return links;
}

const linkIn = (...words) => linksIn(...words)[0];

/** A mail to ourselves went out to Postfix, and came back by it. */
async function isWatched() {
  await soon("the canary is back", async () => /^canary: last sent \S+, last came 2/m.test(await tidings("mail", "status")));
}

/** Follows what a notice links to. */
async function reads(page) {
  await publish("Rover lands");
  const notice = await postfix.mail("reader", "Rover lands");
  assert.match(header(notice, "return-path"), /^<bounces\+[a-z0-9.-]+@returns\.example\.org>$/);
  assert.equal(header(notice, "delivered-to"), "reader@example.org");
  assert.match(header(notice, "received"), /\(using TLSv1\.3 /);
  assert.equal(header(notice, "list-unsubscribe-post"), "List-Unsubscribe=One-Click");
  for (const html of [notice.html, notice.text]) assert.ok(html.includes("In short: Rover lands."));
  await page.goto(linkIn(notice, "articles", "/print"));
  await page.getByRole("heading", { name: "Rover lands" }).waitFor();
}

/** The signature, read by another program behind another mail server, with the keys that are to be published. */
async function isSigned() {
  const { source } = await postfix.mail("reader", "Rover lands");
  const file = join(work, "signed.eml");
  // A Maildir has lines that end in a line feed alone.
  await writeFile(file, source.toString("latin1").replace(/\r?\n/g, "\r\n"), "latin1");
  const records = join(work, "records.txt");
  await writeFile(records, await tidings("mail", "dkim"));
  const check = `import re, sys, dkim
mail, records = open(sys.argv[1], "rb").read(), open(sys.argv[2]).read()
def record(name, timeout=5):
    value = re.search(re.escape(name.decode().rstrip(".")) + r"\\.?\\s.*?((?:\\"[^\\"]*\\"\\s*)+)", records, re.S)[1]
    return "".join(re.findall(r"\\"([^\\"]*)\\"", value)).encode()
count = len(dkim.DKIM(mail).headers and re.findall(rb"(?mi)^dkim-signature:", mail))
print(count, [dkim.DKIM(mail).verify(idx=index, dnsfunc=record) for index in range(count)])`;
  const { stdout } = await run(python, ["-c", check, file, records]);
  assert.equal(stdout.trim(), "2 [True, True]");
}

async function leavesByLink(page, words) {
  await opens(page, "reader", linkIn(await postfix.mail("reader", words), "subscriptions"));
  await page.getByRole("button", { name: "Unsubscribe" }).click();
  await page.getByRole("heading", { name: "You are unsubscribed" }).waitFor();
}

/** Writes to the address of the `mailto` link, as a mail program does. */
async function leavesByMail() {
  const notice = await postfix.mail("writer", "Rover lands");
  const link = new URL(header(notice, "list-unsubscribe").match(/<(mailto:[^>]+)>/)[1]);
  const write = `import smtplib, sys
from email.message import EmailMessage
mail = EmailMessage()
mail["From"], mail["To"], mail["Subject"] = "writer@example.org", sys.argv[2], sys.argv[3]
mail.set_content("Please.")
smtplib.SMTP("127.0.0.1", int(sys.argv[1])).send_message(mail)`;
  const subject = link.searchParams.get("subject") ?? "unsubscribe";
  await run("python3", ["-c", write, String(ports.smtp), decodeURIComponent(link.pathname), subject]);
  await soon("writer is unsubscribed", async () => /unsubscribed/.test(await shown("writer")));
}

/** The report of a mailbox provider whose reader pressed "spam" (RFC 5965), with the mail enclosed that it is about. */
async function complains() {
  const { source, ...notice } = await postfix.mail("annoyed", "Rover lands");
  const sender = header(notice, "return-path").replace(/^<|>$/g, "");
  const file = join(work, "complaint.eml");
  const parts = [
    "From: feedback@provider.example\nTo: " + sender + "\nSubject: Fw: Rover lands\nMIME-Version: 1.0\n" +
      'Content-Type: multipart/report; report-type=feedback-report; boundary="part"\n\n',
    "\nContent-Type: text/plain\n\nThis is a report of a mail that a reader calls spam.\n",
    "\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\nUser-Agent: Provider/1.0\nVersion: 1\n",
    `\nContent-Type: message/rfc822\n\n${source.toString("latin1")}`,
  ];
  await writeFile(file, `${parts.join("\n--part")}\n--part--\n`, "latin1");
  const send = `import smtplib, sys
port, to, file = sys.argv[1:]
smtplib.SMTP("127.0.0.1", int(port)).sendmail("feedback@provider.example", [to], open(file, "rb").read())`;
  await run("python3", ["-c", send, String(ports.smtp), sender, file]);
  await soon("annoyed has complained", async () => (await held("annoyed")).subscriber.complained_at !== undefined);
  assert.match(await shown("annoyed"), /unsubscribed/);
}

/** The mailbox goes; the report of the next mail ends the subscription. */
async function bounces() {
  await postfix.forget("gone");
  await publish("Rover drives");
  await soon("gone is refused", async () => /refused/.test(await shown("gone")));
}

/** Who left, by either way, got nothing more than a word of farewell. */
async function getsNoMore() {
  await publish("Rover rests");
  await postfix.mail("keeper", "Rover rests");
  for (const [name, last] of ["reader", "writer", "gone", "annoyed"].map((name) => [name, "Rover lands"])) {
    const subjects = (await postfix.mails(name)).map((mail) => mail.subject);
    assert.ok(subjects.some((subject) => subject.includes(last)), `${name}: ${subjects}`);
    assert.ok(!subjects.some((subject) => /drives|rests/.test(subject)), `${name}: ${subjects}`);
  }
  for (const words of ["lands", "drives", "rests"]) {
    const count = (await postfix.mails("keeper")).filter((mail) => mail.subject.includes(words)).length;
    assert.equal(count, 1, `${count} mails to keeper about "${words}"`);
  }
}

/** What a mailbox provider does for a reader who presses its own button (RFC 8058). */
async function leavesByOneClick(page) {
  const notice = await postfix.mail("keeper", "Rover rests");
  const link = header(notice, "list-unsubscribe").match(/<(https?:[^>]+)>/)[1];
  await looks(page, "keeper", link);
  const answer = await page.request.post(link, { form: { "List-Unsubscribe": "One-Click" }, maxRedirects: 0 });
  assert.equal(answer.status(), 200);
  assert.match(await shown("keeper"), /unsubscribed/);
}

async function takesItBack(page) {
  await opens(page, "reader", linkIn(await postfix.mail("reader", "you are unsubscribed"), "subscriptions"));
  await page.getByRole("button", { name: "Yes, subscribe me again" }).click();
  await page.getByRole("heading", { name: "You are subscribed again" }).waitFor();
  assert.match(await shown("reader"), /confirmed, instant/);
}

/** By the link to leave, which leads to one to the preferences. */
async function wantsDigest(page) {
  await page.goto(linkIn(await postfix.mail("reader", "Rover lands"), "subscriptions"));
  await page.getByRole("button", { name: "Mail me a link to my preferences" }).click();
  await opens(page, "reader", linkIn(await postfix.mail("reader", "your preferences"), "subscriptions"));
  const own = page.getByRole("region", { name: "Subscription 1" });
  await own.getByRole("radio", { name: "Once a day" }).check();
  await own.getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved.").waitFor();
  assert.match(await shown("reader"), /confirmed, daily/);
}

/** Whoever asks for this address afterwards is answered like everybody, and nothing comes of it. */
async function isNeverAskedAgain(page) {
  await asks(page, "stranger");
  await opens(page, "stranger", linksIn(await postfix.mail("stranger", "please confirm"), "subscriptions").at(-1));
  await page.getByRole("button", { name: "Never ask me again" }).click();
  await page.getByRole("heading", { name: "You will not be asked again" }).waitFor();
  await asks(page, "stranger");
  const said = await shown("stranger");
  assert.match(said, /never to be asked again/);
  assert.doesNotMatch(said, /pending/);
}

/** The daemon is started again, with another calendar. */
async function isLater() {
  const library = join(work, "later.so");
  const source = fileURLToPath(new URL("later.c", import.meta.url));
  await run("cc", ["-shared", "-fPIC", `-DLATER_S=${LATER_S}`, "-o", library, source]);
  await stopDaemon(daemon);
  daemon = undefined;
  daemon = await startDaemon({ LD_PRELOAD: library });
}

/** The page presses its button itself. */
async function confirmsByComing(page) {
  const link = linkIn(await postfix.mail("late", "please confirm"), "subscriptions");
  await looks(page, "late", link);
  // The page leaves before it is complete.
  await page.goto(link, { waitUntil: "commit" });
  await page.getByRole("heading", { name: "You are subscribed" }).waitFor();
  assert.match(await shown("late"), /confirmed, instant/);
}

async function getsDigest(page) {
  const digest = await postfix.mail("reader", "and 1 more");
  const titles = [];
  for (const link of linksIn(digest, "articles")) {
    await page.goto(link);
    titles.push(await page.locator("h1").innerText());
  }
  // Each has a link to be read and one to be printed.
  assert.deepEqual(titles, ["Rover dances", "Rover dances", "Rover sings", "Rover sings"]);
  await leavesByLink(page, "and 1 more");
  assert.match(await shown("reader"), /unsubscribed, daily/);
}

await configure();
await postfix.start([...READERS, ...ASKERS]);
await tidings("mail", "dkim", "--create", "rsa", "--algorithm", "rsa");
await tidings("mail", "dkim", "--create", "ed25519", "--algorithm", "ed25519");
let daemon;
let failed = 0;
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-dev-shm-usage"],
});
try {
  daemon = await startDaemon();
  const page = await browser.newPage();
  const steps = [
    ["subscribes and confirms by the link in the mail", async () => { for (const name of READERS) await subscribes(page, name); }],
    ["is mailed by a server that is watched by a canary", isWatched],
    ["gets a notice and follows its links", () => reads(page)],
    ["has mails whose signatures hold behind another mail server", isSigned],
    ["leaves by the link in the mail", () => leavesByLink(page, "Rover lands")],
    ["leaves by a mail", leavesByMail],
    ["complains to the mailbox provider", complains],
    ["is no longer mailed when the mailbox is gone", bounces],
    ["gets nothing after leaving, and all of it once before", getsNoMore],
    ["leaves by one click", () => leavesByOneClick(page)],
    ["takes leaving back by the link in the farewell", () => takesItBack(page)],
    ["changes to a digest by the link to the preferences", () => wantsDigest(page)],
    ["is never asked again", () => isNeverAskedAgain(page)],
    ["asks, and looks into the mailbox a day later", async () => {
      await asks(page, "late");
      await postfix.mail("late", "please confirm");
      for (const title of ["Rover sings", "Rover dances"]) await publish(title);
      await isLater();
    }],
    ["confirms by opening the link later", () => confirmsByComing(page)],
    ["gets a digest and follows its links", () => getsDigest(page)],
  ];
  for (const [what, step] of steps) {
    try {
      await step();
      console.log(`ok      ${what}`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED  ${what}: ${error.message}`);
    }
  }
} finally {
  await browser.close();
  if (daemon) await stopDaemon(daemon);
  await postfix.stop();
  if (failed > 0) console.log((await postfix.log()).split("\n").slice(-60).join("\n"));
}
process.exit(failed === 0 ? 0 : 1);
