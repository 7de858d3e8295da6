// SPDX-License-Identifier: AGPL-3.0-or-later
// The boxes over the pages follow the pointer and the arrow keys; the numbers beside them say the same.
(() => {
  "use strict";
  const form = document.querySelector("[data-places]");
  if (!form) return;
  document.documentElement.classList.add("js");
  const said = form.querySelector("[data-said]");
  const near = (number) => Math.round(number * 10) / 10;
  const inputs = (name) => ["page", "left", "top"].map((side) => form.elements[`${name}.${side}`]);
  const layer = (page) => form.querySelector(`svg[data-page="${page}"]`);

  const sizes = (group) => {
    const rect = group.querySelector("rect");
    return [Number(rect.getAttribute("width")), Number(rect.getAttribute("height"))];
  };
  const draw = (group, left, top) => {
    const rect = group.querySelector("rect");
    const text = group.querySelector("text");
    rect.setAttribute("x", left);
    rect.setAttribute("y", top);
    text.setAttribute("x", left + 1.5);
    text.setAttribute("y", top + 4.6);
  };
  const put = (group, left, top) => {
    const svg = group.ownerSVGElement;
    const [width, height] = sizes(group);
    const across = near(Math.min(Math.max(left, 0), Number(svg.dataset.width) - width));
    const down = near(Math.min(Math.max(top, 0), Number(svg.dataset.height) - height));
    draw(group, across, down);
    const [page, x, y] = inputs(group.dataset.field);
    [page.value, x.value, y.value] = [svg.dataset.page, across, down];
  };
  const at = (group) => {
    const rect = group.querySelector("rect");
    return [Number(rect.getAttribute("x")), Number(rect.getAttribute("y"))];
  };
  const tell = (group) => {
    const [page, x, y] = inputs(group.dataset.field);
    said.textContent = said.dataset.words.replace("#L", x.value).replace("#T", y.value).replace("#P", page.value);
  };

  for (const group of form.querySelectorAll("[data-field]")) {
    let held = null;
    const point = (event) => {
      const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(group.ownerSVGElement.getScreenCTM().inverse());
      return [place.x, place.y];
    };
    group.addEventListener("pointerdown", (event) => {
      const [x, y] = point(event);
      const [left, top] = at(group);
      held = [x - left, y - top];
      group.classList.add("is-held");
      group.setPointerCapture(event.pointerId);
      group.focus({ preventScroll: true });
      event.preventDefault();
    });
    group.addEventListener("pointermove", (event) => {
      if (!held) return;
      const [x, y] = point(event);
      put(group, x - held[0], y - held[1]);
    });
    for (const name of ["pointerup", "pointercancel"]) {
      group.addEventListener(name, () => {
        if (held) tell(group);
        held = null;
        group.classList.remove("is-held");
      });
    }
    group.addEventListener("keydown", (event) => {
      const step = event.shiftKey ? 10 : 1;
      const [left, top] = at(group);
      const move = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
      if (!move) return;
      event.preventDefault();
      put(group, left + move[0], top + move[1]);
      tell(group);
    });
    const [page, x, y] = inputs(group.dataset.field);
    const follow = () => {
      const svg = layer(page.value);
      if (!svg || x.value === "" || y.value === "") return;
      if (svg !== group.ownerSVGElement) svg.append(group);
      draw(group, Number(x.value), Number(y.value));
    };
    for (const one of [page, x, y]) one.addEventListener("input", follow);
  }
})();
