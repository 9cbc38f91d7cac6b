// How the page's modules are checked: `npx --prefix tests/view/npm eslint --config tests/view/npm/eslint.config.mjs ...`.
const browser = ["document", "window", "location", "navigator", "getComputedStyle", "matchMedia", "XMLSerializer", "Blob"];
const more = ["URL", "ResizeObserver", "setInterval", "clearInterval", "setTimeout", "addEventListener", "atob", "performance", "ImageData"];

export default [
  {
    files: ["**/*.mjs"],
    ignores: ["**/vendor/**"],
    languageOptions: {
      ecmaVersion: 2024,
      sourceType: "module",
      globals: Object.fromEntries([...browser, ...more].map((name) => [name, "readonly"])),
    },
    rules: {
      "no-undef": "error",
      "no-unused-vars": "error",
      "no-unused-private-class-members": "error",
      "no-shadow": "off",
      "no-var": "error",
      "prefer-const": "error",
      eqeqeq: "error",
      "no-implicit-globals": "error",
      "no-self-compare": "error",
      "no-unreachable": "error",
      "no-dupe-keys": "error",
      "no-fallthrough": "error",
      "no-eval": "error",
      "no-implied-eval": "error",
      "max-lines-per-function": ["error", { max: 60, skipComments: true, skipBlankLines: true }],
    },
  },
];
