// Sets the theme before the first paint; loaded in <head>, so it must stay this small.
(function () {
  var dark = matchMedia("(prefers-color-scheme: dark)");
  function apply() {
    var chosen = null;
    try {
      chosen = localStorage.getItem("theme");
    } catch (_error) {}
    document.documentElement.dataset.theme = chosen || (dark.matches ? "dark" : "light");
  }
  apply();
  dark.addEventListener("change", apply);
  addEventListener("gantry:theme", apply);
  addEventListener("storage", apply);
})();
