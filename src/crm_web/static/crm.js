// The little that pages do by themselves. All of it hangs on the document, so that it survives
// whatever htmx puts in; without it every page still works, by plain links and forms.
(function () {
  "use strict";
  const dialog = () => document.getElementById("dialog");
  const rowsOf = (element) => element.closest("[data-rows]");

  // -- dialogs --------------------------------------------------------------------------------
  document.addEventListener("htmx:afterSettle", (event) => {
    const target = event.detail.target;
    if (target.id === "dialog-body") {
      if (!dialog().open) dialog().showModal();
      const first = dialog().querySelector("[autofocus], [data-focus], .is-invalid, input:not([type=hidden]), select, textarea");
      if (first) first.focus();
    } else {
      const problem = target !== document.body ? null : document.querySelector("[data-focus], .is-invalid");
      if (problem) problem.focus();
    }
  });
  document.addEventListener("click", (event) => {
    const close = event.target.closest("[data-close]");
    if (!close) return;
    if (close.dataset.close === "alert") close.closest(".alert").remove();
    else if (close.closest("dialog")) { event.preventDefault(); event.stopPropagation(); dialog().close(); }
  }, true);

  // Signing in again in the dialog: the page stays as it is, with the new session's token.
  document.addEventListener("crm:signed-in", (event) => {
    const token = event.detail.token;
    document.body.setAttribute("hx-headers", JSON.stringify({ "X-CSRF-Token": token }));
    document.querySelectorAll("input[name=csrf]").forEach((input) => { input.value = token; });
    dialog().close();
  });

  // -- choosing rows --------------------------------------------------------------------------
  const ticks = (form) => [...form.querySelectorAll("[data-tick]")];
  function count(form) {
    const all = form.querySelector("[data-all]");
    const chosen = ticks(form).filter((box) => box.checked).length;
    const bar = form.querySelector("[data-bulk]");
    if (!bar) return;
    bar.hidden = chosen === 0 && !all.value;
    const zh = document.documentElement.lang.startsWith("zh");
    bar.querySelector("[data-count]").textContent = all.value
      ? (zh ? "已选择全部符合条件的" : "All that match are chosen")
      : (zh ? `已选择 ${chosen} 条` : `${chosen} chosen`);
    const master = form.querySelector("[data-tick-all]");
    master.checked = chosen > 0 && chosen === ticks(form).length;
    master.indeterminate = chosen > 0 && !master.checked;
  }
  let last = null;
  document.addEventListener("click", (event) => {
    const form = rowsOf(event.target);
    if (!form) return;
    if (event.target.matches("[data-tick]")) {
      const boxes = ticks(form);
      if (event.shiftKey && last && boxes.includes(last)) {
        const [from, to] = [boxes.indexOf(last), boxes.indexOf(event.target)].sort((a, b) => a - b);
        boxes.slice(from, to + 1).forEach((box) => { box.checked = event.target.checked; });
      }
      last = event.target;
      form.querySelector("[data-all]").value = "";
    } else if (event.target.matches("[data-tick-all]")) {
      ticks(form).forEach((box) => { box.checked = event.target.checked; });
      form.querySelector("[data-all]").value = "";
    } else if (event.target.closest("[data-choose-all]")) {
      ticks(form).forEach((box) => { box.checked = true; });
      form.querySelector("[data-all]").value = "1";
    } else if (event.target.closest("[data-choose-none]")) {
      ticks(form).forEach((box) => { box.checked = false; });
      form.querySelector("[data-all]").value = "";
    } else return;
    count(form);
  });

  // -- groups of ticks: all of one at once, and how many are chosen ---------------------------
  document.addEventListener("change", (event) => {
    const group = event.target.closest("[data-ticks]");
    if (!group) return;
    const all = group.querySelector("[data-ticks-all]");
    if (event.target === all) {
      group.querySelectorAll("input[name]:not(:disabled)").forEach((box) => { box.checked = all.checked; });
    }
    countTicks(group);
  });
  function countTicks(group) {
    const all = group.querySelector("[data-ticks-all]");
    const every = group.querySelectorAll("input[name]").length;
    const chosen = group.querySelectorAll("input[name]:checked").length;
    all.checked = chosen === every;
    all.indeterminate = chosen > 0 && chosen < every;
    group.querySelector("[data-ticks-count]").textContent = `${chosen}/${every}`;
  }
  document.addEventListener("htmx:load", () => { document.querySelectorAll("[data-ticks]").forEach(countTicks); });

  // -- small things ---------------------------------------------------------------------------
  document.addEventListener("click", async (event) => {
    const target = event.target;
    const copy = target.closest("[data-copy]");
    if (copy) {
      event.preventDefault();
      try { await navigator.clipboard.writeText(copy.dataset.copy); } catch (e) { window.prompt("", copy.dataset.copy); }
      copy.classList.add("text-success");
      setTimeout(() => copy.classList.remove("text-success"), 1200);
    } else if (target.closest("[data-back]")) {
      history.back();
    } else if (target.closest("[data-theme-toggle]")) {
      const root = document.documentElement;
      const dark = root.getAttribute("data-bs-theme") !== "dark";
      root.setAttribute("data-bs-theme", dark ? "dark" : "light");
      try { localStorage.setItem("theme", dark ? "dark" : "light"); } catch (e) { /* private window */ }
    } else if (target.closest("[data-print]")) {
      window.print();
    }
    const move = target.closest("[data-move]");
    if (move) {
      const item = move.closest("li");
      const other = move.dataset.move === "up" ? item.previousElementSibling : item.nextElementSibling;
      if (other) other.insertAdjacentElement(move.dataset.move === "up" ? "beforebegin" : "afterend", item);
      move.focus();
    }
  });
  // A form is sent once, however often its button is pressed.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const form = event.target.closest("form");
    const button = form && form.method === "post" && form.querySelector("button[type=submit]");
    if (button) {
      button.disabled = true;
      event.target.addEventListener("htmx:afterRequest", () => { button.disabled = false; }, { once: true });
    }
  });
  document.addEventListener("submit", (event) => {
    if (event.target.matches("form[hx-boost=false][method=post]")) {
      setTimeout(() => event.target.querySelectorAll("button[type=submit]").forEach((b) => { b.disabled = true; }));
    }
  });
  document.addEventListener("htmx:sendError", () => {
    const place = document.getElementById("flash");
    const zh = document.documentElement.lang.startsWith("zh");
    const told = document.createElement("div");
    told.className = "alert alert-danger";
    told.setAttribute("role", "alert");
    told.textContent = zh ? "连接不上服务器，填写的内容还在。请稍后再试。" : "The server cannot be reached; what you typed is still here. Try again later.";
    place.replaceChildren(told);
  });
  // Quick keys: "/" searches, as on most lists.
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName)) {
      const search = document.querySelector("#q, #top-q");
      if (search) { event.preventDefault(); search.focus(); }
    }
  });
})();

// One field of a row is changed where it stands. Of all cells that can be changed one is reached by
// Tab, its neighbours by the arrows; Enter or a click opens it, Enter saves, Escape leaves.
(function () {
  "use strict";
  const cells = () => [...document.querySelectorAll("[data-edit]")];
  const content = (cell) => cell.querySelector("[name]:not([type=hidden])");
  const swap = (cell, method, to, values) => htmx.ajax(method, to, { target: cell, swap: "innerHTML", values });
  const leave = (cell) => swap(cell, "GET", `${cell.dataset.edit}?shown=1`).then(() => cell.focus());
  function open(cell) {
    if (!cell.querySelector("[data-cell]")) swap(cell, "GET", cell.dataset.edit);
  }
  function save(cell) {
    const editor = cell.querySelector("[data-cell]");
    if (editor.dataset.busy) return;
    editor.dataset.busy = "1";
    const values = {};
    editor.querySelectorAll("[name]").forEach((one) => {
      if (one.type !== "checkbox" || one.checked) values[one.name] = one.value;
    });
    swap(cell, "POST", cell.dataset.edit, values).then(() => {
      delete editor.dataset.busy;
      if (!cell.querySelector("[data-cell]")) cell.focus();
    });
  }
  document.addEventListener("htmx:load", () => {
    const all = cells();
    if (all.length && !all.some((cell) => cell.tabIndex === 0)) all[0].tabIndex = 0;
  });
  document.addEventListener("focusin", (event) => {
    const cell = event.target.closest("[data-edit]");
    if (cell && cell.tabIndex !== 0) {
      cells().forEach((other) => { other.tabIndex = -1; });
      cell.tabIndex = 0;
    }
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    const input = event.detail.target.matches("[data-edit]") && content(event.detail.target);
    if (input) { input.focus(); if (input.select) input.select(); }
  });
  document.addEventListener("click", (event) => {
    const cell = event.target.closest("[data-edit]");
    if (!cell) return;
    if (event.target.closest("[data-cell-save]")) save(cell);
    else if (event.target.closest("[data-cell-leave]")) leave(cell);
    else if (!event.target.closest("a, button, [data-cell]") && !String(window.getSelection())) open(cell);
  });
  document.addEventListener("keydown", (event) => {
    const cell = event.target.closest("[data-edit]");
    if (!cell || event.isComposing) return;
    if (event.target === cell) {
      const row = [...cell.parentElement.querySelectorAll("[data-edit]")];
      const side = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      const line = { ArrowUp: "previousElementSibling", ArrowDown: "nextElementSibling" }[event.key];
      const next = side ? row[row.indexOf(cell) + side]
        : line && cell.parentElement[line] && [...cell.parentElement[line].children][cell.cellIndex];
      if (event.key === "Enter") { event.preventDefault(); open(cell); }
      else if (next && next.matches("[data-edit]")) { event.preventDefault(); next.focus(); }
    } else if (event.key === "Escape") {
      event.preventDefault();
      leave(cell);
    } else if (event.key === "Enter" && !event.shiftKey && event.target.matches("input, select, textarea")) {
      event.preventDefault();
      save(cell);
    }
  });
})();
