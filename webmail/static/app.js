// SPDX-License-Identifier: AGPL-3.0-or-later
// What the pages do besides: keys, toasts, live counts, completion of recipients. All of it works without, too.
(() => {
  "use strict";
  const one = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // toasts: 20 seconds, or the cross
  const toasts = one("#toasts");
  const fade = (toast) => setTimeout(() => toast.matches(":hover, :focus-within") ? fade(toast) : toast.remove(), 20000);
  all(".note--toast", toasts).forEach(fade);
  document.addEventListener("click", (event) => {
    const cross = event.target.closest("[data-close]");
    if (!cross) return;
    const dialog = cross.closest("dialog");
    if (dialog) dialog.close(); else cross.closest(".note--toast").remove();
  });
  const tell = (text, href) => {
    const made = one("#toast-shape").content.cloneNode(true).firstElementChild;
    one("span", made).textContent = text;
    one("a", made).href = href;
    toasts.replaceChildren(made);
    fade(made);
  };

  // live counts and new letters
  const stream = new EventSource("/events");
  const title = document.title;
  stream.addEventListener("count", (event) => {
    const counts = JSON.parse(event.data);
    for (const [place, n] of Object.entries(counts)) {
      if (place === "mail.drafts" || place === "mail.sent") continue;
      for (const badge of all(`[data-count="${CSS.escape(place)}"]`)) show(badge, n);
      if (place === "mail.inbox") {
        all('[data-count="mail"]').forEach((badge) => show(badge, n));
        document.title = n ? `(${n}) ${title}` : title;
      }
    }
  });
  stream.addEventListener("mail", (event) => {
    const news = JSON.parse(event.data);
    tell(news.text, news.href);
  });
  const show = (badge, n) => {
    badge.firstChild.nodeValue = n.toLocaleString(document.documentElement.lang);
    badge.hidden = !n;
  };
  addEventListener("pagehide", () => stream.close());

  // keys
  const rows = () => all("a.row");
  const step = (by) => {
    const list = rows();
    const here = list.indexOf(document.activeElement);
    const from = here >= 0 ? here : list.findIndex((row) => row.hasAttribute("aria-current"));
    const next = list[Math.min(list.length - 1, Math.max(0, from + by))];
    if (next) next.focus();
  };
  const press = (value) => one(`[data-acts] button[value="${value}"]`)?.click();
  const follow = (key) => one(`[data-key="${key}"]`)?.click();
  const keys = {
    j: () => step(1), k: () => step(-1), ArrowDown: () => step(1), ArrowUp: () => step(-1),
    c: () => follow("c"), r: () => follow("r"), a: () => follow("a"), f: () => follow("f"), z: () => follow("z"),
    u: () => follow("u"), e: () => press("archive"), "#": () => press("trash"),
    s: () => one('[data-acts] button[value$="flag"]')?.click(),
    "/": () => one("#q").focus(), "?": () => one("#keys").showModal(),
  };
  let went = false;
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.ctrlKey) {
      const form = event.target.closest("[data-compose]");
      if (form) form.requestSubmit();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || one("dialog[open]")) return;
    if (event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]")) return;
    if (went && event.key === "i") { location.href = "/mail/inbox"; return; }
    went = event.key === "g";
    const act = keys[event.key];
    const moves = event.key.startsWith("Arrow");
    if (!act || (moves && !event.target.closest("a.row"))) return;
    event.preventDefault();
    act();
  });

  // sending once
  for (const form of all("[data-compose]")) {
    form.addEventListener("submit", (event) => {
      if (form.dataset.sent) event.preventDefault();
      form.dataset.sent = "1";
      one("button[type=submit]", form).setAttribute("aria-busy", "true");
    });
    addEventListener("pageshow", () => {
      delete form.dataset.sent;
      one("button[type=submit]", form).removeAttribute("aria-busy");
    });
  }

  // recipients: completion (ARIA combobox) and chips; every chip is a hidden field beside the visible one
  const fold = (text) => text.toLowerCase().replaceAll("\u0111", "d").normalize("NFD").replace(/[\u0300-\u036f]/g, "");
  for (const place of all("[data-people]")) {
    const input = one("input", place);
    const chips = one(".chips", place);
    const list = document.createElement("ul");
    Object.assign(list, { className: "combo__list", id: `${input.id}-list`, hidden: true });
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", one("label", place).textContent);
    place.append(list);
    for (const [name, value] of Object.entries({ role: "combobox", "aria-expanded": "false", "aria-controls": list.id, "aria-autocomplete": "list" })) input.setAttribute(name, value);
    let items = [], chosen = -1, asked = 0, waiting = 0;

    const close = () => { list.hidden = true; chosen = -1; input.setAttribute("aria-expanded", "false"); input.removeAttribute("aria-activedescendant"); };
    const chip = (address, name, mark) => {
      const made = document.createElement("span");
      const warned = (place.dataset.warned || "").split(" ").includes(address.toLowerCase());
      const [alertIcon, crossIcon] = one("#chip-icons").content.cloneNode(true).children;
      made.className = warned ? "chip chip--warn" : "chip";
      if (warned) made.append(alertIcon);
      if (mark) { const face = document.createElement("span"); face.className = "avatar avatar--b"; face.setAttribute("aria-hidden", "true"); face.textContent = mark; made.append(face); }
      const text = document.createElement("b");
      text.textContent = name || address;
      made.title = address;
      const value = Object.assign(document.createElement("input"), { type: "hidden", name: input.name, value: address });
      const cross = document.createElement("button");
      cross.type = "button";
      cross.setAttribute("aria-label", `\u00d7 ${address}`);
      cross.append(crossIcon);
      cross.addEventListener("click", () => { made.remove(); value.remove(); input.focus(); });
      made.append(text, cross);
      chips.insertBefore(made, input);
      chips.append(value);
      made.field = value;
    };
    const take = (item) => { input.value = ""; chip(item.address, item.name, item.mark); close(); input.focus(); };
    const commit = (whole) => {
      const typed = input.value.split(/[,;]/);
      const rest = whole ? "" : typed.pop();
      const kept = [];
      for (const part of typed.map((text) => text.trim()).filter(Boolean)) {
        const address = /<([^<>\s]+@[^<>\s]+)>$/.exec(part)?.[1] ?? part;
        if (/^[^\s@<>"]+@[^\s@<>"]+\.[^\s@<>"]+$/.test(address)) chip(address, part.includes("<") ? part.slice(0, part.indexOf("<")).replaceAll('"', "").trim() : ""); else kept.push(part);
      }
      input.value = [...kept, rest.trim()].filter(Boolean).join(", ");
    };
    const choose = (n) => {
      chosen = (n + items.length) % items.length;
      all("[role=option]", list).forEach((option, index) => option.setAttribute("aria-selected", String(index === chosen)));
      input.setAttribute("aria-activedescendant", `${list.id}-${chosen}`);
      list.children[chosen].scrollIntoView({ block: "nearest" });
    };
    const marked = (text, words) => {
      const holder = document.createElement("span");
      const flat = [...text].map((letter) => fold(letter) || "").join("");
      const at = flat.length === [...text].length ? flat.indexOf(words) : -1;
      if (at < 0) { holder.textContent = text; return holder; }
      const letters = [...text], mark = document.createElement("mark");
      mark.textContent = letters.slice(at, at + words.length).join("");
      holder.append(letters.slice(0, at).join(""), mark, letters.slice(at + words.length).join(""));
      return holder;
    };
    const render = (words) => {
      list.replaceChildren(...items.map((item, index) => {
        const option = document.createElement("li");
        option.setAttribute("role", "option");
        option.id = `${list.id}-${index}`;
        const face = document.createElement("span");
        face.className = "avatar avatar--b"; face.setAttribute("aria-hidden", "true"); face.textContent = item.mark;
        const text = document.createElement("span"), small = document.createElement("small");
        small.textContent = `${item.address} \u00b7 ${item.agency}`;
        text.append(marked(item.name, words), small);
        option.append(face, text);
        option.addEventListener("pointerdown", (event) => { event.preventDefault(); take(item); });
        return option;
      }));
      list.hidden = !items.length;
      input.setAttribute("aria-expanded", String(!!items.length));
      if (items.length) choose(0); else close();
    };
    const look = async () => {
      const words = fold(input.value.split(/[,;]/).pop().trim());
      if (words.length < 2) { close(); return; }
      const mine = ++asked;
      const answer = await fetch(`/directory?q=${encodeURIComponent(words)}`, { headers: { Accept: "application/json" } }).catch(() => null);
      if (!answer?.ok || mine !== asked) return;
      items = (await answer.json()).items;
      if (mine === asked && document.activeElement === input) render(words);
    };
    input.addEventListener("input", () => { if (/[,;]/.test(input.value)) commit(false); clearTimeout(waiting); waiting = setTimeout(look, 120); });
    input.addEventListener("keydown", (event) => {
      if (!list.hidden && (event.key === "ArrowDown" || event.key === "ArrowUp")) { event.preventDefault(); choose(chosen + (event.key === "ArrowDown" ? 1 : -1)); }
      else if (!list.hidden && event.key === "Enter" && !event.ctrlKey) { event.preventDefault(); take(items[chosen]); }
      else if (event.key === "Enter" && !event.ctrlKey) { event.preventDefault(); commit(true); }
      else if (event.key === "Escape") close();
      else if (event.key === "Backspace" && !input.value) { const last = all(".chip", chips).pop(); if (last) { last.field.remove(); last.remove(); } }
    });
    input.addEventListener("blur", () => setTimeout(() => { asked++; close(); commit(true); }, 100));
    if (input.value) commit(true);
  }
})();
