// The conversation: questions with their answers (their nodes are made in turn.js).
const { tell, listen, address, settle, restoreDraft, scrollBehavior } = window.quoth;
const MAX_ADDRESS_CHARS = 500;
const SPACE_ABOVE = 20; // pixels between the header and the question that is scrolled to

const log = make("div", { className: "log", attributes: { role: "log", "aria-live": "off", "aria-label": "Conversation" } });
const announcer = make("div", { className: "visually-hidden", attributes: { role: "status", "aria-live": "polite" } });
element.append(log, announcer);

let open = null; // what the reader shows: { id, title, examples }
let painted = []; // { key, node } of the turns on screen
let asking = { subject: "your documents", open: false, one: false }; // what is asked; whether the open document, or one alone
let greeting = null;
let waiting = null;
let begun = false; // whether the page has what it starts with: turns that come later are answers
let citing = null; // the turn whose citations the reader shows
const rating = []; // what to do when the server has kept what a person said, the oldest first

const ask = (question) => trigger('submit', { question });

// Citations

const citesOf = (quotes) => quotes.map(({ n, document, sentences }) => ({ n, document, sentences }));

const show = (quotes, n) => (event) => {
  citing = event.currentTarget.closest(".turn");
  tell("cite", { cites: citesOf(quotes), n, origin: event.currentTarget, keyboard: event.detail === 0 });
};

// Questions to ask

const plain = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, " ").trim();

const unasked = () => {
  const asked = new Set(props.value.turns.map((turn) => plain(turn.question)));
  const examples = asking.open && open ? open.examples : [];
  return examples.filter((example) => !asked.has(plain(example)));
};

const edit = (node, turn) => {
  const index = painted.findIndex((each) => each.node === node);
  const row = node.querySelector(".question-row");
  const leave = () => {
    form.replaceWith(row);
    row.querySelector(".edit").focus();
  };
  const again = (question) => trigger('submit', { question, replaces: index });
  const form = editor(turn, again, leave);
  row.replaceWith(form);
  form.querySelector("textarea").select();
};

const does = {
  ask,
  show,
  edit,
  askAsTyped: (question) => trigger('submit', { question, alone: "yes" }),
  rate: (said, done) => {
    rating.push(done);
    trigger('like', said);
  },
  pick: (origin, done) => tell("pick", { origin, done }),
};

const PROMISE = "Every answer is a quotation that you can check in its place.";

const invitation = () => [
  make("h2", { textContent: "What would you like to know?" }),
  make("p", {}, "Ask anything about ", make("cite", { dir: "auto", textContent: asking.subject }), `. ${PROMISE}`),
  suggestions("For example", unasked(), does),
];

const beginning = () => [
  make("h2", { textContent: "Add a document to begin" }),
  make("p", {}, `Drop files or folders anywhere on this page, or add them above. Then ask: ${PROMISE.toLowerCase()}`),
];

const greet = () => make("div", { className: "greeting" }, ...(asking.subject ? invitation() : beginning()));

// Painting

// The documents of a turn are named unless but one is asked, and that is the turn's, and open.
const nameDocuments = (turn) => {
  const ids = [...turn.querySelectorAll("[data-document]")].map((node) => node.dataset.document);
  turn.classList.toggle("titled", !asking.one || ids.some((id) => id !== open?.id));
};
const nameAllDocuments = () => painted.forEach(({ node }) => nameDocuments(node));

const scrollToTurn = (node) => {
  const offset = node.querySelector("h2, .editor").getBoundingClientRect().top - log.getBoundingClientRect().top;
  log.scrollTo({ top: log.scrollTop + offset - SPACE_ABOVE, behavior: scrollBehavior() });
};

const paintTurns = (turns) => {
  const keys = turns.map((turn) => JSON.stringify(turn));
  const kept = painted.findIndex(({ key }, index) => key !== keys[index]);
  const stale = kept < 0 ? [] : painted.splice(kept);
  for (const { node } of stale) node.remove();
  const fresh = turns.slice(painted.length).map((turn, index) => {
    const at = painted.length + index;
    return { key: keys[at], node: turnNode(turn, at, does) };
  });
  log.append(...fresh.map(({ node }) => node));
  fresh.forEach(({ node }) => nameDocuments(node));
  painted.push(...fresh);
  return fresh;
};

// What can be asked instead, below a question that found nothing.
const offer = () => {
  const failed = log.querySelector(".turn.not_found:last-child:not(:has(.suggestions))");
  failed?.append(suggestions("Questions that it does answer", unasked(), does) || "");
};

const paintGreeting = () => {
  greeting?.remove();
  greeting = painted.length || props.value.pending ? null : greet();
  if (greeting) log.prepend(greeting);
};

const paintOffers = () => {
  paintGreeting();
  offer();
};

const paintPending = (question) => {
  waiting?.remove();
  waiting = question ? pendingNode(question) : null;
  if (!waiting) return;
  log.append(waiting);
  scrollToTurn(waiting);
};

const announce = (turn) => {
  announcer.textContent = turn.quotes.length
    ? `${turn.confidence_words}. ${turn.quotes.map(textOf).join(" ")}`
    : turn.line;
};

const showTurn = (index, scrolls) => {
  const { quotes, leads } = props.value.turns[index];
  citing = painted[index].node;
  scrollToTurn(citing);
  tell("answered", { cites: citesOf(quotes.length ? quotes : leads), scrolls });
};

const finish = () => {
  const turn = props.value.turns.at(-1);
  showTurn(painted.length - 1, turn.status !== "not_found");
  announce(turn);
  address({ q: turn.question.length <= MAX_ADDRESS_CHARS ? turn.question : "" });
};

const forget = () => {
  tell("answered", { cites: [] });
  if (begun) address({ q: "" });
};

const paint = () => {
  const { turns, pending } = props.value;
  const wasWaiting = waiting !== null;
  const fresh = paintTurns(turns);
  paintPending(pending);
  paintOffers();
  if (!turns.length && !pending) forget();
  else if (fresh.length && (wasWaiting || begun)) finish();
  else if (fresh.length) showTurn(painted.length - 1, false);
};

// A question in the address is asked once the page knows its document.
const begin = () => {
  if (begun) return;
  begun = true;
  settle();
  restoreDraft();
  const question = new URLSearchParams(location.search).get("q");
  if (question && props.value.turns.at(-1)?.question !== question) ask(question);
};

// Back and forward: to the turn with this question, where it is still on screen.
const walk = ({ q }) => {
  const index = props.value.turns.findLastIndex((turn) => turn.question === q);
  if (index >= 0) showTurn(index, true);
  else if (q) ask(q);
  else log.scrollTo({ top: 0, behavior: scrollBehavior() });
};

watch('value', paint);
listen("walk", walk);
listen("asked", (what) => {
  asking = what;
  nameAllDocuments();
  paintOffers();
});
listen("rated", ({ tone }) => {
  const done = rating.shift();
  if (tone !== "bad") done?.();
});
listen("document", (shown) => {
  open = shown;
  nameAllDocuments();
  paintOffers();
  setTimeout(begin);
});
listen("current", ({ n }) => {
  for (const node of log.querySelectorAll("[data-n]")) {
    node.classList.toggle("current", node.closest(".turn") === citing && node.dataset.n === String(n));
  }
});
paint();
