// Runs before the page is drawn, so that a dark page does not flash white.
(function () {
  var kept = null;
  try { kept = localStorage.getItem("theme"); } catch (e) { /* private window */ }
  var dark = kept ? kept === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.setAttribute("data-bs-theme", dark ? "dark" : "light");
})();
