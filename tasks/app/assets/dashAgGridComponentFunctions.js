// Cells that are links. React escapes their texts; the address begins with the path of a page.
var dagcomponentfuncs = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});

dagcomponentfuncs.RestockLink = function (props) {
  const row = props.data || {};
  if (!row.store_id) return props.value || "";
  const parts = new URLSearchParams();
  const week = new URLSearchParams(window.location.search).get("week");
  if (week) parts.set("week", week);
  parts.set("store", row.store_id);
  if (row.category) parts.set("category", row.category);
  if (row.sku) parts.set("sku", row.sku);
  return React.createElement("a", { href: "/series?" + parts.toString() }, props.value);
};
