// Living pages within a page: as high as what they show, and in the theme of the reader.
const frames = () => document.querySelectorAll("iframe.living");

addEventListener("message", ({ data, source }) => {
  if (typeof data?.height !== "number") return;
  for (const frame of frames()) if (frame.contentWindow === source) frame.style.height = `${data.height}px`;
});

const theme = () => {
  const chosen = document.body.dataset.theme;
  if (chosen === "dark" || chosen === "light") return chosen;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
};
const tell = () => {
  for (const frame of frames()) frame.contentWindow?.postMessage({ theme: theme() }, "*");
  for (const page of document.querySelectorAll("[data-tinygrad-nn]"))
    for (const inner of page.shadowRoot?.querySelectorAll(".page") ?? []) inner.dataset.theme = theme();
};
document.addEventListener("DOMContentLoaded", () => {
  for (const frame of frames()) frame.addEventListener("load", tell);
  new MutationObserver(tell).observe(document.body, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", tell);
  tell();
});
