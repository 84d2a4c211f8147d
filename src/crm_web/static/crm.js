// The little that pages do by themselves. All of it hangs on the document, so that it survives
// whatever htmx puts in. Without scripts pages are read, searched, filtered, sorted and paged by
// links, and forms are filled in and sent; menus that fold, ticking rows and dialogs need them.
(function () {
  "use strict";
  const rowsOf = (element) => element.closest("[data-rows]");
  const chinese = () => document.documentElement.lang.startsWith("zh");
  const submits = (form) => form && form.tagName === "FORM" && form.method === "post";

  // -- dialogs, and where refusals are said ---------------------------------------------------
  // What is open above all else; signing in again may stand above another dialog.
  const onTop = () => document.querySelector("#again[open]") || document.querySelector("#dialog[open]");
  // Where something is said so that it is seen: in the dialog that is open, or above the page.
  const said = () => (onTop() && onTop().querySelector(".said")) || document.getElementById("flash");
  // The server is told where an answer goes: into a page that stays, or in place of it; and that
  // the page is its own.
  document.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.target !== document.body) event.detail.headers["X-Part"] = "true";
    event.detail.headers["X-CSRF-Token"] = document.querySelector("[data-csrf]").dataset.csrf;
  });
  let signedIn = 0;
  document.addEventListener("htmx:beforeRequest", (event) => { event.detail.xhr.signedIn = signedIn; });
  document.addEventListener("htmx:beforeSwap", (event) => {
    const detail = event.detail;
    if (detail.xhr.status >= 400 && !detail.xhr.getResponseHeader("X-Request-Id")) {
      // Not one of our answers: of a proxy that does not reach us, say. The page stays.
      detail.shouldSwap = false;
      unreached();
    } else if (detail.xhr.status === 401 && (document.querySelector("#again[open]") || detail.xhr.signedIn !== signedIn)) {
      // A second question that came too late, such as that for duplicates: one dialog is enough,
      // and somebody may be typing into it, or has signed in since it was asked.
      detail.shouldSwap = false;
    } else if (detail.target.id === "flash") {
      detail.target = said();
    }
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    const target = event.detail.target;
    const above = target.closest("dialog");
    if (target.matches(".said, #flash")) {
      target.scrollIntoView({ block: "nearest" });
    } else if (above) {
      if (!above.open) above.showModal();
      const first = above.querySelector("[autofocus], [data-focus], .is-invalid, input:not([type=hidden]), select, textarea");
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
    else if (close.closest("dialog")) { event.preventDefault(); event.stopPropagation(); close.closest("dialog").close(); }
  }, true);

  // Signing in again: the page, and a dialog that is open, stay as they are, with the new token.
  document.addEventListener("crm:signed-in", (event) => {
    signedIn += 1;
    const token = event.detail.token;
    document.querySelector("[data-csrf]").dataset.csrf = token;
    document.querySelectorAll("input[name=csrf]").forEach((input) => { input.value = token; });
    document.getElementById("again").close();
  });

  // -- searching while typing -----------------------------------------------------------------
  // Whoever writes Chinese composes letters first; what is not a word yet is not searched for.
  let composing = false;
  document.addEventListener("compositionstart", () => { composing = true; }, true);
  document.addEventListener("compositionend", (event) => {
    composing = false;
    event.target.dispatchEvent(new Event("input", { bubbles: true }));
  }, true);
  document.addEventListener("input", (event) => {
    if (event.isComposing) event.stopImmediatePropagation();
  }, true);
  document.addEventListener("htmx:configRequest", (event) => {
    if (event.target.id !== "search") return;
    // Addresses are sent to others: what says nothing is left out.
    const asked = event.detail.formData;
    [...asked].forEach(([name, value]) => { if (!value) asked.delete(name); });
  });
  // What is typed stays where it is, and says what the address says unless somebody typed on.
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.detail.target.id !== "list") return;
    const asked = new URLSearchParams(location.search);
    document.querySelectorAll("[data-asked]").forEach((input) => {
      const now = asked.get(input.name) || "";
      const untouched = input.value === input.defaultValue;
      if (untouched && input.value !== now) input.value = now;
      input.defaultValue = now;
      // Its own question may have been dropped for the one that is answered now.
      if (!untouched && input.value !== now && !composing) {
        input.dispatchEvent(new Event(input.id === "q" ? "input" : "change", { bubbles: true }));
      }
    });
  });

  // A value that is not chosen any more may be gone until the values are counted. Whoever was on it
  // is on it again then, unless they went elsewhere.
  let held = "";
  document.addEventListener("pointerdown", () => { held = ""; }, true);
  document.addEventListener("focusin", (event) => {
    held = event.target.closest("#filter-rows") ? event.target.id : "";
  });
  document.addEventListener("htmx:afterSettle", () => {
    const value = held && document.activeElement === document.body && document.getElementById(held);
    if (value) value.focus({ preventScroll: true });
  });

  // -- choosing rows --------------------------------------------------------------------------
  const ticks = (form) => [...form.querySelectorAll("[data-tick]")];
  function count(form) {
    const all = form.querySelector("[data-all]");
    const chosen = ticks(form).filter((box) => box.checked).length;
    const bar = form.querySelector("[data-bulk]");
    if (!bar) return;
    bar.hidden = chosen === 0 && !all.value;
    const zh = chinese();
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
    }
    const move = target.closest("[data-move]");
    if (move) {
      const item = move.closest("li");
      const other = move.dataset.move === "up" ? item.previousElementSibling : item.nextElementSibling;
      if (other) other.insertAdjacentElement(move.dataset.move === "up" ? "beforebegin" : "afterend", item);
      move.focus();
    }
  });
  // What changes something is sent once, however often it is pressed, until there is an answer.
  // Where the answer leads elsewhere, until the page is left.
  const hold = (element) => {
    const form = submits(element) ? element : null;
    if (element.dataset.sent) return false;
    element.dataset.sent = "1";
    (form ? [...form.elements].filter((e) => e.type === "submit") : [element])
      .forEach((button) => button.setAttribute("aria-disabled", "true"));
    return true;
  };
  const release = (element) => {
    delete element.dataset.sent;
    [element, ...element.querySelectorAll("[aria-disabled]")]
      .forEach((button) => button.removeAttribute("aria-disabled"));
  };
  const once = (event, element) => {
    if (!element || hold(element)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  document.addEventListener("submit", (event) => {
    const by = event.submitter;
    if (submits(event.target) && !(by && by.hasAttribute("hx-post"))) once(event, event.target);
  }, true);
  document.addEventListener("click", (event) => { once(event, event.target.closest("button[hx-post]")); }, true);
  document.addEventListener("htmx:afterRequest", (event) => {
    const leaves = event.detail.successful && event.detail.xhr.getResponseHeader("HX-Location");
    if (event.target.dataset.sent && !leaves) release(event.target);
  });
  function unreached() {
    document.querySelectorAll("[data-sent]").forEach(release);
    const told = document.createElement("div");
    told.className = "alert alert-danger";
    told.setAttribute("role", "alert");
    told.textContent = chinese() ? "连接不上服务器，填写的内容还在。请稍后再试。" : "The server cannot be reached; what you typed is still here. Try again later.";
    said().replaceChildren(told);
    told.scrollIntoView({ block: "nearest" });
  }
  document.addEventListener("htmx:sendError", unreached);
  // Quick keys: "/" searches, as on most lists. Space ticks a value, as it does any box.
  document.addEventListener("keydown", (event) => {
    const value = event.target.closest("a[role=checkbox]");
    if (event.key === " " && value) { event.preventDefault(); value.click(); }
    if (event.key === "/" && !/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName)) {
      const search = document.querySelector("#q, #top-q");
      if (search) { event.preventDefault(); search.focus(); }
    }
  });

  // Whoever signs in as somebody else goes on with a page of their own. Heard before all else hears
  // of it, so that no form of the page before gets the new token.
  document.addEventListener("crm:signed-in", (event) => {
    const page = document.querySelector("[data-who]");
    if (page && page.dataset.who === event.detail.username) return;
    event.stopImmediatePropagation();
    window.location.assign("/");
  }, true);
})();

// Picking a record by typing: a combobox as the ARIA practices describe it. Until something is
// chosen the field holds what was typed, so that a number does, too, as it does without script.
(function () {
  "use strict";
  const PAUSE = 200;
  let serial = 0;
  function element(tag, values, ...children) {
    const made = Object.assign(document.createElement(tag), values);
    made.append(...children);
    return made;
  }
  function enhance(place) {
    const input = place.querySelector("input[type=text]");
    const several = "several" in place.dataset;
    // Of a filter: what is chosen narrows the list at once, what is only typed does not.
    const narrows = "narrows" in place.dataset;
    const id = `pick-${serial += 1}`;
    const kept = element("input", { type: "hidden", name: place.dataset.name, value: input.value });
    const list = element("ul", { id: id, role: "listbox" });
    const said = element("div", { className: "pick-said", role: "status" });
    const popup = element("div", { className: "pick-list", hidden: true }, list, said);
    if (input.hasAttribute("form")) kept.setAttribute("form", input.getAttribute("form"));
    list.setAttribute("aria-label", input.ariaLabel || (input.labels.length ? input.labels[0].textContent : ""));
    input.removeAttribute("name");
    if (input.dataset.title) input.value = input.dataset.title;
    const roles = { role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": id };
    Object.entries(roles).forEach(([name, value]) => input.setAttribute(name, value));
    input.after(kept, popup);
    let timer, asking, at = -1, shownFor = null;
    // What was typed, as long as nothing is chosen for it; a number is a choice.
    const unnumbered = () => (/^[0-9]+$/.test(input.value.trim()) ? "" : input.value.trim());
    const unchosen = () => (narrows || input.value.trim() === kept.value ? unnumbered() : "");

    function close() {
      clearTimeout(timer);
      if (asking) asking.abort();
      popup.hidden = true;
      at = -1;
      input.setAttribute("aria-expanded", "false");
      input.removeAttribute("aria-activedescendant");
    }
    function move(to) {
      const options = [...list.children];
      if (!options.length) return;
      at = (to + options.length) % options.length;
      options.forEach((one, i) => one.setAttribute("aria-selected", String(i === at)));
      options[at].scrollIntoView({ block: "nearest" });
      input.setAttribute("aria-activedescendant", options[at].id);
    }
    function choose(option) {
      const { value, title } = option.dataset;
      if (several) {
        const chosen = place.querySelector(".pick-chosen");
        const known = [...chosen.querySelectorAll("input")].find((box) => box.value === value);
        if (known) known.checked = true;
        else chosen.append(element("label", { className: "form-check form-check-inline" },
          element("input", { className: "form-check-input", type: "checkbox", name: place.dataset.name, value: value, checked: true }),
          element("span", { className: "form-check-label", textContent: title })));
        input.value = kept.value = "";
      } else {
        input.value = title;
        kept.value = value;
      }
      close();
      kept.dispatchEvent(new Event("change", { bubbles: true }));
    }
    function show(items, told) {
      at = -1;
      input.removeAttribute("aria-activedescendant");
      list.replaceChildren(...items.map((item, i) => {
        const option = element("li", { id: `${id}-${i}`, role: "option" },
          element("span", { textContent: item.title }), element("small", { textContent: `#${item.id}` }));
        option.setAttribute("aria-selected", "false");
        option.dataset.value = item.id;
        option.dataset.title = item.title;
        return option;
      }));
      said.textContent = told;
      popup.hidden = false;
      input.setAttribute("aria-expanded", "true");
    }
    async function ask() {
      if (asking) asking.abort();
      asking = new AbortController();
      const [mine, text] = [asking, input.value.trim()];
      try {
        const address = `${place.dataset.pick}?q=${encodeURIComponent(text)}`;
        const answer = await fetch(address, { signal: mine.signal, credentials: "same-origin" });
        const found = await answer.json();
        if (mine.signal.aborted) return;
        shownFor = text;
        if (!answer.ok) show([], found.title || place.dataset.failed);
        else show(found.items, found.more ? place.dataset.more : found.items.length ? "" : place.dataset.none);
      } catch (e) {
        if (e.name !== "AbortError") show([], place.dataset.failed);
      }
    }
    function typed() {
      kept.value = narrows && unnumbered() ? "" : input.value.trim();
      clearTimeout(timer);
      timer = setTimeout(ask, PAUSE);
    }
    input.addEventListener("input", (event) => { if (!event.isComposing) typed(); });
    input.addEventListener("compositionend", typed);
    input.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      const open = !popup.hidden;
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        if (open) move(event.key === "ArrowDown" ? at + 1 : at < 0 ? -1 : at - 1);
        else ask();
      } else if (event.key === "Enter" && ((open && at >= 0) || unchosen())) {
        // A name that nothing was chosen for is not sent: it means the first that it fits.
        event.preventDefault();
        if (open && at >= 0) choose(list.children[at]);
        else if (!open || shownFor !== unchosen()) { clearTimeout(timer); ask(); }
        else if (list.children.length) choose(list.children[0]);
      } else if (event.key === "Escape" && open) {
        // Only the list is closed, not the dialog around it.
        event.preventDefault();
        event.stopPropagation();
        close();
      }
    });
    if (narrows) input.addEventListener("change", (event) => event.stopPropagation());
    input.addEventListener("click", () => { if (popup.hidden) ask(); });
    input.addEventListener("blur", close);
    // What is pressed must not take the focus away before it is chosen.
    popup.addEventListener("pointerdown", (event) => event.preventDefault());
    popup.addEventListener("mousedown", (event) => event.preventDefault());
    list.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (option) choose(option);
    });
  }
  document.addEventListener("htmx:load", (event) => {
    const within = event.detail.elt;
    const places = [...within.querySelectorAll("[data-pick]")];
    if (within.matches("[data-pick]")) places.push(within);
    // Whatever was enhanced once has no name of its own any more.
    places.filter((place) => place.querySelector("input[type=text][name]")).forEach(enhance);
  });
})();

// One field of a row is changed where it stands. Of all cells that can be changed one is reached by
// Tab, its neighbours by the arrows; Enter or a click opens it, Enter saves, Escape leaves.
(function () {
  "use strict";
  const cells = () => [...document.querySelectorAll("[data-edit]")];
  // What picks a record has a name only in what is sent for it.
  const content = (cell) => cell.querySelector("[name]:not([type=hidden]), [role=combobox]");
  const before = new WeakMap();
  // What goes wrong is said above the page by then; the cell can be used again.
  const swap = (cell, method, to, values) => htmx.ajax(method, to, { target: cell, swap: "innerHTML", values }).catch(() => {});
  function open(cell) {
    if (cell.querySelector("[data-cell]")) return;
    before.set(cell, [...cell.childNodes]);
    swap(cell, "GET", cell.dataset.edit);
  }
  async function leave(cell) {
    const editor = cell.querySelector("[data-cell]");
    await swap(cell, "GET", `${cell.dataset.edit}?shown=1`);
    // The row is not theirs any more, or the server not there: what stood in the cell comes back.
    if (editor && cell.contains(editor)) cell.replaceChildren(...before.get(cell));
    cell.focus();
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
    // A key that chose from a list, or closed it, does nothing more.
    if (!cell || event.isComposing || event.defaultPrevented) return;
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

// A long menu shows where one is.
document.addEventListener("htmx:load", (event) => {
  const here = event.detail.elt.querySelector("#menu .nav-item.active");
  if (here) here.scrollIntoView({ block: "nearest" });
});
