"""Verifies each DKIM signature of the mail on standard input, with a verifier that is not the signer.

The arguments are the time at which it looks, in seconds since 1970, and DNS records, name and text in turn. Prints
one line a signature: `true` or `false`.
"""

import sys
import types

import dkim

mail = sys.stdin.buffer.read()
# The mail was signed by a clock that the tests control, and the verifier believes no date ahead of its own.
now = float(sys.argv[1])
dkim.time = types.SimpleNamespace(time=lambda: now)
records = dict(zip(sys.argv[2::2], sys.argv[3::2]))


def answer(name, timeout=5):
    name = name.decode() if isinstance(name, bytes) else name
    return records.get(name.rstrip("."), "").encode()


head = mail.split(b"\r\n\r\n")[0].lower()
for number in range((b"\r\n" + head).count(b"\r\ndkim-signature:")):
    try:
        good = dkim.DKIM(mail).verify(idx=number, dnsfunc=answer)
    except dkim.DKIMException as error:
        print(error, file=sys.stderr)
        good = False
    print("true" if good else "false")
