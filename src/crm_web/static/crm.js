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
  document.addEventListener("htmx:beforeSwap", (event) => {
    const detail = event.detail;
    if (detail.xhr.status >= 400 && !detail.xhr.getResponseHeader("X-Request-Id")) {
      // Not one of our answers: of a proxy that does not reach us, say. The page stays.
      detail.shouldSwap = false;
      unreached();
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
    const token = event.detail.token;
    document.body.setAttribute("hx-headers", JSON.stringify({ "X-CSRF-Token": token }));
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
})();
