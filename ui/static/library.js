// The library: what is being asked, and a panel to choose, open, rename and remove documents or to add some.
const { make, button, quoted, tell, listen, address, request, openReader } = window.quoth;
const ALL = "*";
const UNDO_MILLISECONDS = 10000;
const MAX_TITLE_CHARS = 300;

let documents = []; // { id, title, name, sentences }, oldest first
let chosen = null; // ids of the documents that are asked; null for all of them
let open = null; // id of the document in the reader
let loaded = false; // whether the server has said what there is

const holds = (id) => documents.some((each) => each.id === id);
const asks = (id) => chosen === null || chosen.includes(id);
const asked = () => documents.filter(({ id }) => asks(id));

const icon = (name) =>
  make("span", { className: "icon", attributes: { "aria-hidden": "true", style: `--icon: var(--icon-${name})` } });

// The panel

const announcer = make("div", { className: "visually-hidden", attributes: { role: "status" } });
const files = make("input", {
  className: "files",
  type: "file",
  multiple: true,
  hidden: true,
  onchange: () => add([...files.files].map((file) => ({ name: file.name, body: file }))),
});
const pastedTitle = make("input", {
  type: "text",
  maxLength: MAX_TITLE_CHARS,
  placeholder: "Title (optional)",
  attributes: { "aria-label": "Title" },
});
const pastedText = make("textarea", {
  required: true,
  rows: 7,
  placeholder: "Paste or type the text",
  attributes: { "aria-label": "Text" },
});
const paste = make(
  "form",
  { className: "paste", hidden: true, onsubmit: (event) => addPasted(event) },
  pastedTitle,
  pastedText,
  make(
    "div",
    { className: "actions" },
    button("plain", "Cancel", () => showPaste(false)),
    make("button", { className: "primary", type: "submit", textContent: "Add text" }),
  ),
);
const pasteButton = button("plain", "Paste text", () => showPaste(paste.hidden), icon("paste"), "Paste text");
const failure = make("p", { className: "failure", hidden: true, attributes: { role: "alert" } });
const removals = make("ul", { className: "removals" });
const all = make("input", { type: "checkbox", onchange: () => choose(all.checked ? null : [open].filter(holds)) });
const everything = make("label", { className: "everything" }, all, "All documents");
const list = make("ul", { className: "documents", attributes: { "aria-label": "Documents" } });
const panel = make(
  "div",
  { className: "panel", popover: "auto", tabIndex: -1, attributes: { role: "dialog", "aria-label": "Library" } },
  make(
    "div",
    { className: "adders" },
    button("plain", "Add files", () => files.click(), icon("upload"), "Add files"),
    pasteButton,
    make("span", { className: "hint", textContent: "or drop files or folders" }),
    button("plain close", "Close", () => panel.hidePopover()),
  ),
  files,
  paste,
  failure,
  removals,
  everything,
  list,
);
const label = make("span", { className: "label", dir: "auto" });
const opener = make(
  "button",
  { className: "opener", type: "button", attributes: { "aria-haspopup": "dialog", "aria-expanded": "false" } },
  label,
);
opener.popoverTargetElement = panel;
element.append(opener, panel, announcer);

const place = () => panel.style.setProperty("--right", `${innerWidth - opener.getBoundingClientRect().right}px`);

panel.addEventListener("beforetoggle", (event) => {
  opener.setAttribute("aria-expanded", String(event.newState === "open"));
  if (event.newState === "open") place();
  else showPaste(false);
});
panel.addEventListener("toggle", (event) => {
  if (event.newState !== "open") return;
  panel.focus();
  refresh();
});
addEventListener("resize", place);

const showPaste = (shown) => {
  if (!shown && paste.contains(document.activeElement)) pasteButton.focus();
  paste.hidden = !shown;
  if (shown) pastedTitle.focus();
  pasteButton.setAttribute("aria-expanded", String(shown));
};

// Takes a step that the server may refuse; the panel then shows its line, and there is no result.
const attempt = async (step) => {
  failure.hidden = true;
  try {
    return await step();
  } catch (error) {
    failure.textContent = error.message;
    failure.hidden = false;
    return undefined;
  }
};

// Adding

const add = (sources) => {
  panel.hidePopover();
  tell("add", sources);
  files.value = "";
};

const addPasted = (event) => {
  event.preventDefault();
  add([{ name: "Pasted text", title: pastedTitle.value, body: new Blob([pastedText.value]) }]);
  paste.reset();
};

// What is added is asked: alone where one document was asked before, else together with the others.
const takeIn = async ({ id, first }) => {
  const alone = first && asked().length < 2;
  await refresh();
  if (alone) choose([id]);
  else if (chosen !== null) choose([...new Set([...chosen, id])]);
  if (first) tell("open", { document: id });
};

// The choice

const labelText = () => {
  if (!loaded) return "Documents";
  if (!documents.length) return "Add a document";
  const count = asked().length;
  if (count === 0) return "No document chosen";
  if (count === 1) return asked()[0].title;
  return count === documents.length ? `All ${count} documents` : `${count} of ${documents.length} documents`;
};

// As in `ui/documents.py`: the ids with commas, the open document first.
const encoded = () => {
  const first = holds(open) && asks(open) ? [open] : [];
  return [...new Set([...first, ...(chosen ?? [ALL])])].join(",");
};

const decode = (choice) => {
  const ids = choice.split(",");
  chosen = ids.includes(ALL) ? null : ids.filter(holds);
};

// As part of a sentence: "Ask anything about …"; empty where there is nothing to ask.
const subject = () => {
  if (!documents.length) return "";
  if (asked().length === 1) return asked()[0].title;
  return asked().length ? labelText().replace(/^All/, "all") : "your documents";
};

const paintChoice = () => {
  if (loaded) tell("asked", { subject: subject(), open: asks(open), one: asked().length === 1 });
  label.textContent = labelText();
  opener.setAttribute("aria-label", documents.length ? `Asked: ${labelText()}` : labelText());
  opener.classList.toggle("none", documents.length > 0 && asked().length === 0);
  element.classList.toggle("several", documents.length > 1);
  all.checked = asked().length === documents.length;
  all.indeterminate = !all.checked && asked().length > 0;
  for (const box of list.querySelectorAll("input[type=checkbox]")) box.checked = asks(box.value);
};

const sync = () => {
  props.value = encoded();
  address({ doc: documents.length ? props.value || open : "" });
  paintChoice();
};

const choose = (ids) => {
  chosen = documents.length > 1 && ids?.length === documents.length ? null : ids;
  sync();
  trigger('input'); // the browser keeps it
};

const toggle = (id, on) => {
  const ids = asked().map((each) => each.id);
  choose(on ? [...ids, id] : ids.filter((each) => each !== id));
};

// The list

const details = ({ name, title, sentences }) => {
  const length = `${sentences.toLocaleString("en")} ${sentences === 1 ? "sentence" : "sentences"}`;
  return name === title ? length : `${name} · ${length}`;
};

const row = (each) => {
  const box = make("input", {
    type: "checkbox",
    value: each.id,
    checked: asks(each.id),
    onchange: () => toggle(each.id, box.checked),
    attributes: { "aria-label": `Ask ${quoted(each.title)}` },
  });
  return make(
    "li",
    { data: { id: each.id, key: JSON.stringify(each) } },
    make("label", { className: "choice" }, box),
    make(
      "button",
      { className: "title", type: "button", onclick: () => read(each.id) },
      make("span", { className: "name", textContent: each.title, dir: "auto" }),
      make("span", { className: "details", textContent: details(each), dir: "auto" }),
    ),
    button("tool", `Rename ${quoted(each.title)}`, () => edit(each), icon("rename")),
    button("tool", `Remove ${quoted(each.title)}`, () => remove(each), icon("remove")),
  );
};

const rowOf = (id) => [...list.children].find((node) => node.dataset.id === id);

const markOpen = () => {
  for (const node of list.children) {
    node.querySelector(".title")?.setAttribute("aria-current", String(node.dataset.id === open));
  }
};

// Rows that stay are not touched, so that the focus stays with them.
const paintList = () => {
  const painted = new Map([...list.children].map((node) => [node.dataset.key, node]));
  const rows = documents.map((each) => painted.get(JSON.stringify(each)) ?? row(each));
  for (const node of painted.values()) if (!rows.includes(node)) node.remove();
  rows.forEach((node, index) => {
    if (list.children[index] !== node) list.insertBefore(node, list.children[index] ?? null);
  });
  markOpen();
};

// What is gone is not asked any more; where nothing else was, the first document is.
const settle = (listed) => {
  documents = listed;
  const left = chosen?.filter(holds);
  if (!documents.length) chosen = null;
  else if (chosen?.length) chosen = left.length ? left : [documents[0].id];
  paintList();
  sync();
};

const refresh = async () => {
  const listed = await attempt(() => request("GET", "documents"));
  if (!listed) return;
  settle(listed);
  if (open === null || holds(open)) return;
  open = null;
  tell("open", { document: asked()[0]?.id ?? "" });
};

const read = (id) => {
  panel.hidePopover();
  openReader();
  tell("open", { document: id });
};

// Renaming and removing

const edit = (each) => {
  const input = make("input", {
    type: "text",
    value: each.title,
    maxLength: MAX_TITLE_CHARS,
    required: true,
    dir: "auto",
    attributes: { "aria-label": `New title of ${quoted(each.title)}` },
  });
  const form = make(
    "form",
    { className: "edit" },
    input,
    make("button", { className: "primary", type: "submit", textContent: "Save" }),
    button("plain", "Cancel", () => leave()),
  );
  const node = rowOf(each.id);
  const leave = () => {
    node.remove();
    paintList();
    rowOf(each.id)?.querySelector(".tool").focus();
  };
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault(); // else it closes the panel
    leave();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const done = await attempt(() => request("PATCH", `documents/${each.id}`, { title: input.value }));
    if (done === undefined) return;
    await refresh();
    leave();
    tell("renamed", documents.find(({ id }) => id === each.id));
  });
  node.replaceChildren(form);
  input.select();
};

const remove = async (each) => {
  const before = { chosen, open };
  const done = await attempt(() => request("DELETE", `documents/${each.id}`));
  if (!done) return;
  await refresh();
  trigger('input');
  offerUndo(each, done.undo, before);
};

// The offer ends after some seconds, though not while the focus is on it.
const offerUndo = (each, token, before) => {
  const undo = button("undo", "Undo", () => putBack(each, token, before, node));
  const node = make("li", {}, make("span", { textContent: `Removed ${quoted(each.title)}.`, dir: "auto" }), undo);
  let timer = null;
  const wait = () => {
    timer = setTimeout(() => node.remove(), UNDO_MILLISECONDS);
  };
  undo.addEventListener("focus", () => clearTimeout(timer));
  undo.addEventListener("blur", wait);
  removals.append(node);
  announcer.textContent = `Removed ${quoted(each.title)}.`;
  undo.focus();
  if (document.activeElement !== undo) wait(); // the panel was closed meanwhile
};

const putBack = async (each, token, before, node) => {
  const done = await attempt(() => request("POST", `removed/${token}`));
  if (done === undefined) return;
  chosen = before.chosen;
  await refresh();
  trigger('input');
  if (before.open === each.id) tell("open", { document: each.id });
  rowOf(each.id)?.querySelector(".title").focus();
  node.remove();
  announcer.textContent = `${quoted(each.title)} is back.`;
};

// Not at once: one of the two can come a moment before the other.
watch(['value', 'documents'], () => setTimeout(receive));
const receive = () => {
  documents = props.documents;
  decode(props.value);
  loaded = true;
  paintList();
  sync();
};
// Back and forward: what the address asks is asked again.
listen("walk", ({ doc }) => {
  if (!doc) return;
  decode(doc);
  const [first] = doc.split(",");
  if (first === open || !holds(first)) sync();
  else tell("open", { document: first });
});
listen("document", ({ id }) => {
  open = id;
  markOpen();
  if (!loaded) return;
  if (chosen?.length === 1 && holds(id)) choose([id]); // who asks one document asks the one that is read
  else sync();
});
let taken = Promise.resolve(); // one document after another: each builds on the choice before it
listen("added", (added) => {
  taken = taken.then(() => takeIn(added));
});
paintChoice();
