// SPDX-License-Identifier: AGPL-3.0-or-later
// What the pages with passkeys share: base64url, asking the server, an assertion as plain values.
const Passkey = (() => {
  "use strict";
  const out = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const raw = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0));
  const ask = async (address, token, body) => {
    const answer = await fetch(address, {
      method: "POST", credentials: "same-origin", body: JSON.stringify(body),
      headers: { "Content-Type": "application/json", "X-Form-Token": token },
    });
    let told = {};
    try { told = await answer.json(); } catch { told = {}; }
    if (!answer.ok) throw new Error(told.text || answer.statusText);
    return told;
  };
  const assertion = (made) => ({
    id: made.id, rawId: out(made.rawId), type: made.type,
    response: {
      clientDataJSON: out(made.response.clientDataJSON), authenticatorData: out(made.response.authenticatorData),
      signature: out(made.response.signature), userHandle: made.response.userHandle ? out(made.response.userHandle) : "",
    },
  });
  const can = () => Boolean(window.PublicKeyCredential && window.isSecureContext);
  return { out, raw, ask, assertion, can };
})();
