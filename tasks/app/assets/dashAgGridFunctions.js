// Functions that the tables of the app use by name. Numbers follow the language of the page.
var dagfuncs = (window.dashAgGridFunctions = window.dashAgGridFunctions || {});

dagfuncs.restockNumber = function (value, digits) {
  if (value === null || value === undefined || value === "") return "–";
  return Number(value).toLocaleString(document.documentElement.lang || "en", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
    useGrouping: "always",
  });
};

dagfuncs.restockTheme = function (theme) {
  return theme.withParams({
    fontFamily: "inherit",
    fontSize: 13,
    headerBackgroundColor: "#f4f6f8",
    foregroundColor: "#1d2935",
    borderColor: "#dde3e9",
    accentColor: "#1f5fa8",
    spacing: 6,
  });
};

window.dash_clientside = Object.assign({}, window.dash_clientside, {
  restock: {
    // Request the rows of a table again, after the server has changed them.
    refresh: function (signal, grid) {
      if (signal) {
        try {
          window.dash_ag_grid.getApi(grid).refreshInfiniteCache();
        } catch (error) {
          // The table is not on the page any more.
        }
      }
      return window.dash_clientside.no_update;
    },
  },
});
