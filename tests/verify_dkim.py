"""Verifies each DKIM signature of the mail on standard input, with a verifier that is not the signer.

The arguments are DNS records, name and text in turn. Prints one line a signature: `true` or `false`.
"""

import sys

import dkim

mail = sys.stdin.buffer.read()
records = dict(zip(sys.argv[1::2], sys.argv[2::2]))


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
