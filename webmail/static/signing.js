// SPDX-License-Identifier: AGPL-3.0-or-later
// Reads what is on the screen, compares, asks the passkey, sends its answer. The challenge is computed here from
// the statements and the pictures that were shown, so that the passkey says yes to those and to nothing else.
(() => {
  "use strict";
  const box = document.querySelector("[data-signing]");
  if (!box) return;
  const hex = (buffer) => [...new Uint8Array(buffer)].map((one) => one.toString(16).padStart(2, "0")).join("");
  const sha = (bytes) => crypto.subtle.digest("SHA-256", bytes);
  const joined = (...parts) => {
    const whole = new Uint8Array(parts.reduce((sum, one) => sum + one.byteLength, 0));
    let at = 0;
    for (const one of parts) { whole.set(new Uint8Array(one), at); at += one.byteLength; }
    return whole;
  };
  const utf8 = (text) => new TextEncoder().encode(text);
  const SEEN = "congvan-seen";
  const seen = () => JSON.parse(sessionStorage.getItem(SEEN) || "{}");
  const problem = box.querySelector("[data-problem]");
  const say = (text) => { if (problem) { problem.textContent = text; problem.hidden = !text; } };
  const host = new URL(box.dataset.host).hostname;

  const treeHead = async (leaves) => {
    if (leaves.length === 1) return leaves[0];
    let half = 1;
    while (half * 2 < leaves.length) half *= 2;
    return sha(joined(new Uint8Array([1]), await treeHead(leaves.slice(0, half)), await treeHead(leaves.slice(half))));
  };
  const challengeOf = async (items) => {
    const leaves = await Promise.all(items.map((one) => sha(joined(new Uint8Array([0]), utf8(one.text)))));
    const size = new Uint8Array([0, 0, 0, items.length]);
    return sha(joined(utf8("congvan approvals v1\n"), size, await treeHead(leaves)));
  };
  const says = (one, wanted) => {
    const told = JSON.parse(one.text.slice(one.text.indexOf("\n") + 1));
    return one.text.startsWith("congvan approval v1\n") && one.ref === wanted.ref &&
      Object.entries(one.statement).every(([name, value]) => told[name] === value) &&
      (!wanted.digest || (told.document === wanted.digest && told.shown === wanted.shown));
  };
  const gesture = async (asked, wanted) => {
    const challenge = await challengeOf(asked.items);
    const fits = asked.items.length === wanted.length && asked.items.every((one, at) => says(one, wanted[at]));
    if (!fits || Passkey.out(challenge) !== asked.challenge) throw new Error(box.dataset.differs || "!");
    const made = await navigator.credentials.get({ publicKey: {
      challenge, rpId: asked.host, userVerification: "required", timeout: asked.seconds * 1000,
      allowCredentials: asked.credentials.map((id) => ({ type: "public-key", id: Passkey.raw(id) })),
    } });
    const items = asked.items.map((one) => ({ ref: one.ref, statement: one.statement }));
    return Passkey.ask(box.dataset.finish, box.dataset.token, { items, assertion: Passkey.assertion(made) });
  };

  const one = box.dataset.one;
  if (one) {
    const button = box.querySelector("[data-sign]");
    const place = box.querySelector("[data-same]");
    if (!button) return;
    if (location.hostname !== host || !Passkey.can()) {
      box.querySelector("[data-other-host]").hidden = false;
      return;
    }
    const put = (name) => place.replaceChildren(box.querySelector(name).content.cloneNode(true));
    const wanted = { ref: one, digest: box.dataset.digest, shown: "" };
    (async () => {
      const digests = [];
      for (const picture of document.querySelectorAll("[data-page]")) {
        const answer = await fetch(picture.src, { credentials: "same-origin" });
        const bytes = await answer.arrayBuffer();
        picture.src = URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
        digests.push(await sha(bytes));
      }
      wanted.shown = hex(await sha(joined(...digests)));
      place.className = "";
      if (wanted.shown !== box.dataset.shown) { put("[data-same-bad]"); return; }
      put("[data-same-ok]");
      sessionStorage.setItem(SEEN, JSON.stringify({ ...seen(), [one]: { digest: wanted.digest, shown: wanted.shown } }));
      button.disabled = false;
    })().catch((fault) => say(fault.message));
    button.addEventListener("click", async () => {
      button.disabled = true;
      say("");
      try {
        const items = [{ ref: one, digest: wanted.digest, shown: wanted.shown }];
        const done = await gesture(await Passkey.ask(box.dataset.statements, box.dataset.token, { items }), [wanted]);
        const result = done.results[0];
        if (!result.done) throw new Error(result.text);
        put("[data-done]");
        place.firstElementChild.focus();
        const onward = box.querySelector("[data-onward]");
        onward.href = done.next;
        onward.textContent = onward.dataset.next;
        onward.classList.add("btn--primary");
        button.remove();
        for (const part of box.querySelectorAll("[data-until-done]")) part.remove();
      } catch (fault) {
        say(fault.message);
        button.disabled = false;
      }
    });
    return;
  }

  const sealed = box.dataset.seal;
  if (sealed) {
    const button = box.querySelector("[data-sign]");
    if (location.hostname !== host || !Passkey.can()) {
      box.querySelector("[data-other-host]").hidden = false;
      return;
    }
    button.disabled = false;
    button.addEventListener("click", async () => {
      button.disabled = true;
      say("");
      try {
        const asked = await Passkey.ask(box.dataset.statements, box.dataset.token, {});
        const done = await gesture(asked, asked.items.map(() => ({ ref: sealed })));
        location.assign(done.next);
      } catch (fault) {
        say(fault.message);
        button.disabled = false;
      }
    });
    return;
  }

  const batch = box.querySelector("[data-batch]");
  if (!batch || location.hostname !== host || !Passkey.can()) return;
  batch.hidden = false;
  const button = batch.querySelector("button");
  const ticks = [...batch.querySelectorAll("input")];
  const count = () => { button.disabled = !ticks.some((tick) => tick.checked); };
  for (const tick of ticks) {
    if (!seen()[tick.value]) continue;
    tick.disabled = false;
    tick.checked = true;
    tick.closest("li").querySelector("[data-unread]").hidden = true;
  }
  count();
  batch.addEventListener("change", count);
  batch.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    say("");
    try {
      const wanted = ticks.filter((tick) => tick.checked).map((tick) => ({ ref: tick.value, ...seen()[tick.value] }));
      const done = await gesture(await Passkey.ask(box.dataset.statements, box.dataset.token, { items: wanted }), wanted);
      for (const result of done.results) {
        const tick = ticks.find((other) => other.value === result.ref);
        tick.closest("li").querySelector("[data-result]").textContent = result.done ? batch.dataset.done : result.text;
        if (result.done) { tick.checked = false; tick.disabled = true; }
      }
      if (done.results.every((result) => result.done)) location.assign(done.next);
    } catch (fault) {
      say(fault.message);
    }
    count();
  });
})();
