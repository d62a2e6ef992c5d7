// The proof of work of the form, found while it is being filled in; and the reader's own time zone.
"use strict";
(() => {
  const form = document.querySelector("form[data-challenge]");
  if (!form) return;
  const zone = form.querySelector("#time_zone");
  if (zone && zone.dataset.standard === zone.value) {
    zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone || zone.value;
  }

  // SHA-256 (FIPS 180-4) of a short text; the browser's own answers only to secure origins, and one call at a time.
  const primes = [];
  for (let n = 2; primes.length < 64; n++) if (primes.every((prime) => n % prime)) primes.push(n);
  const fraction = (x) => ((x - Math.floor(x)) * 0x100000000) | 0;
  const K = primes.map((prime) => fraction(Math.cbrt(prime)));
  const H = primes.slice(0, 8).map((prime) => fraction(Math.sqrt(prime)));
  const w = new Int32Array(64);
  const turn = (x, by) => (x >>> by) | (x << (32 - by));

  /** The first 32 bits of the digest of ASCII `text`. */
  function first(text) {
    const words = new Int32Array((((text.length + 8) >> 6) + 1) * 16);
    for (let i = 0; i < text.length; i++) words[i >> 2] |= text.charCodeAt(i) << (24 - (i % 4) * 8);
    words[text.length >> 2] |= 0x80 << (24 - (text.length % 4) * 8);
    words[words.length - 1] = text.length * 8;
    const state = H.slice();
    for (let block = 0; block < words.length; block += 16) {
      let [a, b, c, d, e, f, g, h] = state;
      for (let i = 0; i < 64; i++) {
        if (i < 16) {
          w[i] = words[block + i];
        } else {
          const x = w[i - 15];
          const y = w[i - 2];
          w[i] = (w[i - 16] + w[i - 7] + (turn(x, 7) ^ turn(x, 18) ^ (x >>> 3)) + (turn(y, 17) ^ turn(y, 19) ^ (y >>> 10))) | 0;
        }
        const t = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + K[i] + w[i]) | 0;
        const u = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
        [h, g, f, e, d, c, b, a] = [g, f, e, (d + t) | 0, c, b, a, (t + u) | 0];
      }
      [a, b, c, d, e, f, g, h].forEach((value, i) => (state[i] = (state[i] + value) | 0));
    }
    return state[0] >>> 0;
  }

  const { challenge, bits } = form.dataset;
  let nonce = 0;
  let found = false;
  let waiting = null;

  /** Searches for some milliseconds at a time, so that the page stays at hand. */
  function search() {
    const until = performance.now() + 12;
    while (performance.now() < until) {
      for (let i = 0; i < 50; i++, nonce++) {
        if (Math.clz32(first(`${challenge}:${nonce}`)) >= Number(bits)) {
          form.querySelector("[name=nonce]").value = nonce;
          found = true;
          if (waiting) form.requestSubmit(waiting);
          return;
        }
      }
    }
    setTimeout(search);
  }

  form.addEventListener("submit", (event) => {
    if (found || waiting) return;
    event.preventDefault();
    waiting = event.submitter;
  });
  search();
})();
