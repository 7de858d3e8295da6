// SPDX-License-Identifier: AGPL-3.0-or-later
// The list of receiving agencies narrows while one types; without this the button beside the field does it.
(() => {
  "use strict";
  const field = document.querySelector("#filter");
  const list = document.querySelector("[data-agencies]");
  const count = document.querySelector("[data-chosen]");
  if (!field || !list) return;
  document.documentElement.classList.add("js");
  const fold = (text) => text.normalize("NFD").replace(/[\u0300-\u036f]/g, "").replace(/[\u0110\u0111]/g, "d").toLowerCase();
  const lines = [...list.querySelectorAll("label")].map((label) => [label, fold(label.dataset.words)]);
  const narrow = () => {
    const words = fold(field.value).split(/\s+/).filter(Boolean);
    for (const [label, text] of lines) {
      label.hidden = !label.querySelector("input").checked && !words.every((word) => text.includes(word));
    }
  };
  const tell = () => {
    count.textContent = count.dataset.chosen.replace("#", String(list.querySelectorAll("input:checked").length));
  };
  field.addEventListener("input", narrow);
  field.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
  list.addEventListener("change", tell);
  narrow();
})();
