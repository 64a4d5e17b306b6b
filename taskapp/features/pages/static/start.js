// A file of its own, because the page's Content-Security-Policy allows no inline script.

// Swagger UI has a dark scheme; the button that turns it on belongs to a bar that this page does without.
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

// Swagger UI takes what stands behind the # for itself, so that the link to the content would lead nowhere.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("content").focus();
});

// What Swagger UI does not tell a screen reader, or keeps from the keyboard.
const ATTRIBUTES = [
  [".information-container", "role", () => "region"],
  [".information-container", "aria-label", () => "About this API"],
  [".scheme-container", "role", () => "region"],
  [".scheme-container", "aria-label", () => "Server and authorization"],
  ["#servers", "aria-label", () => "Server"],
  [".opblock-tag, .models > h4, .modal-ux h3", "aria-level", () => "2"],
  [".opblock h4, .modal-ux h4", "aria-level", () => "3"],
  [".opblock h5, .modal-ux h6", "aria-level", () => "4"],
  [".opblock [id$='_responses']", "aria-label", (table) => `Responses of ${table.closest(".opblock").id}`],
  ["[data-param-name] :is(input, select, textarea)", "aria-label", (field) => field.closest("tr").dataset.paramName],
  [".body-param textarea", "aria-label", () => "Request body"],
  [".examples-select-element", "aria-label", () => "Example"],
  ["pre.microlight", "tabindex", () => "0"],
  [".close-modal", "aria-label", () => "Close"],
  [".modal-ux .auth-btn-wrapper button", "aria-label", (button) => button.textContent],
];
const supply = () => {
  for (const [selector, name, value] of ATTRIBUTES) {
    for (const element of document.querySelectorAll(selector)) {
      element.setAttribute(name, value(element));
    }
  }
};
// Once a frame: an operation that opens is many changes.
let asked = 0;
const later = () => {
  cancelAnimationFrame(asked);
  asked = requestAnimationFrame(supply);
};
new MutationObserver(later).observe(document.getElementById("swagger-ui"), { childList: true, subtree: true });

// Paths are links within buttons, where no link can be; the button puts the operation's address into the location too.
const plainPaths = ({ React }) => {
  const Path = ({ text }) => React.createElement("span", null, text);
  return { wrapComponents: { DeepLink: () => Path } };
};

// To replace the references of an operation that opens, Swagger UI goes through the whole document, a second or more.
// Ours refers to nothing but itself, and in no circle.
const quickReferences = () => ({
  afterLoad() {
    this.fn.resolveSubtree = async (document, path) => ({ spec: resolved(document, path), errors: [] });
  },
});
const resolved = (document, path) => {
  const at = (keys) => keys.reduce((node, key) => node?.[key], document);
  const replace = (_, value) => (typeof value?.$ref === "string" ? replace(_, at(value.$ref.slice(2).split("/"))) : value);
  const part = at(path);
  if (path[0] !== "paths" || !part) {
    return part && JSON.parse(JSON.stringify(part, replace));
  }
  // What an operation has from its path, and from the whole document.
  const parameters = [...(part.parameters ?? []), ...(at(path.slice(0, 2)).parameters ?? [])];
  return JSON.parse(JSON.stringify({ security: document.security, ...part, parameters }, replace));
};

SwaggerUIBundle({
  url: document.getElementById("swagger-ui").dataset.document,
  dom_id: "#swagger-ui",
  plugins: [plainPaths, quickReferences],
  deepLinking: true,
  // The models stand with the operations that use them; the list of all of them begins closed.
  defaultModelsExpandDepth: 0,
  // Its colours are too pale on their ground, and every token is an element of its own.
  syntaxHighlight: false,
  persistAuthorization: false,
  tryItOutEnabled: true,
  // No validator badge: it would ask another host.
  validatorUrl: null,
});
