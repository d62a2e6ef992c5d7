// A Postfix of its own on loopback, in a folder of its own: it takes mail by STARTTLS or without, delivers example.org to
// Maildirs, hands what comes back to the daemon by LMTP, and returns what it cannot deliver to its sender. Needs root, since
// a mail server changes users.

import { execFile } from "node:child_process";
import { chmod, mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import PostalMime from "postal-mime";

const run = promisify(execFile);
/** A mail goes through two programs and a disk; thirty seconds leave room for a busy machine. */
const MAIL_WITHIN_MS = 30_000;

/** Services of master.cf that this one uses, none of them in a chroot. */
const SERVICES = (port) => `
127.0.0.1:${port} inet n - n - - smtpd
pickup  unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr    unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce  unix - - n - 0 bounce
defer   unix - - n - 0 bounce
trace   unix - - n - 0 bounce
error   unix - - n - - error
retry   unix - - n - - error
lmtp    unix - - n - - lmtp
virtual unix - n n - - virtual
tlsmgr  unix - - n 1000? 1 tlsmgr
anvil   unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`;

export class Postfix {
  /** `folder` is made; `ports` are free ones: where it listens, and where the daemon takes returns. */
  constructor(folder, { smtp, returns }) {
    this.folder = folder;
    this.port = smtp;
    this.returns = returns;
    this.config = join(folder, "etc");
    /** Its own; who trusts this file trusts it. */
    this.certificate = join(this.config, "certificate.pem");
  }

  async start(mailboxes) {
    const { folder, config } = this;
    await mkdir(config, { recursive: true });
    const pair = ["-keyout", join(config, "key.pem"), "-out", this.certificate];
    const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=CA:FALSE"];
    const kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"];
    await run("openssl", ["req", ...kind, ...subject, ...pair]);
    for (const name of ["queue", "data", "mail"]) await mkdir(join(folder, name));
    const { stdout: nobody } = await run("id", ["-u", "nobody"]);
    const { stdout: group } = await run("id", ["-g", "nobody"]);
    await run("chown", ["postfix", join(folder, "data")]);
    await run("chown", ["nobody", join(folder, "mail")]);
    await chmod(folder, 0o755);
    const settings = {
      compatibility_level: "3.6",
      meta_directory: "/etc/postfix",
      queue_directory: join(folder, "queue"),
      data_directory: join(folder, "data"),
      maillog_file: join(folder, "log"),
      maillog_file_prefixes: folder,
      myhostname: "mx.example.org",
      inet_interfaces: "127.0.0.1",
      inet_protocols: "ipv4",
      mynetworks: "127.0.0.0/8",
      mydestination: "",
      local_recipient_maps: "",
      alias_maps: "",
      alias_database: "",
      smtpd_recipient_restrictions: "permit_mynetworks, reject",
      smtpd_tls_cert_file: this.certificate,
      smtpd_tls_key_file: join(config, "key.pem"),
      smtpd_tls_security_level: "may",
      smtpd_tls_received_header: "yes",
      recipient_delimiter: "+",
      virtual_mailbox_domains: "example.org",
      virtual_mailbox_base: join(folder, "mail"),
      virtual_mailbox_maps: `texthash:${config}/mailboxes`,
      virtual_alias_maps: `texthash:${config}/aliases`,
      virtual_uid_maps: `static:${nobody.trim()}`,
      virtual_gid_maps: `static:${group.trim()}`,
      transport_maps: `texthash:${config}/transport`,
      // Whatever else: nothing leaves this machine.
      default_transport: "error:5.1.2 no such domain here",
    };
    const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`);
    await writeFile(join(config, "main.cf"), lines.join(""));
    await writeFile(join(config, "master.cf"), SERVICES(this.port).trimStart());
    await writeFile(join(config, "mailboxes"), mailboxes.map((name) => `${name}@example.org ${name}/\n`).join(""));
    await writeFile(join(config, "aliases"), "");
    const gone = "gone.example error:5.1.1 there is no such mailbox any more\n";
    await writeFile(join(config, "transport"), `returns.example.org lmtp:inet:127.0.0.1:${this.returns}\n${gone}`);
    await this.#command("start");
  }

  /** From now on there is no mailbox `name` any more, which is found out behind the dialogue. */
  async forget(name) {
    await writeFile(join(this.config, "aliases"), `${name}@example.org ${name}@gone.example\n`);
    await this.#command("reload");
  }

  stop() {
    return this.#command("stop");
  }

  #command(verb) {
    return run("postfix", ["-c", this.config, verb]);
  }

  /** What it says of itself. */
  log() {
    return readFile(join(this.folder, "log"), "utf8").catch(() => "");
  }

  /** All mails in the mailbox `name`, each with its source. */
  async mails(name) {
    const folder = join(this.folder, "mail", name, "new");
    const files = await readdir(folder).catch(() => []);
    const sources = await Promise.all(files.sort().map((file) => readFile(join(folder, file))));
    return Promise.all(sources.map(async (source) => ({ ...(await PostalMime.parse(source)), source })));
  }

  /** The mail in the mailbox `name` whose subject has `words`, as soon as it is there. */
  async mail(name, words) {
    for (const until = Date.now() + MAIL_WITHIN_MS; Date.now() < until; await pause(100)) {
      const found = (await this.mails(name)).find((mail) => mail.subject.includes(words));
      if (found) return found;
    }
    const there = (await this.mails(name)).map((mail) => mail.subject);
    throw new Error(`no mail to ${name} about "${words}" within ${MAIL_WITHIN_MS} ms, but ${JSON.stringify(there)}`);
  }
}

/** The value of a header field, unfolded. */
export function header(mail, name) {
  return mail.headers.find((field) => field.key === name.toLowerCase())?.value ?? "";
}
