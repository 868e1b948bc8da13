// The reader: the open document, with the sentences that an answer cites.
const { make, button, tell, listen, closeReader, openReader, scrollBehavior } = window.quoth;

const position = make("span", { className: "position" });
const stepper = make(
  "div",
  { className: "stepper", hidden: true, attributes: { role: "group", "aria-label": "Citations" } },
  button("previous", "Previous citation", () => step(-1), ""),
  position,
  button("next", "Next citation", () => step(1), ""),
);
const sections = make("ol", {});
const outline = make(
  "details",
  { className: "outline" },
  make("summary", { textContent: "Sections" }),
  make("nav", { attributes: { "aria-label": "Sections" } }, sections),
);
const close = button("close", "Close the document", () => leave(), "Close");
const tools = make("div", { className: "tools" }, outline, stepper, close);
const page = make("div", { className: "page", tabIndex: 0, attributes: { role: "region", "aria-label": "Document" } });
const hint = make("p", {
  className: "hint",
  hidden: true,
  textContent: "Click the sentence that answers, or go to it with the arrow keys and press Enter. Escape leaves.",
  attributes: { role: "status" },
});
const root = make("div", { className: "reader" }, tools, hint, page);
element.append(root);

let shown = null; // id of the document on screen
let cites = []; // { n, document, sentences } of the answer whose citations are shown
let current = 0; // number of the citation that is stepped to; 0 for none
let origin = null; // where the focus returns to; null for the button that shows the document
let awaited = null; // the citation to go to when its document has come: { document, n, keyboard }

// Highlights

const sentence = (id) => page.querySelector(`#${CSS.escape(id)}`);
const spans = (cite) => (cite.document === shown ? cite.sentences.map(sentence).filter(Boolean) : []);

const clear = () => {
  for (const node of page.querySelectorAll(".cited")) {
    node.classList.remove("cited", "current");
    delete node.dataset.n;
    node.removeAttribute("tabindex");
  }
};

const paintCites = () => {
  clear();
  for (const cite of cites) {
    const nodes = spans(cite);
    for (const node of nodes) {
      node.classList.add("cited");
      node.classList.toggle("current", cite.n === current);
    }
    if (nodes.length) nodes[0].dataset.n = cite.n;
  }
  paintStepper();
  paintBadges();
};

const paintStepper = () => {
  stepper.hidden = cites.length === 0;
  position.textContent = `${current || "–"} / ${cites.length}`;
};

const paintBadges = () => {
  for (const badge of sections.querySelectorAll(".badge")) badge.remove();
  for (const cite of cites) {
    const section = spans(cite)[0]?.closest("section");
    const entry = section && sections.querySelector(`[data-target="${section.id}"]`);
    entry?.append(make("span", { className: "badge", textContent: cite.n }));
  }
};

const FAR = 3; // screens: what is further away is jumped to
const scrollTo = (node, share) => {
  const offset = () => node.getBoundingClientRect().top - page.getBoundingClientRect().top - share * page.clientHeight;
  const go = (behavior) => page.scrollTo({ top: page.scrollTop + offset(), behavior });
  if (Math.abs(offset()) < FAR * page.clientHeight) return go(scrollBehavior());
  go("instant");
  return requestAnimationFrame(() => go("instant")); // what was jumped over had not been laid out
};

const goTo = (n, keyboard = false) => {
  const cite = cites.find((candidate) => candidate.n === n);
  if (!cite) return;
  current = n;
  if (cite.document !== shown) {
    awaited = { document: cite.document, n, keyboard };
    trigger('select', { document: cite.document });
    return;
  }
  paintCites();
  tell("current", { n });
  const [first] = spans(cite);
  if (!first) return;
  scrollTo(first, 0.3);
  if (keyboard) {
    first.tabIndex = -1;
    first.focus({ preventScroll: true });
  }
};

const step = (by) => {
  const index = cites.findIndex((cite) => cite.n === current);
  const next = index < 0 && by < 0 ? cites.length - 1 : (index + by + cites.length) % cites.length;
  goTo(cites[next].n);
};

// Where one came from; on a phone that may be the button that shows the document.
const cameFrom = () => origin ?? document.querySelector("#read");

const leave = () => {
  stopPicking();
  closeReader();
  cameFrom().focus();
  origin = null;
};

// Picking the sentence that would have been right

let picked = null; // what to do with it; null while nobody picks
let candidate = null;

const offer = (node) => {
  candidate?.classList.remove("candidate");
  candidate = node;
  if (!node) return;
  node.classList.add("candidate");
  scrollTo(node, 0.4);
};

const firstVisible = () => {
  const top = page.getBoundingClientRect().top;
  return [...page.querySelectorAll(".s")].find((node) => node.getBoundingClientRect().bottom > top);
};

const pick = (wanted) => {
  picked = wanted.done;
  origin = wanted.origin;
  hint.hidden = false;
  root.classList.add("picking");
  openReader();
  page.focus({ preventScroll: true });
};

const stopPicking = () => {
  picked = null;
  hint.hidden = true;
  root.classList.remove("picking");
  offer(null);
};

const take = (node) => {
  const done = picked;
  leave();
  done({ document: shown, sentence: node.id });
};

const moveCandidate = (by) => {
  const all = [...page.querySelectorAll(".s")];
  const at = candidate ? all.indexOf(candidate) + by : all.indexOf(firstVisible());
  offer(all[Math.max(0, Math.min(all.length - 1, at))]);
};

page.addEventListener("click", (event) => {
  const node = event.target.closest(".s");
  if (picked && node) take(node);
});

const pickingKeys = {
  ArrowDown: () => moveCandidate(1),
  ArrowUp: () => moveCandidate(-1),
  Enter: () => candidate && take(candidate),
};

// The document

const entry = ({ target, heading, level }) =>
  make(
    "li",
    { data: { level }, attributes: { style: `--level: ${level}` } },
    make("button", { type: "button", textContent: heading, data: { target }, onclick: () => jump(target) }),
  );

const jump = (target) => {
  outline.open = false;
  scrollTo(page.querySelector(`#${target}`), 0.02);
  page.focus({ preventScroll: true });
};

const present = (title) => tell("document", { id: shown, title, examples: props.value.examples });

const paint = () => {
  const value = props.value;
  shown = value?.id ?? null;
  offer(null);
  page.innerHTML = value?.html ?? ""; // escaped by the server
  page.scrollTo(0, 0);
  sections.replaceChildren(...(value?.outline ?? []).map(entry));
  root.classList.toggle("blank", !value);
  paintCites();
  if (!value) return;
  present(value.title);
  if (awaited?.document === shown) goTo(awaited.n, awaited.keyboard);
  awaited = null;
};

watch('value', paint);
listen("open", ({ document }) => trigger('select', { document }));
listen("renamed", ({ id, title }) => {
  if (id !== shown) return;
  page.querySelector(".title").textContent = title;
  present(title);
});
listen("cite", (wanted) => {
  cites = wanted.cites;
  origin = wanted.origin;
  openReader();
  goTo(wanted.n, wanted.keyboard);
});
listen("answered", (answer) => {
  stopPicking();
  cites = answer.cites;
  current = 0;
  const here = answer.scrolls && cites.find((cite) => cite.document === shown);
  if (here) goTo(here.n);
  else paintCites();
});
listen("pick", pick);
page.addEventListener("keydown", (event) => {
  if (!picked || !pickingKeys[event.key]) return;
  event.preventDefault();
  pickingKeys[event.key]();
});
// Also where the focus stayed on what was clicked.
document.addEventListener("keydown", (event) => {
  const here = root.contains(event.target) || event.target === cameFrom() || event.target === document.body;
  if (event.key !== "Escape" || !here || document.querySelector(":popover-open")) return;
  if (outline.open) outline.open = false;
  else leave();
});
paint();
