// SPDX-License-Identifier: AGPL-3.0-or-later
// Adding a passkey on the page about oneself, and signing in with one.
(() => {
  "use strict";
  const box = document.querySelector("[data-passkeys]");
  if (!box) return;
  const problem = box.querySelector("[data-problem]");
  const say = (text) => { problem.textContent = text; problem.hidden = !text; };
  const elsewhere = box.querySelector("[data-other-host]");
  if (!Passkey.can() || location.hostname !== new URL(box.dataset.host).hostname) {
    if (elsewhere) elsewhere.hidden = false;
    return;
  }
  const button = box.querySelector("[data-go]");
  button.hidden = false;
  button.addEventListener("click", async () => {
    button.disabled = true;
    say("");
    try {
      if (box.dataset.passkeys === "enter") {
        const asked = await Passkey.ask(box.dataset.options, box.dataset.token, {});
        const made = await navigator.credentials.get({ publicKey: { ...asked, challenge: Passkey.raw(asked.challenge) } });
        const done = await Passkey.ask(box.dataset.send, box.dataset.token, { response: Passkey.assertion(made), next: box.dataset.next });
        location.assign(done.next);
        return;
      }
      const code = box.querySelector("[name=code]").value.trim();
      const label = box.querySelector("[name=label]").value.trim();
      const asked = await Passkey.ask(box.dataset.options, box.dataset.token, { code });
      const made = await navigator.credentials.create({ publicKey: {
        ...asked, challenge: Passkey.raw(asked.challenge), user: { ...asked.user, id: Passkey.raw(asked.user.id) },
        excludeCredentials: asked.excludeCredentials.map((one) => ({ ...one, id: Passkey.raw(one.id) })),
      } });
      const response = { id: made.id, rawId: Passkey.out(made.rawId), type: made.type, response: {
        clientDataJSON: Passkey.out(made.response.clientDataJSON), attestationObject: Passkey.out(made.response.attestationObject) } };
      const done = await Passkey.ask(box.dataset.send, box.dataset.token, { response, label, code });
      location.assign(done.next);
    } catch (fault) {
      say(fault.message);
      button.disabled = false;
    }
  });
})();
